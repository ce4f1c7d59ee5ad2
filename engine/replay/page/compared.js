// Charts of a comparison of two rule sets, and of a sweep over values.

// Names to the left of their bars, or above them where there is no room.
function ruleAxis(theme, names) {
  return axisStyle(theme, {
    type: "category", inverse: true, data: names, z: isNarrow() ? 5 : 0, axisLine: { show: false },
    axisLabel: isNarrow()
      ? { inside: true, color: theme.text, verticalAlign: "bottom", padding: [0, 0, 11, -4], margin: 0, interval: 0, width: 300, overflow: "truncate" }
      : { color: theme.text, width: 184, overflow: "truncate", interval: 0, fontSize: 13 },
  });
}

const ruleGrid = () => (isNarrow() ? { left: 4, right: 12, top: 14, bottom: 28 } : { left: 200, right: 24, top: 4, bottom: 28 });
const rulesHeight = (rows) => rowsHeight(rows, isNarrow() ? 48 : 34, 36);

CHARTS.changes = {
  height: () => rulesHeight(data.changes.length),
  option(frame, theme) {
    const used = data.kinds.map((kind, place) => [kind, place]).filter(([, place]) => data.changes.some((row) => row[1][place]));
    drawLegend(frame, used.map(([name]) => ({ name, colour: theme[name] })));
    const option = baseOption(theme);
    option.legend = hiddenLegend(frame, used.map(([name]) => name));
    option.grid = ruleGrid();
    option.xAxis = valueAxis(theme, { axisLabel: { formatter: (value) => short(Math.abs(value)) } });
    option.yAxis = ruleAxis(theme, data.changes.map((row) => row[0]));
    option.tooltip.trigger = "axis";
    option.tooltip.axisPointer = { type: "shadow" };
    option.tooltip.formatter = ([point]) => {
      const [name, counts] = data.changes[point.dataIndex];
      return lines("tip", [[name, "strong"], ...used.map(([kind, place]) => [`${kind} ${number(counts[place])}`])]);
    };
    option.series = used.map(([name, place]) => ({
      name, type: "bar", stack: "all", barWidth: isNarrow() ? 14 : "58%",
      itemStyle: { color: theme[name], borderColor: theme.card, borderWidth: 0.5 },
      data: data.changes.map((row) => (name === "lost" ? -row[1][place] : row[1][place])),
    }));
    return option;
  },
};

CHARTS.messages = {
  height: () => rulesHeight(data.messages.length),
  option(frame, theme) {
    const sides = [["before", 1, theme.grey], ["after", 2, theme.outcome("sent")]];
    drawLegend(frame, sides.map(([name, , colour]) => ({ name, colour })));
    const option = baseOption(theme);
    option.legend = hiddenLegend(frame, sides.map(([name]) => name));
    option.grid = ruleGrid();
    option.xAxis = valueAxis(theme);
    option.yAxis = ruleAxis(theme, data.messages.map((row) => row[0]));
    option.tooltip.trigger = "axis";
    option.tooltip.axisPointer = { type: "shadow" };
    option.tooltip.formatter = ([point]) => {
      const [name, before, after] = data.messages[point.dataIndex];
      return lines("tip", [[name, "strong"], [`before ${number(before)}`], [`after ${number(after)}`]]);
    };
    option.series = sides.map(([name, place, colour]) => ({
      name, type: "bar", barGap: "10%", barMaxWidth: isNarrow() ? 7 : 11, itemStyle: { color: colour },
      data: data.messages.map((row) => row[place]),
    }));
    return option;
  },
};

CHARTS.figure = {
  height: () => 240,
  option(frame, theme) {
    const figure = data.figures[frame.name.split(" ")[1]];
    const told = (value) => {
      if (value === null) return "cannot be told";
      return figure.isShare ? `${(value * 100).toFixed(1)}%` : number(Math.round(value * 100) / 100);
    };
    const option = baseOption(theme);
    option.grid = { left: isNarrow() ? 46 : 60, right: 24, top: 16, bottom: 48 };
    option.xAxis = axisStyle(theme, {
      type: "category", data: data.names, name: isNarrow() ? "" : data.paths.join(", "), nameLocation: "middle", nameGap: 28,
      axisLabel: { overflow: "truncate", width: 120 },
    });
    option.yAxis = valueAxis(theme, {
      minInterval: 0, axisLabel: { formatter: (value) => (figure.isShare ? `${+(value * 100).toFixed(1)}%` : short(value)) },
    });
    option.tooltip.trigger = "axis";
    option.tooltip.formatter = ([point]) => lines("tip", [
      [data.names[point.dataIndex] + (point.dataIndex === data.now ? " (now)" : ""), "strong"],
      [`${figure.title}: ${told(figure.values[point.dataIndex])}`], [figure.now === null ? "" : `now: ${told(figure.now)}`],
    ]);
    const values = figure.values.map((value, place) => (place === data.now
      ? { value, itemStyle: { color: theme.accent }, symbolSize: 13 }
      : { value, itemStyle: { color: data.isLine ? theme.moved : theme.grey }, symbolSize: 8 }));
    option.series = [{
      ...(data.isLine ? { type: "line", symbol: "circle", lineStyle: { color: theme.moved, width: 2 } } : { type: "bar", barMaxWidth: 60 }),
      data: values,
      markLine: figure.now === null ? undefined : {
        silent: true, symbol: "none", data: [{ yAxis: figure.now }],
        lineStyle: { color: theme.accent, type: "dashed", opacity: 0.8 },
        label: { formatter: "now", position: "insideEndTop", color: theme.accent },
      },
    }];
    return option;
  },
};
