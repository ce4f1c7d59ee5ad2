// The timelines of the busiest users: marks that can be pointed at, gone through by the keyboard, and zoomed.
const EVENT_TYPES_SHOWN = 8;
const PAUSES_MAX = 40;
const OTHER_TYPES = "other events";
// What an outcome looks like: its group, shape, size, place beside the line and whether it is grey.
const MARK_KINDS = {
  message: { shape: "flag", symbol: "path://M0 0h2v24h-2zM2 1l14 6-14 6z", size: [13, 20], offset: ["42%", "-50%"] },
  held: { shape: "flag", symbol: "path://M0 0h2v24h-2zM2 1l14 6-14 6z", size: [10, 15], offset: ["42%", "-50%"] },
  "kept back": { shape: "under", symbol: "triangle", size: 8, offset: [0, 11] },
  "condition not met": { shape: "under", symbol: "triangle", size: 5, offset: [0, 11] },
};

function kindOf(outcome) {
  if (outcome === "sent") return "message";
  if (outcome === "held") return "held";
  return outcome === "condition" ? "condition not met" : "kept back";
}

// Every mark as {at, row, user, type} or {at, row, user, rule, outcome, was, reason, text}.
function marksOf(user, row) {
  const names = data.timelines.names;
  const events = user.events.map(([at, type]) => ({ at, row, user: user.user, type: names[type] }));
  const marks = user.marks.map(([at, rule, outcome, was, reason, text]) => ({
    at, row, user: user.user, rule: names[rule], outcome: names[outcome], was: names[was], reason: names[reason], text: names[text],
  }));
  return { events, marks };
}

function describe(mark) {
  if (mark.type !== undefined) return [[mark.type, "strong"], [moment(mark.at)], [mark.user]];
  const was = mark.was ? `, was ${mark.was}` : "";
  return [[`${mark.rule}: ${mark.outcome}${was}`, "strong"], [moment(mark.at)], [mark.user], [mark.reason], [mark.text && `“${mark.text}”`]];
}

