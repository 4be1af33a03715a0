/* What a teacher says of a test image at T, what Eq. 1 makes of it for the student, and where each term pulls. */
(function () {
  "use strict";
  const { maths, number, colours, topOf } = course;

  function at(data, settings) {
    const image = settings.picture;
    return { teacher: data.teacher[image], student: data.student[image], label: data.labels[image] };
  }

  function numbers(data, { temperature, alpha, picture }) {
    const { teacher, student, label } = at(data, { picture });
    const terms = maths.terms(teacher, student, label, temperature, alpha);
    const pulls = maths.gradients(teacher, student, label, temperature);
    const soft = maths.softened(teacher, temperature), plain = maths.softened(teacher, 1);
    const answer = maths.softened(student, temperature);
    const found = [
      { key: "entropy", label: "teacher's entropy at T", value: maths.entropyBits(soft), digits: 2, unit: "bits" },
      { key: "hard", label: "hard: cross-entropy with the label", value: terms.hard, digits: 3, unit: "nats" },
      { key: "soft", label: "soft: T²·KL(teacher, student)", value: terms.soft, digits: 3, unit: "nats" },
      { key: "total", label: "Eq. 1: alpha × hard + (1 − alpha) × soft", value: terms.total, digits: 3, unit: "nats" },
    ];
    data.classes.forEach((name, c) => {
      const gradient = alpha * pulls.hard[c] + (1 - alpha) * pulls.soft[c];
      found.push(
        { key: `teacher ${name}`, label: `teacher at T: ${name}`, value: soft[c], digits: 4, fine: true },
        { key: `plain ${name}`, label: `teacher at T = 1: ${name}`, value: plain[c], digits: 4, fine: true },
        { key: `student ${name}`, label: `student at T: ${name}`, value: answer[c], digits: 4, fine: true },
        { key: `hard ${name}`, label: `gradient of the hard term: ${name}`, value: pulls.hard[c], digits: 4, fine: true },
        { key: `soft ${name}`, label: `gradient of the soft term: ${name}`, value: pulls.soft[c], digits: 4, fine: true },
        { key: `gradient ${name}`, label: `gradient of Eq. 1: ${name}`, value: gradient, digits: 4, fine: true });
    });
    return found;
  }

  /* The largest part of Eq. 1 and of its gradient over the temperatures: scales that only the picture moves. */
  function reach({ teacher, student, label }, temperature) {
    const all = [0.5, 1, 2, 4, 8, 20, temperature];
    const terms = all.map(t => maths.terms(teacher, student, label, t, 1));
    const pulls = all.map(t => maths.gradients(teacher, student, label, t));
    return {
      loss: Math.max(0.1, ...terms.flatMap(each => [each.hard, each.soft])),
      pull: Math.max(0.01, ...pulls.flatMap(each => [...each.hard, ...each.soft].map(Math.abs))),
    };
  }

  const TOP = 96, STEP = 31, THICK = 22;

  function draw(pen, data, settings, n) {
    const { alpha, picture, temperature } = settings, parts = at(data, settings), most = reach(parts, temperature);
    const name = data.classes[parts.label];
    pen.text(10, 18, `T = ${temperature}, alpha = ${alpha.toFixed(2)}: Eq. 1 gives ${number(n.total, 2)} nats`,
             { bold: true, size: 18 });
    pen.image(data.sprite, picture, 10, 80, 210);
    pen.text(10, 62, `test image ${data.places[picture]}: ${name}`);
    pen.text(10, 325, `Teacher's entropy: ${number(n.entropy, 2)} bits`);
    pen.rect(10, 340, 210 * n.entropy / Math.log2(data.classes.length), 18, colours.sky);
    pen.outline(10, 340, 210, 18);
    pen.text(10, 374, `full bar: ${number(Math.log2(data.classes.length), 2)} bits, all classes alike`, { size: 14 });
    drawAnswers(pen, data, parts, n);
    drawPulls(pen, data, parts, n, alpha, most.pull);
    drawLoss(pen, alpha, n, most.loss);
  }

  function drawAnswers(pen, data, parts, n) {
    const left = 355, wide = 190;
    pen.rect(245, 36, 22, 14, colours.sky);
    pen.text(272, 43, "teacher at T");
    pen.outline(382, 36, 22, 14);
    pen.text(409, 43, "at T = 1");
    pen.diamond(492, 43, 7, colours.vermilion);
    pen.text(504, 43, "student at T");
    pen.text(596, 76, "teacher", { anchor: "end", size: 14 });
    pen.text(662, 76, "student", { anchor: "end", size: 14 });
    data.classes.forEach((name, c) => {
      const y = TOP + c * STEP, middle = y + THICK / 2;
      pen.text(left - 8, middle, name, { anchor: "end", bold: c === parts.label });
      pen.rect(left, y, wide * n[`teacher ${name}`], THICK, colours.sky);
      pen.outline(left, y, wide * n[`plain ${name}`], THICK);
      pen.diamond(left + wide * n[`student ${name}`], middle, 7, colours.vermilion);
      pen.text(596, middle, number(n[`teacher ${name}`], 2), { anchor: "end" });
      pen.text(662, middle, number(n[`student ${name}`], 2), { anchor: "end" });
    });
    pen.across(left, left + wide, 0, 1, TOP + 10 * STEP, [0, 0.5, 1], 1);
    pen.text(left + wide / 2, TOP + 10 * STEP + 36, "probability (bold: the label)", { anchor: "middle", size: 14 });
  }

  function drawPulls(pen, data, parts, n, alpha, most) {
    const middle = 830, half = 150;
    pen.rect(680, 36, 22, 14, colours.orange);
    pen.text(707, 43, "hard part");
    pen.rect(785, 36, 22, 14, colours.blue);
    pen.text(812, 43, "soft part");
    pen.dot(893, 43, 6, colours.black);
    pen.text(904, 43, "together");
    data.classes.forEach((name, c) => {
      const y = TOP + c * STEP, scale = half / most;
      pen.rect(middle, y, scale * alpha * n[`hard ${name}`], THICK / 2, colours.orange);
      pen.rect(middle, y + THICK / 2, scale * (1 - alpha) * n[`soft ${name}`], THICK / 2, colours.blue);
      pen.dot(middle + scale * n[`gradient ${name}`], y + THICK / 2, 5, colours.black);
    });
    pen.line(middle, TOP - 6, middle, TOP + 10 * STEP);
    const tick = Math.max(...course.ticks(0, most));
    pen.across(middle - half, middle + half, -most, most, TOP + 10 * STEP, [-tick, 0, tick], most < 0.5 ? 2 : 1);
    pen.text(middle, TOP + 10 * STEP + 36, "gradient of the loss with the student's logit", { anchor: "middle", size: 14 });
    pen.text(middle - 8, TOP - 20, "← raises the logit", { anchor: "end", size: 14 });
    pen.text(middle + 8, TOP - 20, "lowers it →", { size: 14 });
  }

  function drawLoss(pen, alpha, n, most) {
    const left = 355, scale = 555 / most, top = 474;
    [["hard: cross-entropy", n.hard, 0, colours.orange], ["soft: T²·KL", 0, n.soft, colours.blue],
     ["Eq. 1", alpha * n.hard, (1 - alpha) * n.soft, colours.orange]].forEach(([words, first, second], line) => {
      const y = top + 28 * line;
      pen.text(left - 8, y + 10, words, { anchor: "end" });
      pen.rect(left, y, scale * first, 20, colours.orange);
      pen.rect(left + scale * first, y, scale * second, 20, colours.blue);
      pen.text(left + scale * (first + second) + 8, y + 10, `${number(first + second, 2)} nats`);
    });
    pen.text(10, top + 10, "Student's loss", { bold: true });
    pen.text(10, top + 34, "(each image has a scale of its own)", { size: 14 });
  }

  course.slider("temperature", {
    shows: "A test image, bars for the teacher's probabilities and its entropy, the gradient of both parts of the "
      + "loss for each class, and the parts of the loss. All numbers are in the tables below.",
    height: 565,
    adopt: (data, given) => "picture" in given ? { ...given, picture: data.lesson[given.picture] } : given,
    numbers,
    draw,
    words(data, { temperature, alpha, picture }, n) {
      const soft = data.classes.map(name => n[`teacher ${name}`]);
      const likely = topOf(soft).slice(0, 3).map(c => `${data.classes[c]} ${number(soft[c], 2)}`).join(", ");
      return `T = ${temperature}, alpha = ${alpha.toFixed(2)}, test image ${data.places[picture]} `
        + `(${data.classes[data.labels[picture]]}): the teacher gives ${likely}; entropy ${number(n.entropy, 2)} bits; `
        + `Eq. 1: ${alpha.toFixed(2)} × ${number(n.hard, 2)} + ${(1 - alpha).toFixed(2)} × ${number(n.soft, 2)} = `
        + `${number(n.total, 2)}.`;
    },
  });
})();
