/* How large a difference must be for so many seeds and images to find it: formulas of classroom/sliders/detectable.py. */
(function () {
  "use strict";
  const { number, colours } = course;

  /* Of the difference of two mean accuracies, in points squared: the seeds' part and the test images'. */
  const variance = (seeds, images, spread, disagreement) =>
    [2 * spread ** 2 / seeds, 100 ** 2 * disagreement / images / seeds];
  const detectable = (data, seeds, images, spread, disagreement = data.disagreement) =>
    data.z * Math.sqrt(variance(seeds, images, spread, disagreement).reduce((sum, part) => sum + part));

  function numbers(data, { seeds, images, spread }) {
    const found = detectable(data, seeds, images, spread);
    const [bySeeds, byImages] = variance(seeds, images, spread, data.disagreement);
    return [
      { key: "found", label: "difference found with 80 % probability", value: found, digits: 2, unit: "points" },
      { key: "measured", label: "spread as measured on these images", digits: 2, unit: "points",
        value: Math.sqrt(spread ** 2 + 100 ** 2 * data.disagreement / images / 2) },
      { key: "seeds share", label: "of the variance: spread of seeds", value: 100 * bySeeds / (bySeeds + byImages), unit: "%" },
      { key: "images share", label: "of the variance: test images", value: 100 * byImages / (bySeeds + byImages), unit: "%" },
      { key: "as large", label: `as large, of the paper's ${data.deltas.length} deltas`,
        value: data.deltas.filter(delta => delta >= found).length },
    ];
  }

  const counted = seeds => `${seeds} seed${seeds > 1 ? "s" : ""}`;

  function draw(pen, data, { seeds, images, spread }, n) {
    pen.text(10, 18, `${counted(seeds)}, ${number(images)} test images: ${number(n.found, 2)} points can be found`,
             { bold: true, size: 18 });
    drawCurve(pen, data, seeds, images, spread, n.found);
    drawParts(pen, data, n);
  }

  function drawCurve(pen, data, seeds, images, spread, found) {
    const left = 80, right = 600, top = 70, bottom = 410, [low, high] = data.range, last = data.controls.seeds.high;
    pen.text(30, 48, "difference found with 80 % power (points)", { size: 15 });
    const y = pen.up(bottom, top, low, high, left, right, [0.05, 0.1, 0.2, 0.5, 1, 2, 5], null, Math.log);
    const x = pen.across(left, right, 0, last + 4, bottom, [1, 5, 10, 15, 20, 25, 30]);
    pen.text((left + right) / 2, bottom + 38, "seeds of each method", { anchor: "middle", size: 14 });
    const inside = pen.inside(left, top, right - left, bottom - top), every = Array.from({ length: last }, (_, at) => at + 1);
    const curve = (disagreement, colour, more) => inside.path(
      every.map(count => [x(count), y(Math.max(detectable(data, count, images, spread, disagreement), low / 10))]), colour, more);
    curve(0, colours.black, { "stroke-dasharray": "2 4" });
    curve(data.disagreement, colours.blue, { "stroke-width": 3 });
    inside.line(left, y(found), right, y(found), colours.blue, { "stroke-dasharray": "6 4" });
    for (const delta of data.deltas) inside.dot(x(last + 2.5), y(delta), 5, "none", { stroke: colours.vermilion, "stroke-width": 2 });
    inside.dot(x(seeds), y(found), 8, colours.blue);
    const legend = [`the paper's ${data.deltas.length} deltas, without sign`, "detectable difference", "with endlessly many images"];
    legend.forEach((words, at) => pen.text(352, 84 + 22 * at, words, { size: 14 }));
    pen.dot(330, 84, 5, "none", { stroke: colours.vermilion, "stroke-width": 2 });
    pen.line(315, 106, 345, 106, colours.blue, { "stroke-width": 3 });
    pen.line(315, 128, 345, 128, colours.black, { "stroke-dasharray": "2 4", "stroke-width": 2 });
  }

  function drawParts(pen, data, n) {
    const left = 765, right = 930, top = 150, thick = 36;
    pen.text(640, 118, "What the variance is made of");
    [["spread of seeds", n["seeds share"], colours.orange], ["test images", n["images share"], colours.sky]]
      .forEach(([words, share, colour], row) => {
        const y = top + 56 * row;
        pen.text(left - 8, y + thick / 2, words, { anchor: "end" });
        pen.rect(left, y, (right - left) * share / 100, thick, colour);
        pen.text(left + (right - left) * share / 100 + 8, y + thick / 2, `${number(share)} %`);
      });
    pen.across(left, right, 0, 100, top + 112, [0, 50, 100]);
    pen.text((left + right) / 2, top + 150, "%", { anchor: "middle", size: 14 });
    ["80 % power, two-sided 5 % level;", `two networks disagree on ${number(100 * data.disagreement)} %`, "of the images"]
      .forEach((words, line) => pen.text(640, 350 + 22 * line, words, { size: 15 }));
  }

  course.slider("detectable", {
    shows: "Detectable difference against the number of seeds, with the paper's deltas beside it, and the parts of its "
      + "variance.",
    height: 462,
    numbers,
    draw,
    words(data, { seeds, images, spread }, n) {
      return `${counted(seeds)} of each method, ${number(images)} test images, spread ${number(spread, 2)} points (measured `
        + `on these images: ${number(n.measured, 2)}): a true difference of ${number(n.found, 2)} points is found with 80 % `
        + `probability. ${number(n["images share"])} % of the variance comes from the test images. As large, of the paper's `
        + `${data.deltas.length} deltas: ${n["as large"]}.`;
    },
  });
})();
