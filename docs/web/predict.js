/* Predict, then see: a folded answer stays shut until the reader has committed to one (notebooks/classroom/predict.py).
 *
 * What a reader said stays in the browser (localStorage), or in memory where the browser keeps nothing for pages that
 * are opened from a folder. `<div class="course-mine">` shows all of it, to print. Without JavaScript the answer is
 * folded and opens as any other.
 */
(function () {
  "use strict";
  const KEY = "course-predictions";
  const memory = new Map();
  let lasting = true;

  const store = {
    all() {
      try {
        const kept = JSON.parse(window.localStorage.getItem(KEY) || "{}");
        return { ...kept, ...Object.fromEntries(memory) };
      } catch {
        lasting = false;
        return Object.fromEntries(memory);
      }
    },
    keep(question, said, answer) {
      memory.set(question, [said, answer]);
      this.save(this.all());
    },
    forget() {
      memory.clear();
      this.save({});
    },
    save(everything) {
      try {
        window.localStorage.setItem(KEY, JSON.stringify(everything));
      } catch {
        lasting = false;
      }
    },
  };

  const make = (name, attributes = {}, ...inside) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...inside);
    return made;
  };

  /* What a reader gave, as it is repeated; null where it is no answer. As Question.said. */
  function said(given, options, unit) {
    if (options.length) return given;
    const number = (given || "").trim().replace(/[%x ]+$/, "");
    return /^[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?$/i.test(number) ? number + unit : null;
  }

  let counted = 0;
  function lock(place) {
    const details = place.querySelector("details");
    if (!details) return;
    const { question, answer, unit } = place.dataset;
    const options = JSON.parse(place.dataset.options || "[]"), name = `course-predict-${++counted}`;
    const field = options.length ? choices(options, name) : numberField(question, unit || "");
    const words = make("p", { role: "status", "aria-live": "polite", class: "course-said" });
    const see = make("button", { type: "submit", class: "course-see" }, "See");
    const showMe = make("button", { type: "button" }, "Show me");
    const form = make("form", { class: "course-lock" }, field, make("span", {}, see, showMe));
    details.hidden = true;
    for (const listed of place.querySelectorAll(":scope > p + p")) listed.hidden = true; // the options, now buttons
    details.before(form, words);

    const open = (sentence, unfold) => {
      words.textContent = sentence;
      for (const each of form.querySelectorAll("input, button")) each.disabled = true;
      form.hidden = true;
      details.hidden = false;
      details.open = unfold;
      const summary = details.querySelector("summary");
      summary.textContent = "What it is";
      if (unfold) summary.focus(); // the field that had the focus is gone
    };
    const spoken = given => `You said ${given}, ${given === answer ? "and so it is" : `it is ${answer}`}.`;
    form.addEventListener("submit", event => {
      event.preventDefault();
      const given = new FormData(form).get(options.length ? name : "number");
      const mine = said(given, options, unit || "");
      if (mine === null) {
        words.textContent = options.length ? "Choose one of the answers first." : "Write a number, for example 5.";
        return;
      }
      store.keep(question, mine, answer);
      open(spoken(mine), true);
      showMine();
    });
    showMe.addEventListener("click", () => open(`It is ${answer}.`, true));
    const before = store.all()[question];
    if (before) open(spoken(before[0]), false);
  }

  function numberField(question, unit) {
    const field = make("input", { type: "text", inputmode: "decimal", name: "number", size: 8, autocomplete: "off",
                                  "aria-label": question, placeholder: "a number" });
    return make("span", {}, field, unit ? ` ${unit.trim()}` : "");
  }

  function choices(options, name) {
    const legend = make("legend", { class: "course-hidden" }, "Your answer");
    const buttons = options.map(option => {
      const label = make("label", {}, make("input", { type: "radio", name, value: option }), ` ${option}`);
      return label;
    });
    return make("fieldset", {}, legend, ...buttons);
  }

  /* Every list of predictions on this page. */
  function showMine() {
    const lines = Object.entries(store.all());
    for (const place of document.querySelectorAll(".course-mine")) {
      if (!lines.length) {
        place.replaceChildren(make("p", {}, "No predictions yet: they are kept here as you make them."));
        continue;
      }
      const head = make("tr", {}, ...["question", "you said", "it is"].map(word => make("th", { scope: "col" }, word)));
      const rows = lines.map(([question, cells]) => make("tr", {}, ...[question, ...cells].map(cell => make("td", {}, cell))));
      const table = make("table", {}, make("caption", {}, "My predictions"), make("thead", {}, head),
                         make("tbody", {}, ...rows));
      const print = make("button", { type: "button" }, "Print this page"), forget = make("button", { type: "button" }, "Forget all");
      print.addEventListener("click", () => window.print());
      forget.addEventListener("click", () => {
        if (!window.confirm("Forget all predictions kept in this browser?")) return;
        store.forget();
        showMine();
      });
      place.replaceChildren(make("div", { class: "course-scroll" }, table), make("p", { class: "course-buttons" }, print, forget));
      if (!lasting) place.append(make("p", {}, "This browser keeps nothing for pages opened from a folder: the list "
        + "holds what you said on this page since it was opened. Print it before you leave."));
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    for (const place of document.querySelectorAll(".course-predict")) lock(place);
    showMine();
  });
})();
