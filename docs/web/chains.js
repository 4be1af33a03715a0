/* Which assistants stand between a teacher and its student, on the problem in the plane. */
(function () {
  "use strict";
  const { number, colours } = course;

  const chainOf = (data, assistants) => [data.teacher, ...assistants, data.student];
  const upTo = (chain, place) => chain.slice(0, place + 1).join("-");
  const signed = value => (value < 0 ? "−" : "+") + number(Math.abs(value), 2);

  function numbers(data, { assistants, points }) {
    const found = data.numbers[points], chain = chainOf(data, assistants), name = chain.join("-");
    const place = data.chains.findIndex(each => each.join() === assistants.join()), [gain, error] = found.gain[place];
    const rows = [
      { key: "accuracy", label: "student is right", value: found.accuracy[name], digits: 1, unit: "%" },
      { key: "gain", label: "gain against the student taught directly", value: gain, digits: 2, unit: "points" },
      { key: "error", label: "two standard errors of the gain", value: 2 * error, digits: 2, unit: "points" },
      { key: "agreement", label: "student answers as the teacher", value: found.agreement[name], digits: 1, unit: "%" },
      { key: "kl", label: "student's KL from the teacher", value: found.kl[name][0], digits: 3, unit: "nats" },
      { key: "teacher", label: "teacher is right", value: found.accuracy[data.teacher], digits: 1, unit: "%" },
      { key: "alone", label: "student without a teacher is right", value: found.accuracy.alone, digits: 1, unit: "%" },
    ];
    chain.forEach((size, at) => rows.push(
      { key: `kl ${size}`, label: `KL of the network with ${size} units from the teacher`, value: found.kl[upTo(chain, at)][0],
        digits: 3, unit: "nats", fine: true },
      { key: `accuracy ${size}`, label: `network with ${size} units is right`, value: found.accuracy[upTo(chain, at)],
        digits: 1, unit: "%", fine: true }));
    return rows;
  }

  const gained = (assistants, n) => assistants.length
    ? `${signed(n.gain)} ± ${number(n.error, 2)} points against direct` : "taught directly";

  function draw(pen, data, { assistants, points }, n) {
    const chain = chainOf(data, assistants);
    pen.text(10, 18, `Chain ${chain.join(" → ")} hidden units, ${points} training points: student ${gained(assistants, n)}`,
             { bold: true, size: 18 });
    chain.forEach((size, at) => {
      const x = 10 + 164 * at, role = at === 0 ? "teacher" : at === chain.length - 1 ? "student" : "assistant";
      pen.text(x, 52, `${role}, ${size} units`, { size: 15 });
      pen.text(x, 72, `right ${number(n[`accuracy ${size}`], 1)} %`, { size: 15 });
      pen.image(data.sprite, data.maps[`${points} ${upTo(chain, at)}`], x, 86, 150);
    });
    drawDistances(pen, data, chain, points);
    drawGains(pen, data, assistants, points);
  }

  function drawDistances(pen, data, chain, points) {
    const everything = Object.values(data.numbers).flatMap(found => Object.values(found.kl).map(pair => pair[0]));
    const left = 70, right = 400, top = 300, bottom = 560, most = 1.25 * Math.max(...everything);
    const y = pen.up(bottom, top, 0, most, left, right, course.ticks(0, most), 1);
    const x = place => left + 30 + (right - left - 60) * place / 5;
    pen.line(left, bottom, right, bottom);
    pen.text(left, top - 20, "KL from the teacher (nats) along the chain", { size: 15 });
    const values = chain.map((_, at) => data.numbers[points].kl[upTo(chain, at)]);
    pen.path(values.map(([mean], at) => [x(at), y(mean)]), colours.blue);
    values.forEach(([mean, error], at) => {
      pen.line(x(at), y(mean - 2 * error), x(at), y(mean + 2 * error));
      pen.dot(x(at), y(mean), 6, colours.blue);
      pen.text(x(at), y(mean + 2 * error) - 16, number(mean, 2), { anchor: "middle", size: 15 });
      pen.text(x(at), bottom + 16, chain[at], { anchor: "middle", size: 15 });
    });
    pen.text((left + right) / 2, bottom + 38, "hidden units of the teacher and of each network", { anchor: "middle", size: 14 });
  }

  function drawGains(pen, data, assistants, points) {
    const gains = data.numbers[points].gain, left = 590, right = 985, top = 300, step = 17;
    const everything = Object.values(data.numbers).flatMap(found => found.gain.map(([mean, error]) => Math.abs(mean) + 2 * error));
    const most = 1.05 * Math.max(...everything), bottom = top + 16 * step;
    pen.text(left - 110, top - 20, "All 16 chains: what their student gains (points ± 2 s.e.)", { size: 15 });
    const ticks = course.ticks(-most, most);
    const x = pen.across(left, right, -most, most, bottom, ticks, ticks.every(Number.isInteger) ? 0 : 1);
    pen.line(x(0), top - 6, x(0), bottom, colours.black, { "stroke-width": 1 });
    data.chains.forEach((chain, at) => {
      const y = top + step * (at + 0.5), [mean, error] = gains[at], mine = chain.join() === assistants.join();
      pen.text(left - 8, y, chain.length ? chain.join("-") : "none (direct)", { anchor: "end", size: 14, bold: mine });
      pen.line(x(mean - 2 * error), y, x(mean + 2 * error), y, colours.sky, { "stroke-width": 4 });
      pen.dot(x(mean), y, 4, colours.blue);
      if (mine) pen.ring(x(mean), y, 8);
    });
  }

  course.slider("chains", {
    shows: "Maps of what each network of a chain answers in a disc, their distance from the teacher, and the gain of all "
      + "16 chains. All numbers are in the tables below.",
    height: 612,
    numbers,
    draw,
    words(data, { assistants, points }, n) {
      return `Chain ${chainOf(data, assistants).join("-")}, ${points} training points. The student agrees with the teacher `
        + `at ${number(n.agreement, 1)} % of the test points and is right at ${number(n.accuracy, 1)} %; `
        + `${gained(assistants, n)}. The teacher is right at ${number(n.teacher, 1)} %, the same student without a teacher `
        + `at ${number(n.alone, 1)} %.`;
    },
  });
})();
