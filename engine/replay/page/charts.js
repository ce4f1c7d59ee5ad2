// Charts of a dry run. Each takes its frame and the colours, and gives the library's option.
const CHARTS = {};
// Pixels for a chart's rows: bars that are neither hair nor board.
const rowsHeight = (rows, each, around) => Math.max(rows * each, 60) + around;
const valueAxis = (theme, more) => axisStyle(theme, Object.assign(
  { type: "value", minInterval: 1 }, more, { axisLabel: Object.assign({ formatter: short }, (more || {}).axisLabel) },
));

CHARTS.outcomes = {
  height: () => rowsHeight(data.rules.length, isNarrow() ? 48 : 30, 36),
  option(frame, theme) {
    const rows = data.rules;
    const used = data.outcomes.map((name, place) => [name, place]).filter(([, place]) => rows.some((row) => row[2][place]));
    drawLegend(frame, used.map(([name]) => ({ name, colour: theme.outcome(name) })));
    const shares = frame.scale === "share";
    const totals = rows.map((row) => row[2].reduce((sum, count) => sum + count, 0));
    const narrow = isNarrow();
    const option = baseOption(theme);
    option.legend = hiddenLegend(frame, used.map(([name]) => name));
    // On a narrow screen the name stands above its bar, else to the left of it.
    option.grid = { left: narrow ? 4 : 200, right: narrow ? 12 : 24, top: narrow ? 14 : 4, bottom: 28 };
    option.xAxis = valueAxis(theme, shares
      ? { max: 100, axisLabel: { formatter: (value) => `${value}%` } }
      : { axisLabel: { formatter: short } });
    option.yAxis = axisStyle(theme, {
      type: "category", inverse: true, data: rows.map((row) => row[0]),
      axisLabel: narrow
        ? { inside: true, color: theme.text, verticalAlign: "bottom", padding: [0, 0, 11, -4], margin: 0, interval: 0, width: 300, overflow: "truncate", fontSize: 12 }
        : { color: theme.text, width: 184, overflow: "truncate", interval: 0, fontSize: 13 },
    });
    if (narrow) option.yAxis.z = 5;
    option.tooltip.trigger = "axis";
    option.tooltip.axisPointer = { type: "shadow" };
    option.tooltip.formatter = (points) => {
      const [name, users, counts] = rows[points[0].dataIndex];
      const total = totals[points[0].dataIndex];
      const rest = used.filter(([, place]) => counts[place]).map(([outcome, place]) =>
        [`${outcome} ${number(counts[place])} (${(counts[place] / total * 100).toFixed(1)}%)`]);
      return lines("tip", [[name, "strong"], [`${number(total)} candidates, ${number(users)} users reached`], ...rest]);
    };
    option.series = used.map(([name, place]) => ({
      name, type: "bar", stack: "all", barWidth: narrow ? 14 : "62%", barMinHeight: 0,
      itemStyle: { color: theme.outcome(name), borderColor: theme.card, borderWidth: 0.5 },
      data: rows.map((row, index) => (shares ? (totals[index] ? row[2][place] / totals[index] * 100 : 0) : row[2][place])),
    }));
    return option;
  },
};

function twoAxes(theme, left, right) {
  const narrow = isNarrow();
  const style = (name, more) => valueAxis(theme, Object.assign({
    name: name, nameLocation: "end", nameGap: 10,
    nameTextStyle: { color: theme.muted, align: more.align, fontSize: 12 },
  }, more.axis));
  return {
    grid: { left: narrow ? 42 : 56, right: narrow ? 42 : 56, top: 30, bottom: 28 },
    yAxis: [style(left, { align: "left" }), style(right, { align: "right", axis: { position: "right", splitLine: { show: false } } })],
  };
}

