/* How long Eq. 1's gradient is over all temperatures and alphas, and what it pulls at: classroom/sliders/surface.py. */
(function () {
  "use strict";
  const { maths, number, colours } = course;
  // cividis in bands of equal height: light is high for every eye, and borders are lines of equal value.
  const BANDS = ["#00224e", "#013271", "#2f426d", "#48526c", "#5e636f", "#727374", "#878478", "#9d9576", "#b6a96f",
                 "#cebc63", "#e7d150", "#fee838"];
  const COLUMNS = 96, ROWS = 64; // temperatures on a logarithmic scale, and alphas

  const at = (data, picture) => [data.teacher[picture], data.student[picture], data.labels[picture]];
  const norm = values => Math.hypot(...values);

  /* A step's pull on every logit: the label's part, the teacher's part and their sum. */
  function pullsOf(parts, temperature, alpha) {
    const { hard, soft } = maths.gradients(...parts, temperature);
    const label = hard.map(value => -alpha * value), teacher = soft.map(value => -(1 - alpha) * value);
    return { label, teacher, sum: label.map((value, c) => value + teacher[c]) };
  }

  /* The gradient's size: a row for each alpha from 0 up, a column for each temperature. */
  function surface(data, picture) {
    const { low, high } = data.controls.temperature, parts = at(data, picture);
    const pulls = Array.from({ length: COLUMNS }, (_, column) =>
      maths.gradients(...parts, low * (high / low) ** (column / (COLUMNS - 1))));
    return Array.from({ length: ROWS }, (_, row) => pulls.map(({ hard, soft }) => {
      const alpha = row / (ROWS - 1);
      return norm(hard.map((value, c) => alpha * value + (1 - alpha) * soft[c]));
    }));
  }

  function numbers(data, { temperature, alpha, picture }) {
    const parts = at(data, picture), pulls = pullsOf(parts, temperature, alpha), sizes = surface(data, picture).flat();
    const hard = norm(pulls.label), soft = norm(pulls.teacher);
    const product = pulls.label.reduce((sum, value, c) => sum + value * pulls.teacher[c], 0);
    const found = [
      { key: "size", label: "size of Eq. 1's gradient", value: norm(pulls.sum), digits: 3 },
      { key: "hard", label: "size of the label's part", value: hard, digits: 3 },
      { key: "soft", label: "size of the teacher's part", value: soft, digits: 3 },
      { key: "cosine", label: "cosine between both parts", value: Math.min(hard, soft) > 1e-6 ? product / (hard * soft) : null,
        digits: 2 },
      { key: "lowest", label: "smallest size on the surface", value: Math.min(...sizes), digits: 3 },
      { key: "highest", label: "largest size on the surface", value: Math.max(...sizes), digits: 3 },
      { key: "total", label: "Eq. 1", value: maths.terms(...parts, temperature, alpha).total, digits: 3, unit: "nats" },
    ];
    for (const [key, words] of [["label", "the label's pull"], ["teacher", "the teacher's pull"], ["sum", "both pull"]])
      data.classes.forEach((name, c) => found.push(
        { key: `${key} ${name}`, label: `${words} on ${name}`, value: pulls[key][c], digits: 4, fine: true }));
    return found;
  }

  function draw(pen, data, { temperature, alpha, picture }, n) {
    const label = data.labels[picture];
    pen.text(10, 18, `T = ${temperature}, alpha = ${alpha.toFixed(2)}: the gradient of Eq. 1 has size ${number(n.size, 2)}`,
             { bold: true, size: 18 });
    pen.text(10, 62, `test image ${data.places[picture]}: ${data.classes[label]}`);
    pen.image(data.sprite, picture, 10, 80, 210);
    drawSurface(pen, data, temperature, alpha, picture, n);
    drawPulls(pen, data, label, n);
  }

  function drawSurface(pen, data, temperature, alpha, picture, n) {
    const left = 300, right = 612, top = 112, bottom = 400, { low, high } = data.controls.temperature;
    const wide = (right - left) / COLUMNS, tall = (bottom - top) / ROWS, spread = Math.max(n.highest - n.lowest, 1e-12);
    const paths = BANDS.map(() => "");
    surface(data, picture).forEach((sizes, row) => {
      const bands = sizes.map(size => Math.min(BANDS.length - 1, Math.floor(BANDS.length * (size - n.lowest) / spread)));
      for (let from = 0, to = 0; from < COLUMNS; from = to) { // neighbours of one colour as one piece
        while (to < COLUMNS && bands[to] === bands[from]) to++;
        paths[bands[from]] += `M${left + wide * from} ${bottom - tall * row}`
          + `h${wide * (to - from)}v${-tall}h${wide * (from - to)}z`;
      }
    });
    paths.forEach((d, band) => pen.add("path", { d, fill: BANDS[band], "shape-rendering": "crispEdges" }));
    pen.text(left - 50, 62, "size of Eq. 1's gradient", { size: 15 });
    BANDS.forEach((fill, band) => pen.rect(390 + 12 * band, 84, 12, 16, fill));
    pen.text(382, 92, number(n.lowest, 2), { anchor: "end", size: 15 });
    pen.text(542, 92, number(n.highest, 2), { size: 15 });
    const y = pen.up(bottom, top, 0, 1, left, left, [0, 0.5, 1], 1);
    const x = pen.across(left, right, low, high, bottom, [0.5, 1, 2, 4, 8, 16], null, Math.log);
    pen.text((left + right) / 2, bottom + 38, "temperature T", { anchor: "middle", size: 14 });
    pen.text(left - 50, 92, "alpha", { size: 14 });
    pen.dot(x(temperature), y(alpha), 9, colours.vermilion, { stroke: "#fff", "stroke-width": 3 });
  }

  /* The next of 0.001, 0.002, 0.005, 0.01, ... that is not below: an axis that changes seldom. */
  const roundAbove = size => [-3, -2, -1, 0, 1, 2, 3].flatMap(power => [1, 2, 5].map(digit => digit * 10 ** power))
    .find(end => size <= end) ?? size;

  function drawPulls(pen, data, label, n) {
    const middle = 860, half = 122, top = 112, step = 28.8;
    const all = ["label", "teacher", "sum"].flatMap(key => data.classes.map(name => Math.abs(n[`${key} ${name}`])));
    const end = roundAbove(Math.max(...all)), scale = half / end;
    pen.text(655, 62, "A step pulls (bold: the label)", { size: 15 });
    [[colours.orange, "label's"], [colours.blue, "teacher's"]].forEach(([colour, words], place) => {
      pen.rect(655 + 95 * place, 80, 22, 14, colour);
      pen.text(683 + 95 * place, 87, words, { size: 15 });
    });
    pen.diamond(870, 87, 7, colours.vermilion);
    pen.text(884, 87, "sum", { size: 15 });
    data.classes.forEach((name, c) => {
      const y = top + c * step;
      pen.text(middle - half - 8, y + 11, name, { anchor: "end", bold: c === label });
      pen.rect(middle, y, scale * n[`label ${name}`], 10, colours.orange);
      pen.rect(middle, y + 11, scale * n[`teacher ${name}`], 10, colours.blue);
      pen.diamond(middle + scale * n[`sum ${name}`], y + 10.5, 6, colours.vermilion);
    });
    pen.line(middle, top - 4, middle, 400);
    pen.across(middle - half, middle + half, -end, end, 400, [-end, 0, end], null);
    pen.text(middle, 438, "each logit: ← down, up →", { anchor: "middle", size: 14 });
  }

  course.slider("surface", {
    shows: "A test image; the size of Eq. 1's gradient as a surface over temperature and alpha, with a point at the "
      + "present setting; bars for the pull on every logit.",
    data: "temperature",
    height: 452,
    adopt: (data, given) => course.sliders.temperature.adopt(data, given),
    numbers,
    draw,
    words(data, { temperature, alpha, picture }, n) {
      const sums = data.classes.map(name => n[`sum ${name}`]), [up] = course.topOf(sums), down = course.topOf(sums).at(-1);
      const signed = value => (value < 0 ? "−" : "+") + number(Math.abs(value), 2);
      const cosine = n.cosine === null ? "" : `, cosine ${signed(n.cosine)}`;
      return `T = ${temperature}, alpha = ${alpha.toFixed(2)}: Eq. 1 gives ${number(n.total, 2)}; test image `
        + `${data.places[picture]} (${data.classes[data.labels[picture]]}); its gradient has size ${number(n.size, 2)} `
        + `(${number(n.lowest, 2)} to ${number(n.highest, 2)} on the surface), the label's part ${number(n.hard, 2)}, the `
        + `teacher's part ${number(n.soft, 2)}${cosine}. Pulled up most: ${data.classes[up]} ${signed(sums[up])}; down `
        + `most: ${data.classes[down]} ${signed(sums[down])}.`;
    },
  });
})();
