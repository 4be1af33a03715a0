/* What a ghost module costs beside an ordinary 1 × 1 convolution: weights, as classroom/sliders/ghosts.py counts them. */
(function () {
  "use strict";
  const { number, colours } = course;

  /* Weights for each weight of the ordinary convolution. */
  const ratio = (channels, parts, kernel) => 1 / parts + kernel * kernel * (1 - 1 / parts) / channels;

  function numbers(data, { channels, parts, kernel }) {
    const made = data.out / parts, primary = channels * made, ghosts = kernel * kernel * (data.out - made);
    return [
      { key: "ordinary", label: "weights of an ordinary 1 × 1 convolution", value: channels * data.out },
      { key: "primary", label: "weights of the module's primary convolution", value: primary },
      { key: "ghosts", label: "weights of its ghosts", value: ghosts },
      { key: "ratio", label: "module / ordinary", value: (primary + ghosts) / (channels * data.out), digits: 2 },
      { key: "even", label: "break-even", value: kernel * kernel, unit: "channels in" },
      { key: "limit", label: "ratio with endlessly many channels in", value: 1 / parts, digits: 2 },
    ];
  }

  const named = (parts, kernel) =>
    `${parts - 1} ghost${parts > 2 ? "s" : ""} of ${kernel} × ${kernel} for each primary channel`;

  function draw(pen, data, { channels, parts, kernel }, n) {
    pen.text(10, 18, `${channels} channels in, ${named(parts, kernel)}: ${number(n.ratio, 2)} of the ordinary weights`,
             { bold: true, size: 18 });
    drawBars(pen, data, n);
    drawCurve(pen, data, channels, parts, kernel);
  }

  function drawBars(pen, data, n) {
    const left = 130, top = 110, thick = 60, bottom = 320;
    const x = pen.across(left, 400, 0, data.most, bottom, [0, 0.5, 1], 1);
    pen.text(10, 62, `left, blue: primary; right, orange: ghosts; ${data.out} out`, { size: 15 });
    const bars = pen.inside(left, top, x(data.most) - left, bottom - top), first = n.primary / n.ordinary;
    bars.rect(left, top, x(1) - left, thick, "#999999");
    bars.rect(left, top + 110, x(first) - left, thick, colours.blue);
    bars.rect(x(first), top + 110, x(n.ratio) - x(first), thick, colours.orange);
    [["ordinary 1 × 1", n.ordinary, 1], ["ghost module", n.primary + n.ghosts, n.ratio]].forEach(([words, weights, end], row) => {
      const y = top + 110 * row + thick / 2;
      pen.text(left - 8, y, words, { anchor: "end" });
      pen.text(x(Math.min(end, data.most)) + 8, y, number(weights));
    });
    pen.text((left + 400) / 2, bottom + 38, "weights, ordinary = 1", { anchor: "middle", size: 14 });
  }

  function drawCurve(pen, data, channels, parts, kernel) {
    const left = 530, right = 985, top = 90, bottom = 320, high = data.most, last = data.controls.channels.high;
    pen.text(left - 30, 62, "weights of a ghost module / ordinary 1 × 1", { size: 15 });
    const y = pen.up(bottom, top, 0, high, left, right, [0, 0.5, 1], 1);
    const x = pen.across(left, right, 1, 1.1 * last, bottom, [1, 4, 9, 16, 25, 49, 100, last], 0, Math.log);
    pen.text((left + right) / 2, bottom + 38, "channels in", { anchor: "middle", size: 14 });
    pen.line(left, y(1), right, y(1), colours.black, { "stroke-width": 1 });
    const inside = pen.inside(left, top, right - left, bottom - top);
    inside.line(x(kernel * kernel), top, x(kernel * kernel), bottom, colours.vermilion, { "stroke-dasharray": "6 4" });
    inside.line(left, y(1 / parts), right, y(1 / parts), colours.blue, { "stroke-dasharray": "2 4", "stroke-width": 2 });
    const every = Array.from({ length: last }, (_, at) => at + 1);
    inside.path(every.map(count => [x(count), y(ratio(count, parts, kernel))]), colours.blue);
    for (const count of data.used) inside.rect(x(count) - 4, y(ratio(count, 2, 3)) - 4, 8, 8, colours.green);
    pen.dot(x(channels), y(Math.min(ratio(channels, parts, kernel), high)), 7, colours.black);
    drawLegend(pen, 780, 92);
  }

  function drawLegend(pen, left, top) {
    const rows = ["ratio; dot: this module", "limit", "break-even", "GN-S, 1 ghost of 3 × 3"];
    rows.forEach((words, at) => pen.text(left + 36, top + 18 * at, words, { size: 14 }));
    pen.line(left, top, left + 28, top, colours.blue, { "stroke-width": 2 });
    pen.line(left, top + 18, left + 28, top + 18, colours.blue, { "stroke-dasharray": "2 4", "stroke-width": 2 });
    pen.line(left, top + 36, left + 28, top + 36, colours.vermilion, { "stroke-dasharray": "6 4" });
    pen.rect(left + 10, top + 50, 8, 8, colours.green);
  }

  course.slider("ghosts", {
    shows: "Bars: weights of an ordinary 1 × 1 convolution and of a ghost module; curve: their ratio against the "
      + "channels in.",
    height: 372,
    numbers,
    draw,
    words(data, { channels, parts, kernel }, n) {
      return `${channels} channels in, ${data.out} out, ${named(parts, kernel)}: ${number(n.primary + n.ghosts)} weights `
        + `instead of ${number(n.ordinary)}, ratio ${number(n.ratio, 2)}. Break-even at ${n.even} channels in; with many `
        + `channels the ratio tends to ${number(n.limit, 2)}.`;
    },
  });
})();
