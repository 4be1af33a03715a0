/* What each block of GN-S costs at a width, and the accuracy and the time of one image where somebody measured them. */
(function () {
  "use strict";
  const { number, short, colours } = course;
  const WORDS = { parameters: "parameters", macs: "MACs", activations: "activations" };

  function totals(data, width) {
    const rows = data.costs[String(width)];
    return data.counted.map((_, column) => rows.reduce((sum, row) => sum + row[column], 0));
  }

  function numbers(data, { width }) {
    const sums = totals(data, width), at = String(width);
    const counts = data.counted.map((name, place) => {
      const folded = name.startsWith("folded_"), what = WORDS[name.replace("folded_", "")];
      return { key: name, label: `${what}, ${folded ? "folded" : "training form"}`, value: sums[place] };
    });
    const accuracies = data.accuracies.map((one, place) => (
      { key: `accuracy ${place}`, label: `accuracy: ${one.origin}`, value: one.at[at] ?? null, digits: 2, unit: "%" }));
    const times = data.times.map(one => (
      { key: `ms ${one.name}`, label: `time of one image, ${one.name}`, value: one.at[at] ?? null, digits: 1, unit: "ms" }));
    return [...counts, ...accuracies, ...times];
  }

  const TOP = 76;

  function draw(pen, data, { width }, n) {
    pen.text(10, 18, `GN-S at width ${number(width, 1)}: ${number(n.parameters)} parameters, ${short(n.macs)} MACs`,
             { bold: true, size: 18 });
    const rows = data.costs[String(width)], widest = data.costs[Object.keys(data.costs).at(-1)];
    const step = 400 / rows.length, thick = 0.72 * step;
    pen.text(10, TOP - 22, "block", { size: 14 });
    pen.text(148, TOP - 22, "chan.", { size: 14, anchor: "end" });
    rows.forEach((row, at) => {
      const y = TOP + at * step + thick / 2;
      pen.text(10, y, data.blocks[at].replace("stage", "block ").replace("_block", "."), { size: 15 });
      pen.text(148, y, data.channels[String(width)][at], { anchor: "end", size: 15 });
    });
    [["parameters", 160], ["macs", 405]].forEach(([what, left]) => {
      const column = data.counted.indexOf(what), folded = data.counted.indexOf(`folded_${what}`);
      const most = Math.max(...widest.map(row => row[column]));
      // Cost grows with the square of the width: on this scale a bar grows with the width itself, and all are seen.
      const long = value => 165 * Math.sqrt(value / most);
      pen.text(left, TOP - 22, `${WORDS[what]} (square-root scale)`, { size: 14 });
      rows.forEach((row, at) => {
        const y = TOP + at * step;
        pen.rect(left, y, long(row[column]), thick, colours.sky);
        pen.rect(left, y + thick / 4, long(row[folded]), thick / 2, colours.blue);
        pen.text(left + long(row[column]) + 6, y + thick / 2, short(row[column]), { size: 14 });
      });
    });
    pen.rect(160, TOP + 416, 22, 14, colours.sky);
    pen.text(188, TOP + 423, "training form (and number)", { size: 14 });
    pen.rect(405, TOP + 416, 22, 14, colours.blue);
    pen.text(433, TOP + 423, "folded form", { size: 14 });
    const long = data.accuracies.filter(one => !one.reduced), short_ = data.accuracies.filter(one => one.reduced);
    const panels = [["Accuracy (%): 50,000 images, 200 epochs", long], ["Accuracy (%): ours, few epochs", short_],
                    ["Time of one image (ms)", data.times]].filter(([, series]) => series.length);
    const room = 460 / panels.length;
    panels.forEach(([title, series], place) =>
      drawCurve(pen, width, title, series, TOP + room * place, TOP + room * (place + 1) - 85));
  }

  const MARKS = {
    printed: [colours.blue, "dot"], logged: [colours.vermilion, "square"], ours: [colours.green, "diamond"],
    folded: [colours.blue, "dot"], "training form": [colours.vermilion, "square"],
  };

  function mark(pen, x, y, name) {
    const [colour, shape] = MARKS[name] || [colours.black, "dot"];
    if (shape === "square") pen.rect(x - 5, y - 5, 10, 10, colour);
    else if (shape === "diamond") pen.diamond(x, y, 7, colour);
    else pen.dot(x, y, 5, colour);
  }

  function drawCurve(pen, width, title, series, top, bottom) {
    const left = 705, right = 985, values = series.flatMap(one => Object.values(one.at));
    const spread = Math.max(1, Math.max(...values) - Math.min(...values));
    const low = Math.min(...values) - 0.15 * spread, high = Math.max(...values) + 0.15 * spread;
    const y = pen.up(bottom, top, low, high, left, right, course.ticks(low, high), spread < 4 ? 1 : 0);
    const x = pen.across(left, right, 0.4, 4.1, bottom, [1, 2, 3, 4]);
    pen.text(left - 30, top - 22, title, { size: 15 });
    pen.line(x(width), top, x(width), bottom, colours.black, { "stroke-dasharray": "4 3" });
    let legend = left + 5;
    series.forEach(one => {
      const points = Object.entries(one.at).map(([place, value]) => [x(Number(place)), y(value)]).sort((a, b) => a[0] - b[0]);
      const [colour] = MARKS[one.name] || [colours.black];
      pen.path(points, colour, { "stroke-dasharray": "2 4" });
      for (const [px, py] of points) mark(pen, px, py, one.name);
      if (String(width) in one.at) pen.ring(x(width), y(one.at[String(width)]), 10, colours.black);
      mark(pen, legend, bottom + 40, one.name);
      pen.text(legend + 12, bottom + 40, one.name, { size: 14 });
      legend += 36 + 8 * one.name.length;
    });
    pen.text(right, bottom + 40, "width", { anchor: "end", size: 14 });
  }

  course.slider("width", {
    shows: "Bars for parameters and MACs of each block; points for accuracy and for the time of one image against "
      + "width, where somebody measured them. All numbers are in the table below.",
    height: 545,
    numbers,
    draw,
    words(data, { width }, n) {
      const at = String(width), found = data.accuracies.filter(one => at in one.at)
        .map(one => `${number(one.at[at], 2)} % (${one.origin}; n = ${one.seeds[at]})`);
      const time = n["ms folded"] === null ? "" : ` One image takes ${number(n["ms folded"], 1)} ms folded.`;
      return `Width ${number(width, 1)}: ${number(n.parameters)} parameters (${number(n.folded_parameters)} folded), `
        + `${short(n.macs)} MACs (${short(n.folded_macs)} folded). Accuracy: `
        + `${found.length ? found.join(", ") : "not measured at this width"}.${time}`;
    },
  });
})();
