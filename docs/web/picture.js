/* The reader's own picture, shrunk to 32 × 32 and answered by GN-S 1.0x in this page. */
(function () {
  "use strict";
  const SIDE = 32;
  const { element, maths, number, colours, topOf } = course;

  /* The middle square of a picture, averaged down to 32 × 32: bytes (3 × 32 × 32), channel after channel.
   * Every source pixel counts once: browsers shrink in ways of their own. */
  function shrink(source, width, height) {
    const side = Math.min(width, height), large = Math.max(SIDE, Math.min(512, side));
    const canvas = element("canvas", { width: large, height: large }), context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, large, large);
    context.imageSmoothingQuality = "high";
    context.drawImage(source, (width - side) / 2, (height - side) / 2, side, side, 0, 0, large, large);
    const { data } = context.getImageData(0, 0, large, large), pixels = new Uint8ClampedArray(3 * SIDE * SIDE);
    const edge = at => Math.floor(at * large / SIDE);
    for (let row = 0; row < SIDE; row++)
      for (let column = 0; column < SIDE; column++) {
        const sum = [0, 0, 0];
        let count = 0;
        for (let y = edge(row); y < edge(row + 1); y++)
          for (let x = edge(column); x < edge(column + 1); x++, count++)
            for (let c = 0; c < 3; c++) sum[c] += data[4 * (y * large + x) + c];
        for (let c = 0; c < 3; c++) pixels[(c * SIDE + row) * SIDE + column] = Math.round(sum[c] / count);
      }
    return pixels;
  }

  function paint(canvas, pixels) {
    const context = canvas.getContext("2d"), image = context.createImageData(SIDE, SIDE), area = SIDE * SIDE;
    for (let at = 0; at < area; at++) {
      for (let c = 0; c < 3; c++) image.data[4 * at + c] = pixels[c * area + at];
      image.data[4 * at + 3] = 255;
    }
    context.putImageData(image, 0, 0);
  }

  function start(place) {
    const data = course.data.picture, ask = course.network(data);
    const area = 3 * SIDE * SIDE, bytes = course.bytes(data.examples);
    const examples = data.labels.map((label, at) => ({ label, pixels: bytes.subarray(at * area, (at + 1) * area) }));
    const seen = element("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": "the picture, 32 × 32 pixels" });
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 1000 420");
    svg.setAttribute("role", "img");
    const pen = new course.Pen(svg), words = element("p", { role: "status", "aria-live": "polite", class: "course-words" });
    const table = element("table", { class: "course-numbers" });
    const menu = element("select", { id: "course-beside", onchange: () => show() },
                         element("option", { value: "" }, "its own answer"),
                         ...data.classes.map((name, c) => element("option", { value: c }, name)));
    let answer = null;

    function show() {
      const { logits, ms } = answer, p = maths.softened(logits, 1), first = topOf(p)[0];
      const beside = menu.value === "" ? first : Number(menu.value), typical = data.typical[beside];
      draw(pen, data, p, typical, beside);
      svg.setAttribute("aria-label", "Bars: what the network answers, and its mean answer on test images of a class. "
        + "The numbers are in the table below.");
      const { share, mostly } = data.answers[first];
      words.textContent = `It says ${data.classes[first]}, with ${number(100 * p[first], 1)} %; the answer took `
        + `${number(ms, 0)} ms. On the test images it says ${data.classes[first]} rightly in ${number(share, 0)} % of the `
        + `cases; else it is most often ${data.classes[mostly]}.`;
      const head = element("tr", {}, ...["class", "logit", "probability", `mean on test images: ${data.classes[beside]}`]
        .map(word => element("th", { scope: "col" }, word)));
      table.replaceChildren(head, ...data.classes.map((name, c) => element("tr", {}, element("th", { scope: "row" }, name),
        ...[[logits[c], 2, "logit"], [p[c], 3, "p"], [typical[c], 3, "typical"]].map(([value, digits, key]) =>
          element("td", {}, element("data", { value, "data-key": `${key} ${name}` }, number(value, digits)))))));
      table.dataset.ms = ms;
    }

    function take(pixels) {
      paint(seen, pixels);
      const begun = performance.now(), logits = ask(pixels);
      answer = { logits, ms: performance.now() - begun };
      show();
    }

    const file = element("input", { type: "file", id: "course-file", accept: "image/*", onchange: async () => {
      if (!file.files.length) return;
      try {
        const picture = await createImageBitmap(file.files[0]);
        take(shrink(picture, picture.width, picture.height));
      } catch {
        words.textContent = `${file.files[0].name} cannot be read as a picture: choose a PNG, JPEG or WebP file.`;
      }
    } });
    place.replaceChildren(
      element("p", {}, element("label", { for: "course-file" }, "A picture of yours: "), file),
      camera(words, take),
      element("p", {}, "Or one of the test images:"),
      element("div", { class: "course-examples" }, ...examples.map(({ label, pixels }) => {
        const small = element("canvas", { width: SIDE, height: SIDE });
        paint(small, pixels);
        return element("button", { type: "button", "aria-label": `test image: ${data.classes[label]}`,
                                   onclick: () => take(pixels) }, small);
      })),
      element("p", {}, "What the network sees:"), seen, words,
      element("p", {}, element("label", { for: "course-beside" }, "Beside it, what it says on average of test images of: "), menu),
      element("div", { class: "course-drawing", tabindex: 0, role: "group", "aria-label": "picture" }, svg), table,
      element("p", { class: "course-note" }, data.note));
    ask(examples[0].pixels); // the first time also compiles: what is timed is what every other picture takes
    take(examples[0].pixels);
  }

  /* A button that shows the camera and takes a picture; the picture never leaves the page. */
  function camera(words, take) {
    const video = element("video", { autoplay: true, playsinline: true, muted: true, hidden: true });
    const button = element("button", { type: "button", onclick: async () => {
      if (video.hidden) {
        try {
          video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
          video.hidden = false;
          await video.play(); // from here on it has a size
          button.textContent = "Take the picture";
        } catch {
          words.textContent = "The camera cannot be had: there is none, or the browser does not allow it for this page. "
            + "Choose a file instead.";
        }
        return;
      }
      take(shrink(video, video.videoWidth, video.videoHeight));
      for (const track of video.srcObject.getTracks()) track.stop();
      video.hidden = true;
      button.textContent = "Use the camera";
    } }, "Use the camera");
    const note = element("p", { class: "course-note" }, "Choosing a file always works. The camera works where the browser "
      + "asks you and you allow it; Chromium and Firefox ask also for a page opened from a folder.");
    return element("div", {}, button, video, note);
  }

  function draw(pen, data, p, typical, beside) {
    pen.clear();
    const top = 58, step = 30, thick = 21;
    [[p, 130, colours.blue, "what it says of this picture"],
     [typical, 620, colours.orange, `its mean answer, test images: ${data.classes[beside]}`]]
      .forEach(([shares, left, fill, title]) => {
        pen.text(left, 22, title, { bold: true });
        data.classes.forEach((name, c) => {
          const y = top + c * step;
          if (left < 500) pen.text(left - 8, y + thick / 2, name, { anchor: "end" });
          pen.rect(left, y, 300 * shares[c], thick, fill);
          pen.text(left + 300 * shares[c] + 8, y + thick / 2, number(shares[c], 2));
        });
        pen.across(left, left + 300, 0, 1, top + 10 * step, [0, 0.5, 1], 1);
        pen.text(left + 150, top + 10 * step + 38, "probability", { anchor: "middle", size: 14 });
      });
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const place of document.querySelectorAll(".course-own")) start(place);
  });
})();
