// The report's data, its colours in light and dark, and small parts that all charts share.
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const systemDark = window.matchMedia("(prefers-color-scheme: dark)");

const OUTCOME_COLOURS = {
  // outcome: [light, dark]
  sent: ["#0b7a70", "#3ec9b8"],
  held: ["#e0a100", "#f2c14e"],
  shadow: ["#7c4dd6", "#a98bf5"],
  condition: ["#c3cad4", "#4b5664"],
  absent: ["#8d99a8", "#75818f"],
  muted: ["#c2377a", "#ee7fb2"],
  warmup: ["#94b83d", "#b6d763"],
  cooldown: ["#2f6fd0", "#6ea3f5"],
  cap: ["#29a3c9", "#6fd0ee"],
  outranked: ["#b98bd9", "#d4b3ee"],
  quiet_hours: ["#2b3a8c", "#8492ea"],
  budget: ["#a85b17", "#e0954f"],
  holdout: ["#5d7a3a", "#93b06c"],
  render_error: ["#cc2b2b", "#ff7b72"],
  cancelled: ["#877b6e", "#b5a898"],
  expired: ["#5c5148", "#d8cdc0"],
};
const TYPE_COLOURS = [
  ["#2f6fd0", "#6ea3f5"], ["#c4620b", "#f0a14e"], ["#8a4fc4", "#bd93f0"], ["#c2377a", "#ee7fb2"],
  ["#4e8a1c", "#98ce5c"], ["#1390ad", "#5fcbe6"], ["#b02a2a", "#ff8d85"], ["#8a7a10", "#d9c95a"],
];

function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches;
}

function colours() {
  const style = getComputedStyle(root);
  const of = (name) => style.getPropertyValue(name).trim();
  const side = isDark() ? 1 : 0;
  return {
    side,
    text: of("--text"), muted: of("--muted"), line: of("--line"), card: of("--card"), accent: of("--accent"),
    outcome: (name) => OUTCOME_COLOURS[name][side],
    type: (place) => TYPE_COLOURS[place][side],
    grey: ["#8b95a1", "#8a95a3"][side],
    faint: ["#c3cad4", "#4b5664"][side],
    events: ["#5b6b80", "#9fb0c6"][side],
    shade: ["rgba(43, 58, 140, .10)", "rgba(132, 146, 234, .16)"][side],
    gained: ["#0b7a70", "#3ec9b8"][side],
    lost: ["#b4472a", "#f08d6e"][side],
    moved: ["#2f6fd0", "#6ea3f5"][side],
    reworded: ["#8a4fc4", "#bd93f0"][side],
  };
}

const FONT = getComputedStyle(document.body).fontFamily;
const isNarrow = () => document.documentElement.clientWidth < 640;
const number = (value) => value.toLocaleString("en-US");
// As the commands show moments; those of events have milliseconds.
const moment = (at) => new Date(at).toISOString().replace(".000Z", "Z");
const short = (value) => {
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (Math.abs(value) >= size) return `${+(value / size).toFixed(1)}${unit}`;
  }
  return `${+value.toFixed(2)}`;
};

// Lines as elements with texts: nothing that a user wrote is ever read as HTML.
function lines(name, rows) {
  const box = document.createElement("div");
  box.className = name;
  for (const [text, style] of rows) {
    if (!text) continue;
    const line = document.createElement("p");
    const isolated = document.createElement("bdi");
    isolated.textContent = text;
    if (style) line.className = style;
    line.append(isolated);
    box.append(line);
  }
  return box;
}

function baseOption(theme) {
  return {
    animation: false,
    textStyle: { fontFamily: FONT, color: theme.text },
    tooltip: {
      confine: true, backgroundColor: theme.card, borderColor: theme.line, padding: [6, 10],
      textStyle: { color: theme.text, fontSize: 13 }, transitionDuration: 0,
    },
  };
}

function axisStyle(theme, more) {
  return Object.assign({
    axisLine: { lineStyle: { color: theme.line } },
    axisTick: { show: false },
    axisLabel: Object.assign({ color: theme.muted, fontSize: 12, hideOverlap: true }, (more || {}).axisLabel),
    splitLine: { lineStyle: { color: theme.line, opacity: 0.6 } },
    nameTextStyle: { color: theme.muted },
  }, (({ axisLabel, ...rest }) => rest)(more || {}));
}

// What a chart's colours mean, as buttons that hide and show; an item is {name, colour, shape, label}.
function drawLegend(frame, items) {
  let list = frame.element.previousElementSibling;
  if (!list || !list.classList.contains("legend")) {
    list = document.createElement("ul");
    list.className = "legend";
    list.setAttribute("aria-label", "Shown on the chart");
    frame.element.before(list);
  }
  list.replaceChildren(...items.map((item) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", String(!frame.hidden.has(item.name)));
    const mark = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    mark.setAttribute("viewBox", "0 0 12 12");
    mark.setAttribute("aria-hidden", "true");
    const shape = document.createElementNS("http://www.w3.org/2000/svg", "path");
    shape.setAttribute("d", SHAPES[item.shape || "box"]);
    shape.setAttribute("fill", item.colour);
    mark.append(shape);
    const name = document.createElement("bdi");
    name.textContent = item.label || item.name;
    button.append(mark, name);
    button.addEventListener("click", () => {
      const hides = !frame.hidden.has(item.name);
      frame.hidden[hides ? "add" : "delete"](item.name);
      button.setAttribute("aria-pressed", String(!hides));
      frame.chart.dispatchAction({ type: hides ? "legendUnSelect" : "legendSelect", name: item.name });
    });
    const entry = document.createElement("li");
    entry.append(button);
    return entry;
  }));
}

const SHAPES = {
  box: "M1 1h10v10h-10z",
  dot: "M6 2a4 4 0 1 0 .01 0z",
  line: "M0 5h12v2h-12z",
  flag: "M1 0h1.5v12h-1.5zM2.5 .5l8.5 3-8.5 3z",
  under: "M6 2l5 8h-10z",
};

// The legend of the library stays unseen: it does the hiding.
function hiddenLegend(frame, names) {
  const selected = {};
  for (const name of names) selected[name] = !frame.hidden.has(name);
  return { show: false, data: names, selected };
}
