/* Which of the published networks to average, and how; what becomes of accuracy and of the soft target. */
(function () {
  "use strict";
  const { maths, number, colours, topOf } = course;

  const ticks = (data, chosen) => data.names.map(name => Number(chosen.includes(name))).join("");
  const alone = (data, member) => data.names.map((_, at) => Number(at === member)).join("");
  const found = (data, how, key) => data.measures[`${data.hows.indexOf(how)} ${key}`];
  const mean = (rows, classes) => classes.map((_, c) => rows.reduce((sum, row) => sum + row[c], 0) / rows.length);

  /* The ensemble's probabilities on the picture, and each chosen member's. */
  function answers(data, { chosen, how, picture }) {
    const logits = data.names.map((name, at) => [name, data.logits[picture][at]])
      .filter(([name]) => chosen.includes(name)).map(([, row]) => row);
    const members = logits.map(row => maths.softened(row, 1));
    if (!members.length) return { members, p: data.classes.map(() => 0) };
    const p = how === data.hows[1] ? mean(members, data.classes) : maths.softened(mean(logits, data.classes), 1);
    return { members, p };
  }

  function numbers(data, settings) {
    const measures = found(data, settings.how, ticks(data, settings.chosen)) || {};
    const named = [
      ["right", `right, of ${number(data.images)} test images`, 0, ""],
      ["accuracy", "accuracy", 2, "%"],
      ["loss", "cross-entropy", 3, "nats"],
      ["entropy", "mean entropy of its answers", 2, "bits"],
      ["differ", "two of them answer differently on", 1, "%"],
      ["together", "both wrong, times as often as independent networks", 2, ""],
    ];
    const rows = named.map(([key, label, digits, unit]) => ({ key, label, digits, unit, value: measures[key] ?? null }));
    const { p } = answers(data, settings);
    data.names.forEach((name, at) => rows.push(
      { key: `alone ${name}`, label: `${name} alone`, value: found(data, settings.how, alone(data, at)).accuracy, digits: 2,
        unit: "%", fine: true }));
    data.classes.forEach((name, c) => rows.push(
      { key: `p ${name}`, label: `probability of ${name} on this image`, value: p[c], digits: 4, fine: true }));
    return rows;
  }

  const TOP = 90, STEP = 33, THICK = 24;

  function draw(pen, data, settings, n) {
    const { chosen, how, picture } = settings, label = data.labels[picture];
    const who = chosen.length === 1 ? `${chosen[0]} alone` : `${chosen.length} of ${data.names.length} networks, ${how}`;
    const title = chosen.length ? `${who}: ${number(n.accuracy, 2)} % right` : "No network is chosen: tick one at least.";
    pen.text(10, 18, title, { bold: true, size: 18 });
    pen.text(10, 60, `test image ${data.places[picture]}: ${data.classes[label]}`);
    pen.image(data.sprite, picture, 10, 78, 210);
    const { members, p } = answers(data, settings), left = 355, wide = 205;
    pen.rect(left - 90, 52, 22, 14, colours.sky);
    pen.text(left - 62, 59, "together");
    pen.dot(left + 40, 59, 5, colours.black);
    pen.text(left + 52, 59, "each alone");
    data.classes.forEach((name, c) => {
      const y = TOP + c * STEP, middle = y + THICK / 2;
      pen.text(left - 8, middle, name, { anchor: "end", bold: c === label });
      pen.rect(left, y, wide * p[c], THICK, colours.sky);
      for (const member of members) pen.dot(left + wide * member[c], middle, 4.5, colours.black, { "fill-opacity": 0.6 });
      if (chosen.length) pen.text(left + wide + 50, middle, number(p[c], 2), { anchor: "end" });
    });
    pen.across(left, left + wide, 0, 1, TOP + 10 * STEP, [0, 0.5, 1], 1);
    pen.text(left + wide / 2, TOP + 10 * STEP + 36, "probability (bold: the label)", { anchor: "middle", size: 14 });
    drawChoices(pen, data, settings, n);
    drawMembers(pen, data, settings, n);
  }

  const all = data => Object.values(data.measures).map(measure => measure.accuracy);

  function drawChoices(pen, data, { chosen, how }, n) {
    const accuracies = all(data), most = data.names.length, left = 735, right = 985;
    const low = Math.min(...accuracies) - 0.3, high = Math.max(...accuracies) + 0.3;
    const y = pen.up(230, 80, low, high, left, right, course.ticks(low, high), 1);
    const x = pen.across(left, right, 0.5, most + 0.5, 230, data.names.map((_, at) => at + 1));
    pen.text(right, 59, "accuracy (%) of every choice; ring: yours", { anchor: "end", size: 15 });
    pen.text((left + right) / 2, 264, "networks", { anchor: "middle", size: 14 });
    for (const [key, measure] of Object.entries(data.measures)) {
      const [number_, choice] = key.split(" ");
      if (data.hows[number_] === how)
        pen.dot(x(choice.split("1").length - 1), y(measure.accuracy), 4.5, colours.blue, { "fill-opacity": 0.6 });
    }
    if (chosen.length) pen.ring(x(chosen.length), y(n.accuracy), 10);
  }

  function drawMembers(pen, data, { chosen }, n) {
    const accuracies = all(data), left = 780, right = 985, bottom = 415;
    const low = Math.min(...accuracies) - 0.3, high = Math.max(...accuracies) + 0.3;
    const x = pen.across(left, right, low, high, bottom, course.ticks(low, high), 0);
    pen.text((left + right) / 2, bottom + 36, "accuracy (%); full: chosen", { anchor: "middle", size: 14 });
    data.names.forEach((name, at) => {
      const y = 318 + 90 * at / Math.max(1, data.names.length - 1), value = n[`alone ${name}`];
      pen.text(left - 10, y, name, { anchor: "end", size: 15 });
      pen.dot(x(value), y, 6, chosen.includes(name) ? colours.blue : "#fff", { stroke: colours.blue, "stroke-width": 2 });
    });
    if (!chosen.length) return;
    pen.line(x(n.accuracy), 305, x(n.accuracy), bottom, colours.vermilion, { "stroke-width": 2.5 });
    pen.text(x(n.accuracy), 294, "together", { anchor: "middle", fill: "#a34700", size: 14 });
  }

  course.slider("ensemble", {
    shows: "A test image, bars for the ensemble's probabilities with a dot for each network, the accuracy of all "
      + "possible choices, and that of each network. All numbers are in the tables below.",
    height: 470,
    numbers,
    draw,
    words(data, settings, n) {
      const { chosen, how, picture } = settings;
      if (!chosen.length) return "No network is chosen: tick one at least.";
      const { p } = answers(data, settings), [first, second] = topOf(p);
      const pairs = n.together === null ? "" : ` Two of them answer differently on ${number(n.differ, 1)} % of the images, `
        + `and are both wrong ${number(n.together, 2)} times as often as independent ones.`;
      return `${chosen.join(", ")}; ${how}: accuracy ${number(n.accuracy, 2)} %, ${number(n.right)} of `
        + `${number(data.images)} test images.${pairs} Test image ${data.places[picture]} `
        + `(${data.classes[data.labels[picture]]}): ${data.classes[first]} ${number(p[first], 2)}, `
        + `${data.classes[second]} ${number(p[second], 2)}.`;
    },
  });
})();