function countsOver(frame, theme, names, series) {
  drawLegend(frame, series.map(({ name, colour, shape }) => ({ name, colour, shape })));
  const option = Object.assign(baseOption(theme), twoAxes(theme, "candidates", "events"));
  option.legend = hiddenLegend(frame, series.map(({ name }) => name));
  option.tooltip.trigger = "axis";
  option.tooltip.formatter = (points) => lines("tip", [
    [names[points[0].dataIndex], "strong"], ...series.map(({ name, counts }) => [`${name} ${number(counts[points[0].dataIndex])}`]),
  ]);
  option.series = series.map(({ name, colour, counts, shape }) => (shape === "line"
    ? { name, type: "line", yAxisIndex: 1, data: counts, symbol: counts.length > 31 ? "none" : "circle", symbolSize: 5, lineStyle: { color: colour, width: 1.5 }, itemStyle: { color: colour } }
    : { name, type: "bar", stack: "candidates", data: counts, barMaxWidth: 36, itemStyle: { color: colour } }));
  return option;
}

CHARTS.hours = {
  height: () => 280,
  option(frame, theme) {
    const { sent, keptBack, events, quiet } = data.hours;
    const names = sent.map((_, hour) => `${String(hour).padStart(2, "0")}:00`);
    const option = countsOver(frame, theme, names, [
      { name: "messages", colour: theme.outcome("sent"), counts: sent },
      { name: "kept back", colour: theme.grey, counts: keptBack },
      { name: "events", colour: theme.events, counts: events, shape: "line" },
    ]);
    // A second axis, unseen, on which the shade can begin within an hour.
    option.xAxis = [
      axisStyle(theme, { type: "category", data: names, axisLabel: { interval: isNarrow() ? 5 : 1 } }),
      { type: "value", min: 0, max: 24, show: false },
    ];
    option.series.push({
      name: "quiet hours", type: "line", xAxisIndex: 1, data: [], silent: true,
      markArea: {
        silent: true, itemStyle: { color: theme.shade },
        label: { color: theme.muted, position: "insideTop", fontSize: 11 },
        data: quiet.map(([name, start, end]) => [{ xAxis: start, name: end - start >= 2 && !isNarrow() ? name : "" }, { xAxis: end }]),
      },
    });
    return option;
  },
};

CHARTS.days = {
  height: () => 280,
  option(frame, theme) {
    const { names, sent, events } = data.days;
    const option = countsOver(frame, theme, names, [
      { name: "messages", colour: theme.outcome("sent"), counts: sent },
      { name: "events", colour: theme.events, counts: events, shape: "line" },
    ]);
    option.yAxis[0].name = "messages";
    option.xAxis = axisStyle(theme, { type: "category", data: names });
    return option;
  },
};

CHARTS.perUser = {
  height: () => 260,
  option(frame, theme) {
    const bars = data.perUser;
    const users = bars.reduce((sum, bar) => sum + bar[1], 0);
    const option = baseOption(theme);
    option.grid = { left: isNarrow() ? 42 : 56, right: 16, top: 30, bottom: 44 };
    option.xAxis = axisStyle(theme, {
      type: "category", data: bars.map((bar) => bar[0]), name: "messages", nameLocation: "middle", nameGap: 28,
    });
    option.yAxis = valueAxis(theme, { name: "users", nameGap: 10, nameTextStyle: { color: theme.muted, align: "left" } });
    option.tooltip.trigger = "axis";
    option.tooltip.axisPointer = { type: "shadow" };
    option.tooltip.formatter = ([point]) => {
      const [name, count] = bars[point.dataIndex];
      return lines("tip", [[`${name} ${name === "1" ? "message" : "messages"}`, "strong"], [`${number(count)} of ${number(users)} users (${(count / users * 100).toFixed(1)}%)`]]);
    };
    option.series = [{
      type: "bar", data: bars.map((bar) => bar[1]), barMaxWidth: 60, itemStyle: { color: theme.outcome("sent") },
      label: { show: bars.length <= 21 && !isNarrow(), position: "top", color: theme.muted, fontSize: 11, formatter: ({ value }) => (value ? short(value) : "") },
    }];
    return option;
  },
};
