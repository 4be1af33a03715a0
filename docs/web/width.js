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
    const sums = totals(data, width), found = data.measured[String(width)] || {};
    const counts = data.counted.map((name, at) => {
      const folded = name.startsWith("folded_"), what = WORDS[name.replace("folded_", "")];
      return { key: name, label: `${what}, ${folded ? "folded" : "training form"}`, value: sums[at] };
    });
    const measured = [
      ["printed", "accuracy printed in the paper (best epoch)", 2, "%"],
      ["last", "accuracy in the authors' log (last epoch)", 2, "%"],
      ["ms", "time of one image, folded", 1, "ms"],
      ["training_form_ms", "time of one image, training form", 1, "ms"],
    ].map(([key, label, digits, unit]) => ({ key, label, digits, unit, value: found[key] ?? null }));
    return [...counts, ...measured];
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
    drawCurve(pen, data, width, "Accuracy (%) against width", [["printed", colours.blue], ["last", colours.vermilion]], TOP, TOP + 145,
              { printed: "printed", last: "last epoch of the log" });
    drawCurve(pen, data, width, "Time of one image (ms) against width", [["ms", colours.blue], ["training_form_ms", colours.vermilion]],
              TOP + 235, TOP + 375, { ms: "folded", training_form_ms: "training form" });
  }

  function drawCurve(pen, data, width, title, series, top, bottom, names) {
    const left = 705, right = 985, measured = Object.entries(data.measured);
    const values = series.flatMap(([key]) => measured.map(([, found]) => found[key])).filter(value => value !== null);
    if (!values.length) return;
    const spread = Math.max(...values) - Math.min(...values) || 1;
    const low = Math.min(...values) - 0.12 * spread, high = Math.max(...values) + 0.12 * spread;
    const y = pen.up(bottom, top, low, high, left, right, course.ticks(low, high), spread < 4 ? 1 : 0);
    const x = pen.across(left, right, 0.4, 4.1, bottom, [1, 2, 3, 4]);
    pen.text(left, top - 22, title, { size: 15 });
    pen.line(x(width), top, x(width), bottom, colours.black, { "stroke-dasharray": "4 3" });
    series.forEach(([key, colour], at) => {
      const points = measured.filter(([, found]) => found[key] !== null)
        .map(([place, found]) => [x(Number(place)), y(found[key])]).sort((a, b) => a[0] - b[0]);
      pen.path(points, colour, { "stroke-dasharray": "2 4" });
      for (const [px, py] of points)
        if (at) pen.rect(px - 5, py - 5, 10, 10, colour); else pen.dot(px, py, 5, colour);
      const found = data.measured[String(width)];
      if (found && found[key] !== null) pen.ring(x(width), y(found[key]), 10, colours.black);
      const place = left + 120 * at;
      if (at) pen.rect(place - 1, bottom + 35, 10, 10, colour); else pen.dot(place + 5, bottom + 40, 5, colour);
      pen.text(place + 14, bottom + 40, names[key], { size: 14 });
    });
  }

  course.slider("width", {
    shows: "Bars for parameters and MACs of each block; points for accuracy and for the time of one image against "
      + "width, where somebody measured them. All numbers are in the table below.",
    height: 520,
    numbers,
    draw,
    words(data, { width }, n) {
      const accuracy = n.printed === null ? "Nobody has measured the accuracy at this width."
        : `Accuracy ${number(n.printed, 2)} % printed, ${number(n.last, 2)} % in the last epoch of the authors' log.`;
      const time = n.ms === null ? "" : ` One image takes ${number(n.ms, 1)} ms folded.`;
      return `Width ${number(width, 1)}: ${number(n.parameters)} parameters (${number(n.folded_parameters)} folded), `
        + `${short(n.macs)} MACs (${short(n.folded_macs)} folded). ${accuracy}${time}`;
    },
  });
})();
