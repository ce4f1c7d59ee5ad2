// Draws what the page has a place for, and again where its width or its colours change.
const drawn = [];

function redraw(frame) {
  const kind = CHARTS[frame.name.split(" ")[0]];
  frame.element.style.height = `${kind.height(frame)}px`;
  frame.chart.resize();
  frame.chart.setOption(kind.option(frame, colours()), true);
}

function redrawAll() {
  drawn.forEach(redraw);
}

for (const element of document.querySelectorAll("[data-chart]")) {
  const name = element.dataset.chart;
  const frame = { element, name, hidden: new Set() };
  const kind = CHARTS[name.split(" ")[0]];
  element.style.height = `${kind.height(frame)}px`;
  frame.chart = echarts.init(element, null, { renderer: kind.renderer || "svg" });
  drawn.push(frame);
  redraw(frame);
  if (kind.ready) kind.ready(frame);
}

for (const button of document.querySelectorAll("[data-scale]")) {
  button.addEventListener("click", () => {
    const section = button.closest("section");
    for (const other of section.querySelectorAll("[data-scale]")) other.setAttribute("aria-pressed", String(other === button));
    const frame = drawn.find(({ element }) => section.contains(element));
    frame.scale = button.dataset.scale;
    redraw(frame);
  });
}

let width = document.documentElement.clientWidth;
window.addEventListener("resize", () => {
  if (document.documentElement.clientWidth === width) return;
  width = document.documentElement.clientWidth;
  requestAnimationFrame(redrawAll);
});

const themeButton = document.getElementById("theme");
function nameTheme() {
  themeButton.textContent = isDark() ? "Light colours" : "Dark colours";
}
themeButton.hidden = false;
themeButton.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
  redrawAll();
});
systemDark.addEventListener("change", () => {
  nameTheme();
  redrawAll();
});
nameTheme();

// On paper everything is open, and light.
const folded = [];
let themeBefore;
window.addEventListener("beforeprint", () => {
  themeBefore = root.dataset.theme;
  root.dataset.theme = "light";
  for (const details of document.querySelectorAll("main details:not([open])")) {
    if (details.querySelector("#timeline-table")) continue;
    folded.push(details);
    details.open = true;
  }
  redrawAll();
});
window.addEventListener("afterprint", () => {
  if (themeBefore === undefined) delete root.dataset.theme;
  else root.dataset.theme = themeBefore;
  for (const details of folded.splice(0)) details.open = false;
  redrawAll();
});
document.body.dataset.ready = "";
