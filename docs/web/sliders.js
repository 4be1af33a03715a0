/* What all moving pages are made of: controls from data, a picture in SVG, numbers in words and in a table.
 *
 * No page may fetch or import when it is opened from a folder, so these are classic scripts: each slider registers
 * itself with `course.slider(name, {...})`, its numbers come in data-NAME.js, and the frame puts both into every
 * `<div class="course-slider" data-slider="NAME" data-settings="{...}">`. Without JavaScript the still picture stays.
 */
(function () {
  "use strict";
  const course = (window.course = window.course || { data: {} });
  course.sliders = {};
  course.colours = { black: "#000000", blue: "#0072B2", vermilion: "#D55E00", green: "#009E73", sky: "#56B4E9",
                     orange: "#E69F00", grey: "#767676", pale: "#d9d9d9" };

  /* Registers a slider:
   *   shows             what there is to see, for those who cannot see it
   *   height            of the picture; it is 1000 wide
   *   numbers(data, settings)         a list of {key, label, value, digits, unit, fine}; fine ones stay folded
   *   draw(pen, data, settings, n)    n: the values by key
   *   words(data, settings, n)        a sentence or two with the key numbers
   *   adopt(data, settings)           optional: settings of the notebook's slider as this one takes them
   *   data                            optional: another slider whose numbers this one shows too
   */
  course.slider = (name, slider) => { course.sliders[name] = slider; };

  // --- Eq. 1 in double precision, as classroom/sliders/softening.py -----------------------------
  const logSoftened = (logits, temperature) => {
    const scaled = logits.map(value => value / temperature);
    const most = Math.max(...scaled);
    const moved = scaled.map(value => value - most);
    const sum = Math.log(moved.reduce((total, value) => total + Math.exp(value), 0));
    return moved.map(value => value - sum);
  };
  const maths = course.maths = {
    logSoftened,
    softened: (logits, temperature) => logSoftened(logits, temperature).map(Math.exp),
    entropyBits: p => p.reduce((sum, share) => sum - (share > 0 ? share * Math.log2(share) : 0), 0),
    kl(teacher, student, temperature) {
      const p = logSoftened(teacher, temperature), q = logSoftened(student, temperature);
      return Math.max(0, p.reduce((sum, value, at) => sum + Math.exp(value) * (value - q[at]), 0));
    },
    terms(teacher, student, label, temperature, alpha) {
      const hard = 0 - logSoftened(student, 1)[label];
      const soft = temperature ** 2 * maths.kl(teacher, student, temperature);
      return { hard, soft, total: alpha * hard + (1 - alpha) * soft };
    },
    gradients(teacher, student, label, temperature) {
      const p = maths.softened(teacher, temperature), q = maths.softened(student, temperature);
      return {
        hard: maths.softened(student, 1).map((share, at) => share - (at === label ? 1 : 0)),
        soft: q.map((share, at) => temperature * (share - p[at])),
      };
    },
  };
  course.topOf = values => values.map((value, at) => at).sort((a, b) => values[b] - values[a] || a - b);

  // --- words and elements -----------------------------------------------------------------------
  course.number = (value, digits = 0, unit = "") => {
    if (value === null || value === undefined || Number.isNaN(value)) return "none";
    const text = value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return (text === "-0" || /^-0\.0+$/.test(text) ? text.slice(1) : text) + (unit ? ` ${unit}` : "");
  };
  course.short = count => {
    for (const [unit, name] of [[1e6, " M"], [1e3, " k"]])
      if (count >= unit) return (count / unit).toFixed(count / unit >= 100 ? 0 : count / unit >= 10 ? 1 : 2) + name;
    return String(Math.round(count));
  };
  const element = course.element = (name, attributes = {}, ...inside) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === false || value === null || value === undefined) continue;
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else made.setAttribute(key, value === true ? "" : value);
    }
    made.append(...inside);
    return made;
  };

  /* Draws on an SVG that is 1000 wide. */
  class Pen {
    constructor(svg) { this.svg = svg; }
    clear() { this.svg.replaceChildren(); }
    add(name, attributes, text) {
      const made = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      if (text !== undefined) made.textContent = text;
      this.svg.append(made);
      return made;
    }
    rect(x, y, width, height, fill, more = {}) {
      const [left, wide] = width < 0 ? [x + width, -width] : [x, width];
      return this.add("rect", { x: left, y, width: wide, height, fill, ...more });
    }
    outline(x, y, width, height) {
      return this.rect(x, y, width, height, "none", { stroke: course.colours.black, "stroke-width": 1.5 });
    }
    line(x1, y1, x2, y2, stroke = course.colours.black, more = {}) {
      return this.add("line", { x1, y1, x2, y2, stroke, "stroke-width": 1.5, ...more });
    }
    /* What is drawn with it is cut off at the box's edges. */
    inside(x, y, width, height) {
      return new Pen(this.add("svg", { x, y, width, height, viewBox: `${x} ${y} ${width} ${height}` }));
    }
    path(points, stroke, more = {}) {
      const d = points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
      return this.add("path", { d, fill: "none", stroke, "stroke-width": 2, ...more });
    }
    dot(x, y, radius, fill, more = {}) { return this.add("circle", { cx: x, cy: y, r: radius, fill, ...more }); }
    ring(x, y, radius = 9, stroke = course.colours.vermilion) {
      return this.dot(x, y, radius, "none", { stroke, "stroke-width": 3 });
    }
    diamond(x, y, size, fill) {
      return this.add("path", { d: `M${x - size} ${y}L${x} ${y - size}L${x + size} ${y}L${x} ${y + size}Z`, fill });
    }
    text(x, y, words, { anchor = "start", bold = false, fill = course.colours.black, size = 16 } = {}) {
      const style = { "text-anchor": anchor, "font-weight": bold ? 600 : 400, "font-size": size, fill };
      return this.add("text", { x, y: y + 0.36 * size, ...style }, words);
    }
    /* One image of a sprite, `wide` across. */
    image(sprite, place, x, y, wide) {
      const { columns, rows, width, height, address } = sprite;
      const column = place % columns, row = Math.floor(place / columns);
      const box = this.add("svg", { x, y, width: wide, height: wide * height / width,
                                    viewBox: `${column * width} ${row * height} ${width} ${height}` });
      const image = document.createElementNS("http://www.w3.org/2000/svg", "image");
      const size = { href: address, width: columns * width, height: rows * height, style: "image-rendering: pixelated" };
      for (const [key, value] of Object.entries(size)) image.setAttribute(key, value);
      box.append(image);
    }
    /* An axis along the bottom of a panel; returns x of a value. Ticks show `digits` after the point, or, where that is
     * null, as many as each has; `scale` bends the axis: Math.log. */
    across(left, right, low, high, y, ticks, digits = 0, scale = value => value) {
      const x = value => left + (right - left) * (scale(value) - scale(low)) / (scale(high) - scale(low));
      this.line(left, y, right, y);
      for (const tick of ticks) {
        this.line(x(tick), y, x(tick), y + 5);
        this.text(x(tick), y + 17, tickWords(tick, digits), { anchor: "middle", size: 14 });
      }
      return x;
    }
    /* An axis up the left of a panel with pale lines across; returns y of a value. */
    up(bottom, top, low, high, left, right, ticks, digits = 0, scale = value => value) {
      const y = value => bottom - (bottom - top) * (scale(value) - scale(low)) / (scale(high) - scale(low));
      for (const tick of ticks) {
        this.line(left, y(tick), right, y(tick), course.colours.pale, { "stroke-width": 1 });
        this.text(left - 6, y(tick), tickWords(tick, digits), { anchor: "end", size: 14 });
      }
      this.line(left, bottom, left, top);
      return y;
    }
  }
  course.Pen = Pen;
  const tickWords = (tick, digits) => digits === null ? String(tick) : course.number(tick, digits);

  /* Round ticks between two ends, some four of them. */
  course.ticks = (low, high) => {
    const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map(times => times * power).find(each => each >= rough * 0.999);
    const found = [];
    for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + 1e-9 * step; tick += step)
      found.push(Math.round(tick / step) * step);
    return found;
  };

  // --- controls ---------------------------------------------------------------------------------
  let counted = 0;
  const round = value => Number(value.toFixed(10));
  const plain = value => typeof value === "number" ? course.number(value) : String(value);

  /* A control with its label; `read` gives its value, `changed` is called as it moves. */
  function makeControl(name, control, value, changed) {
    const id = `course-control-${++counted}`;
    if (control.kind === "ticks") return makeTicks(name, control, value, changed);
    const label = element("label", { for: id }, control.label);
    if (control.kind === "choice" && typeof control.start === "string") {
      const menu = element("select", { id, name, onchange: changed });
      for (const option of control.options) menu.append(element("option", { value: option }, option));
      menu.value = value;
      return { element: element("p", { class: "course-control" }, label, menu), read: () => menu.value };
    }
    const options = control.kind === "choice" ? control.options : null;
    const low = options ? 0 : control.log ? Math.log10(control.low) : control.low;
    const high = options ? options.length - 1 : control.log ? Math.log10(control.high) : control.high;
    const step = options ? 1 : control.step;
    const at = options ? Math.max(0, options.indexOf(value)) : control.log ? Math.log10(value) : value;
    const range = element("input", { type: "range", id, name, min: low, max: high, step });
    range.value = at;
    const shown = element("output", { for: id });
    const read = () => {
      const place = round(Number(range.value));
      return options ? options[place] : control.log ? 10 ** place : place;
    };
    const say = () => {
      const words = options ? plain(read()) : course.number(read(), control.digits);
      shown.textContent = words;
      range.setAttribute("aria-valuetext", words);
    };
    range.addEventListener("input", () => { say(); changed(); });
    say();
    return { element: element("p", { class: "course-control" }, label, range, shown), read };
  }

  function makeTicks(name, control, value, changed) {
    const boxes = control.options.map((option, at) => {
      const box = element("input", { type: "checkbox", name, value: option, onchange: changed });
      box.checked = value.includes(option);
      return { option, box, label: element("label", {}, box, ` ${control.labels[at]}`) };
    });
    const read = () => boxes.filter(each => each.box.checked).map(each => each.option);
    const field = element("fieldset", { class: "course-control" }, element("legend", {}, control.label || name),
                          ...boxes.map(each => each.label));
    return { element: field, read };
  }

  // --- the frame --------------------------------------------------------------------------------
  function startAt(controls, given) {
    const settings = {};
    for (const [name, control] of Object.entries(controls)) {
      const value = given[name], known = control.options;
      const right = value === undefined ? false
        : control.kind === "range" ? typeof value === "number" && value >= control.low && value <= control.high
        : control.kind === "choice" ? known.includes(value)
        : Array.isArray(value) && value.every(one => known.includes(one));
      settings[name] = right ? value : control.start;
    }
    return settings;
  }

  function row(number) {
    const value = number.value === null ? element("span", {}, "none")
      : element("data", { value: number.value, "data-key": number.key },
                course.number(number.value, number.digits, number.unit));
    return element("tr", {}, element("th", { scope: "row" }, number.label), element("td", {}, value));
  }

  /* Puts a slider into `place`; returns a function that shows settings, or null where its data is not on the page. */
  course.mount = place => {
    const name = place.dataset.slider, slider = course.sliders[name], data = slider && course.data[slider.data || name];
    if (!data) return null;
    let given = JSON.parse(place.dataset.settings || "{}");
    if (slider.adopt) given = slider.adopt(data, given);
    const settings = startAt(data.controls, given), controls = {};
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", `0 0 1000 ${slider.height}`);
    svg.setAttribute("role", "img");
    const words = element("p", { role: "status", "aria-live": "polite", class: "course-words" });
    const facts = element("table", { class: "course-numbers" }), all = element("table", { class: "course-numbers" });
    const pen = new Pen(svg);
    const show = () => {
      for (const [each, control] of Object.entries(controls)) settings[each] = control.read();
      const numbers = slider.numbers(data, settings);
      const values = Object.fromEntries(numbers.map(number => [number.key, number.value]));
      pen.clear();
      slider.draw(pen, data, settings, values);
      words.textContent = slider.words(data, settings, values);
      svg.setAttribute("aria-label", `${slider.shows} ${words.textContent}`);
      facts.replaceChildren(...numbers.filter(number => !number.fine).map(row));
      all.replaceChildren(...numbers.filter(number => number.fine).map(row));
      more.hidden = !all.children.length;
    };
    const form = element("form", { class: "course-controls", onsubmit: event => event.preventDefault() });
    for (const [each, control] of Object.entries(data.controls)) {
      controls[each] = makeControl(each, control, settings[each], show);
      form.append(controls[each].element);
    }
    const more = element("details", { class: "course-more" }, element("summary", {}, "All numbers"), all);
    for (const child of place.children) child.hidden = true; // the still picture, for readers without JavaScript
    place.append(form, element("div", { class: "course-drawing", tabindex: 0, role: "group",
                                        "aria-label": "picture" }, svg), words, facts, more);
    if (data.note) place.append(element("p", { class: "course-note" }, data.note));
    place.classList.add("course-moves");
    show();
    return show;
  };

  document.addEventListener("DOMContentLoaded", () => {
    for (const place of document.querySelectorAll(".course-slider[data-slider]")) course.mount(place);
  });
})();