const quoted = (word) => (/^[\w./:@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

// The pauses that are so long that what lies between them could not be told apart, as the library takes them, and how
// much time is left.
// The longest first, for as long as one takes more than a twenty-fifth of the axis that is left.
function pausesIn(moments) {
  const sorted = [...moments].sort((a, b) => a - b);
  const gaps = [];
  for (let place = 1; place < sorted.length; place += 1) gaps.push([sorted[place - 1], sorted[place]]);
  gaps.sort((a, b) => (b[1] - b[0]) - (a[1] - a[0]) || a[0] - b[0]);
  let left = sorted.length ? sorted[sorted.length - 1] - sorted[0] : 0;
  const chosen = [];
  for (const [from, to] of gaps) {
    if (chosen.length === PAUSES_MAX || to - from < left * 0.04) break;
    left -= to - from;
    chosen.push([from, to]);
  }
  const gap = `${Math.min(1.5, 40 / chosen.length).toFixed(2)}%`;
  const breaks = chosen.map(([from, to]) => {
    const margin = Math.min((to - from) * 0.05, left * 0.01);
    return { start: from + margin, end: to - margin, gap };
  });
  return { breaks, left };
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// A label of the axis: the day where it begins or where a pause ends, else the time; the year where there are several.
function tickLabel(at, index, extra, span) {
  const stamp = new Date(at).toISOString();
  const time = stamp.slice(17, 19) === "00" ? stamp.slice(11, 16) : stamp.slice(11, 19);
  const years = new Date(span[0]).getUTCFullYear() !== new Date(span[1]).getUTCFullYear();
  const day = years ? stamp.slice(0, 10) : `${Number(stamp.slice(8, 10))} ${MONTHS[Number(stamp.slice(5, 7)) - 1]}`;
  if (extra && extra.break) return extra.break.type === "end" ? `${stamp.slice(11, 16)}\n${day}` : "";
  if (at % 86400000 === 0) return day;
  return index === 0 ? `${time}\n${day}` : time;
}

function typeNames() {
  const counts = new Map();
  for (const user of data.timelines.users) for (const [, type] of user.events) counts.set(type, (counts.get(type) || 0) + 1);
  const names = data.timelines.names;
  const byCount = [...counts].sort((a, b) => b[1] - a[1] || (names[a[0]] < names[b[0]] ? -1 : 1)).map(([type]) => names[type]);
  return byCount.length <= EVENT_TYPES_SHOWN ? byCount : byCount.slice(0, EVENT_TYPES_SHOWN - 1);
}

CHARTS.timelines = {
  renderer: "canvas",
  shown: (frame) => (frame.only === undefined ? data.timelines.users : [data.timelines.users[frame.only]]),
  height(frame) {
    return rowsHeight(this.shown(frame).length, isNarrow() ? 84 : 48, 92);
  },

  option(frame, theme) {
    const users = this.shown(frame);
    const narrow = isNarrow();
    const types = typeNames();
    const groups = new Map();
    const group = (name, style) => {
      if (!groups.has(name)) groups.set(name, { name, style, points: [] });
      return groups.get(name).points;
    };
    for (const [place, name] of types.entries()) group(`event ${name}`, { shape: "dot", symbol: "circle", size: 6, colour: theme.type(place), label: name });
    group(OTHER_TYPES, { shape: "dot", symbol: "circle", size: 6, colour: theme.grey, label: OTHER_TYPES });
    const markColours = { message: theme.accent, held: theme.grey, "kept back": theme.grey, "condition not met": theme.faint };
    for (const name of ["condition not met", "kept back", "held", "message"]) group(name, { ...MARK_KINDS[name], colour: markColours[name], label: name === "message" ? "message sent" : name });
    frame.byUser = users.map((user, row) => {
      const { events, marks } = marksOf(user, row);
      for (const mark of events) groups.get(types.includes(mark.type) ? `event ${mark.type}` : OTHER_TYPES).points.push(mark);
      for (const mark of marks) groups.get(kindOf(mark.outcome)).points.push(mark);
      return marks.length ? marks : events;
    });
    frame.groups = [...groups.values()].filter(({ points }) => points.length);
    for (const [series, { points }] of frame.groups.entries()) points.forEach((mark, place) => Object.assign(mark, { series, place }));
    drawLegend(frame, [...frame.groups].reverse().map(({ name, style }) => ({ name, label: style.label, colour: style.colour, shape: style.shape })));

    const option = baseOption(theme);
    option.legend = hiddenLegend(frame, frame.groups.map(({ name }) => name));
    option.grid = { left: narrow ? 8 : 150, right: 20, top: 14, bottom: 78, outerBoundsMode: "none" };
    const all = frame.groups.flatMap(({ points }) => points.map((mark) => mark.at));
    // One mark alone still needs a span to stand in.
    const [first, last] = all.reduce(([low, high], at) => [Math.min(low, at), Math.max(high, at)], [Infinity, -Infinity]);
    const { breaks, left } = frame.allTime ? { breaks: [], left: last - first } : pausesIn(all);
    const margin = Math.max(left * 0.015, 1000);
    frame.span = [first - margin, last + margin];
    option.useUTC = true;
    option.xAxis = axisStyle(theme, {
      type: "time", min: frame.span[0], max: frame.span[1], splitLine: { show: false },
      axisLabel: { formatter: (at, index, extra) => tickLabel(at, index, extra, frame.span), lineHeight: 15, alignMinLabel: "left", alignMaxLabel: "right" }, breakLabelLayout: { moveOverlap: false },
      breaks,
      breakArea: { expandOnClick: false, zigzagAmplitude: 0, itemStyle: { color: theme.shade, borderColor: theme.line, opacity: 1 } },
    });
    option.yAxis = axisStyle(theme, {
      type: "category", inverse: true, data: users.map(({ user }) => user),
      splitLine: { show: true, lineStyle: { color: theme.line } },
      axisLabel: narrow
        ? { inside: true, color: theme.text, verticalAlign: "bottom", padding: [0, 0, 27, -4], margin: 4, interval: 0, width: 220, overflow: "truncate", backgroundColor: "transparent" }
        : { color: theme.text, width: 138, overflow: "truncate", interval: 0 },
    });
    option.dataZoom = [
      { type: "inside", filterMode: "filter", zoomOnMouseWheel: "ctrl", moveOnMouseWheel: false, preventDefaultMouseMove: false, minValueSpan: 1000 },
      {
        type: "slider", filterMode: "filter", bottom: 8, height: 22, showDataShadow: false, brushSelect: false, minValueSpan: 1000,
        borderColor: theme.line, fillerColor: theme.shade, handleStyle: { color: theme.card, borderColor: theme.accent },
        moveHandleStyle: { color: theme.muted }, textStyle: { color: theme.muted },
        showDetail: false,
      },
    ];
    option.tooltip.trigger = "item";
    option.tooltip.formatter = ({ seriesIndex, dataIndex }) => lines("tip", describe(frame.groups[seriesIndex].points[dataIndex]));
    option.series = frame.groups.map(({ name, style, points }, index) => ({
      name, type: "scatter", symbol: style.symbol, symbolSize: style.size, symbolOffset: style.offset || [0, 0],
      symbolKeepAspect: false, z: 2 + index, clip: false,
      itemStyle: { color: style.colour, opacity: style.shape === "dot" ? 0.75 : 1 },
      data: points.map((mark) => [mark.at, mark.row]),
    }));
    return option;
  },

  ready(frame) {
    const select = document.getElementById("timeline-user");
    const everybody = document.createElement("option");
    everybody.textContent = data.timelines.users.length === 1 ? "this one user" : `all ${data.timelines.users.length}`;
    everybody.value = "";
    select.replaceChildren(everybody, ...(data.timelines.users.length > 1 ? data.timelines.users : []).map(({ user }, place) => {
      const option = document.createElement("option");
      option.textContent = user;
      option.value = String(place);
      return option;
    }));
    select.addEventListener("change", () => {
      frame.only = select.value === "" ? undefined : Number(select.value);
      frame.at = undefined;
      document.getElementById("timeline-mark").replaceChildren();
      redraw(frame);
    });
    document.getElementById("timeline-pauses").addEventListener("change", (event) => {
      frame.allTime = !event.target.checked;
      redraw(frame);
    });
    document.getElementById("timeline-reset").addEventListener("click", () => frame.chart.dispatchAction({ type: "dataZoom", start: 0, end: 100 }));
    frame.chart.on("click", ({ seriesIndex, dataIndex }) => showMark(frame.groups[seriesIndex].points[dataIndex]));
    frame.element.tabIndex = 0;
    frame.element.setAttribute("role", "application");
    frame.element.setAttribute("aria-label", "Timelines: arrow keys go from mark to mark, plus and minus zoom. The table below has the same marks.");
    frame.element.addEventListener("keydown", (event) => {
      if (pressed(frame, event.key)) event.preventDefault();
    });
    const details = document.getElementById("timeline-table").closest("details");
    details.addEventListener("toggle", () => details.open && writeTable());
  },
};

function showMark(mark) {
  const box = lines("mark", describe(mark));
  if (mark.rule !== undefined) {
    const command = document.createElement("code");
    const words = ["why", mark.rule, ...data.logs, "--user", mark.user, "--at", moment(mark.at)];
    if (data.ruleFolder) words.push("--rules", data.ruleFolder);
    command.textContent = `proactive ${words.map(quoted).join(" ")}`;
    box.append(command);
  }
  document.getElementById("timeline-mark").replaceChildren(...box.childNodes);
}

function pressed(frame, key) {
  if (key === "+" || key === "=" || key === "-") {
    zoom(frame, key === "-" ? 2 : 0.5);
    return true;
  }
  if (key === "Escape") {
    frame.chart.dispatchAction({ type: "hideTip" });
    return true;
  }
  const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
  if (!steps[key]) return false;
  let [row, place] = frame.at || [0, -1];
  const [down, right] = steps[key];
  if (down && frame.at) {
    const moved = Math.min(Math.max(row + down, 0), frame.byUser.length - 1);
    const near = frame.byUser[row][place].at;
    place = frame.byUser[moved].reduce((best, mark, index, all) => (Math.abs(mark.at - near) < Math.abs(all[best].at - near) ? index : best), 0);
    row = moved;
  } else {
    place = Math.min(Math.max(place + (right || 1), 0), frame.byUser[row].length - 1);
  }
  frame.at = [row, place];
  const mark = frame.byUser[row][place];
  keepInView(frame, mark.at);
  showMark(mark);
  frame.chart.dispatchAction({ type: "showTip", seriesIndex: mark.series, dataIndex: mark.place });
  return true;
}

function view(frame) {
  const { startValue, endValue } = frame.chart.getOption().dataZoom[0];
  return [startValue, endValue];
}

function setView(frame, from, to) {
  frame.chart.dispatchAction({ type: "dataZoom", startValue: Math.max(from, frame.span[0]), endValue: Math.min(to, frame.span[1]) });
}

function zoom(frame, factor) {
  const [from, to] = view(frame);
  const focus = frame.at ? frame.byUser[frame.at[0]][frame.at[1]].at : (from + to) / 2;
  setView(frame, focus - (focus - from) * factor, focus + (to - focus) * factor);
}

function keepInView(frame, at) {
  const [from, to] = view(frame);
  if (at >= from && at <= to) return;
  setView(frame, at - (to - from) / 2, at + (to - from) / 2);
}

// Written when it is first looked at: it is long, and the same as the marks.
function writeTable() {
  const place = document.getElementById("timeline-table");
  if (place.childElementCount) return;
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "Candidates of the busiest users");
  const table = scroll.appendChild(document.createElement("table"));
  table.createCaption().textContent = "Candidates of the busiest users, in order of time";
  const head = table.createTHead().insertRow();
  for (const title of ["user", "at", "rule", "outcome", "reason", "text"]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = title;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const user of data.timelines.users) {
    for (const mark of marksOf(user, 0).marks) {
      const row = body.insertRow();
      for (const text of [mark.user, moment(mark.at), mark.rule, mark.outcome, mark.reason, mark.text]) {
        row.insertCell().appendChild(document.createElement("bdi")).textContent = text;
      }
      row.lastElementChild.className = "text";
    }
  }
  place.append(scroll);
}
