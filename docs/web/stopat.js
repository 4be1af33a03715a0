/* What a network of the paper knew after epoch N of its authors' run, and how high its rate still was. */
(function () {
  "use strict";
  const { number, colours } = course;

  function numbers(data, { epoch, network }) {
    const seen = data.accuracies[network].slice(0, epoch), last = seen.slice(-data.swing - 1);
    const changes = last.slice(1).map((value, at) => Math.abs(value - last[at]));
    const swing = changes.length ? changes.reduce((sum, value) => sum + value, 0) / changes.length : null;
    return [
      { key: "accuracy", label: "test accuracy after this epoch", value: seen[epoch - 1], digits: 2, unit: "%" },
      { key: "best", label: "best test accuracy so far", value: Math.max(...seen), digits: 2, unit: "%" },
      { key: "rate", label: "learning rate at the end of this epoch", value: data.rates[epoch - 1], digits: 5 },
      { key: "swing", label: `mean change over the ${changes.length} epochs before`, value: swing, digits: 1,
        unit: "points" },
    ];
  }

  function draw(pen, data, { epoch, network }, n) {
    const left = 90, right = 980, epochs = data.rates.length;
    pen.text(10, 18, `${network}, stopped after epoch ${epoch} of ${epochs}: ${number(n.accuracy, 2)} % right`,
             { bold: true, size: 18 });
    const x = value => left + (right - left) * value / epochs;
    const curve = (values, y, fill) => {
      pen.path(values.map((value, at) => [x(at + 1), y(value)]), colours.blue);
      pen.dot(x(epoch), y(values[epoch - 1]), 7, fill);
    };
    const high = pen.up(290, 60, 0, 100, left, right, [0, 25, 50, 75, 100]);
    pen.text(left + 8, 50, "test accuracy (%)", { size: 15 });
    curve(data.accuracies[network].slice(0, epoch), high, colours.vermilion);
    pen.text(Math.min(x(epoch) + 14, right - 70), Math.max(80, high(n.accuracy) + 34), `${number(n.accuracy, 2)} %`,
             { bold: true });
    const most = Math.max(...data.rates);
    const low = pen.up(430, 340, 0, 1.1 * most, left, right, [0, most / 2, most], 4);
    pen.text(left + 8, 328, "learning rate (the paper's schedule)", { size: 15 });
    curve(data.rates.slice(0, epoch), low, colours.vermilion);
    pen.across(left, right, 0, epochs, 430, [0, 50, 100, 150, 200].filter(tick => tick <= epochs));
    pen.text((left + right) / 2, 468, "epoch", { anchor: "middle", size: 15 });
    pen.line(x(epoch), 60, x(epoch), 430, colours.black, { "stroke-dasharray": "4 3" });
  }

  course.slider("stopat", {
    shows: "A training run of the paper's authors, stopped after an epoch: test accuracy and learning rate.",
    height: 485,
    numbers,
    draw,
    words(data, { epoch, network }, n) {
      const swing = n.swing === null ? ""
        : `; the ${Math.min(epoch - 1, data.swing)} epochs before changed it by ${number(n.swing, 1)} points each`;
      return `${network}, stopped after epoch ${epoch} of ${data.rates.length}: ${number(n.accuracy, 2)} % of the test `
        + `images, the best so far ${number(n.best, 2)} %, the rate at ${number(n.rate, 5)}${swing}.`;
    },
  });
})();
