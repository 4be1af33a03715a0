/* A schedule of learning rates, and the expected loss of a noisy parabola: formulas of classroom/sliders/schedule.py. */
(function () {
  "use strict";
  const { number, colours } = course;

  /* As course_lib.training.recipe.learning_rate, with cosine decay. */
  function rates({ steps, lowest }, warmup, peak) {
    const warm = Math.trunc(warmup * steps);
    return Array.from({ length: steps }, (_, step) => {
      const progress = (step - warm) / Math.max(1, steps - 1 - warm);
      return lowest + (peak - lowest) * (step < warm ? step / warm : 0.5 * (1 + Math.cos(Math.PI * progress)));
    });
  }

  /* Before the first step and after each; means and covariances of place and velocity in every direction. */
  function expectedLosses({ curvatures, noise, momentum: m }, everyRate) {
    const state = curvatures.map(h => ({ h, xx: 1 / h, xv: 0, vv: 0 }));
    const loss = () => 0.5 * state.reduce((sum, { h, xx }) => sum + h * xx, 0), losses = [loss()];
    for (const rate of everyRate) {
      for (const s of state) {
        const { h, xx, xv, vv } = s, keep = 1 - rate * (1 + m) * h, pull = -rate * m ** 2, push = -rate * (1 + m);
        s.xx = keep ** 2 * xx + 2 * keep * pull * xv + pull ** 2 * vv + (push * noise) ** 2;
        s.xv = keep * h * xx + (keep * m + pull * h) * xv + pull * m * vv + push * noise ** 2;
        s.vv = h ** 2 * xx + 2 * h * m * xv + m ** 2 * vv + noise ** 2;
      }
      losses.push(loss());
    }
    return losses;
  }

  function curves(data, { warmup, peak }) {
    const every = rates(data, warmup, peak);
    return { every, ours: expectedLosses(data, every), flat: expectedLosses(data, every.map(() => peak)) };
  }

  const finite = value => Number.isFinite(value) ? value : null;

  function numbers(data, settings) {
    const { every, ours, flat } = curves(data, settings);
    return [
      { key: "start", label: "expected loss before the first step", value: ours[0], digits: 2 },
      { key: "end", label: "at the end, under this schedule", value: finite(ours.at(-1)), digits: 2 },
      { key: "top", label: "at its highest, under this schedule", value: finite(Math.max(...ours)), digits: 2 },
      { key: "flat", label: "at the end, with the peak rate at every step", value: finite(flat.at(-1)), digits: 2 },
      { key: "flat top", label: "at its highest, with the peak rate at every step", value: finite(Math.max(...flat)), digits: 2 },
      { key: "half", label: "half-way, under this schedule", value: finite(ours[data.steps / 2]), digits: 2 },
      { key: "flat half", label: "half-way, with the peak rate at every step", value: finite(flat[data.steps / 2]), digits: 2 },
      { key: "rate half", label: "rate half-way", value: every[data.steps / 2], digits: 5 },
    ];
  }

  const ending = (n, last, top) => last === null || last > n.start ? "diverges"
    : `ends at ${number(last, 2)}${top > 1.5 * n.start ? ` after a climb to ${number(top, 1)}` : ""}`;

  function draw(pen, data, settings, n) {
    const { warmup, peak } = settings, { every, ours, flat } = curves(data, settings), top = 80, bottom = 320;
    const highest = 1.05 * data.controls.peak.high, [low, high] = data.range, ticks = [0, 100, 200, 300, 400];
    pen.text(10, 18, `Warm-up ${number(100 * warmup)} % of the steps, peak rate ${number(peak, 4)}: the loss ${ending(n, n.end, n.top)}`,
             { bold: true, size: 18 });
    pen.text(30, 58, "rate of each step", { size: 15 });
    const y = pen.up(bottom, top, 0, highest, 70, 460, [0, 0.01, 0.02, 0.03, 0.04, 0.05], 2);
    const x = pen.across(70, 460, 0, data.steps, bottom, ticks);
    pen.line(x(0), y(peak), x(data.steps), y(peak), colours.vermilion, { "stroke-dasharray": "6 4", "stroke-width": 2 });
    pen.line(x(warmup * data.steps), top, x(warmup * data.steps), bottom, colours.black, { "stroke-dasharray": "2 4" });
    pen.path(every.map((rate, step) => [x(step), y(rate)]), colours.blue, { "stroke-width": 3 });
    pen.text(560, 58, "expected loss of the noisy parabola", { size: 15 });
    const up = pen.up(bottom, top, low, high, 590, 980, [0.1, 1, 10, 100], null, Math.log);
    const along = pen.across(590, 980, 0, data.steps, bottom, ticks), inside = pen.inside(590, top, 390, bottom - top);
    const points = losses => losses.map((loss, step) => [along(step), up(Math.min(finite(loss) ?? Infinity, 100 * high))]);
    inside.path(points(flat), colours.vermilion, { "stroke-dasharray": "6 4" });
    inside.path(points(ours), colours.blue, { "stroke-width": 3 });
    [["peak rate at every step", colours.vermilion, "6 4"], ["this schedule", colours.blue, "none"]].forEach(([words, colour, dashes], at) => {
      pen.line(740, 98 + 22 * at, 780, 98 + 22 * at, colour, { "stroke-dasharray": dashes, "stroke-width": 2.5 });
      pen.text(790, 98 + 22 * at, words, { size: 14 });
    });
    for (const middle of [265, 785]) pen.text(middle, bottom + 38, "step", { anchor: "middle", size: 14 });
  }

  course.slider("schedule", {
    shows: "Left a learning-rate schedule, with its peak dashed and the end of the warm-up dotted; right the expected "
      + "loss of a noisy parabola under it, and dashed under the peak rate at every step.",
    height: 372,
    numbers,
    draw,
    words(data, { warmup, peak }, n) {
      return `Warm-up over ${number(100 * warmup)} % of ${data.steps} steps to a peak rate of ${number(peak, 4)}: the `
        + `parabola's expected loss starts at ${number(n.start, 1)} and ${ending(n, n.end, n.top)}; with the peak rate at `
        + `every step it ${ending(n, n.flat, n["flat top"])}.`;
    },
  });
})();
