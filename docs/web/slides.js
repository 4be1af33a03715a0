/* Moves through a deck; a folded answer is opened before the next slide comes. */
(function () {
  "use strict";
  const slides = [...document.querySelectorAll(".slide")], shown = document.getElementById("place");
  let now = 0;

  function show(place, keep = true) {
    now = Math.min(Math.max(place, 0), slides.length - 1);
    slides.forEach((slide, at) => slide.classList.toggle("now", at === now));
    shown.textContent = `${now + 1} / ${slides.length}`;
    if (keep) window.location.hash = now + 1;
  }

  function next() {
    const shut = slides[now].querySelector("details:not([open])");
    if (shut) shut.open = true; else show(now + 1);
  }

  const KEYS = {
    ArrowRight: next, ArrowDown: next, PageDown: next, " ": next,
    ArrowLeft: () => show(now - 1), ArrowUp: () => show(now - 1), PageUp: () => show(now - 1),
    Home: () => show(0), End: () => show(slides.length - 1),
    f: () => document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen(),
    p: () => window.print(),
  };

  document.addEventListener("keydown", event => {
    // A slider, a menu and a link keep their own keys.
    if (event.target.closest("input, select, a, summary, button") || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = KEYS[event.key] || KEYS[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    act();
  });
  document.querySelector("main").addEventListener("click", event => {
    if (!event.target.closest("input, select, a, summary, button, label, svg, table")) next();
  });
  window.addEventListener("hashchange", () => show(Number(window.location.hash.slice(1) || 1) - 1, false));
  document.documentElement.classList.add("one-at-a-time");
  show(Number(window.location.hash.slice(1) || 1) - 1, false);
})();
