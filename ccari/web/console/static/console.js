// What is nicer with a script. Everything works without.
"use strict";

// The place in the recording: shown in its picture, and chosen there by a click.
const audio = document.querySelector(".player audio");
if (audio) {
  const waves = document.querySelectorAll(".player .wave");
  const show = () => {
    const part = audio.duration ? audio.currentTime / audio.duration : 0;
    for (const wave of waves) {
      const x = part * wave.viewBox.baseVal.width;
      wave.querySelector(".head").setAttribute("d", `M${x} 0V60`);
    }
  };
  audio.addEventListener("timeupdate", show);
  audio.addEventListener("seeked", show);
  for (const wave of waves) {
    wave.addEventListener("click", (event) => {
      const box = wave.getBoundingClientRect();
      if (audio.duration) audio.currentTime = ((event.clientX - box.left) / box.width) * audio.duration;
    });
  }
}

// Pages that go on by themselves: the server sends what has changed, made as the page was.
for (const place of document.querySelectorAll("[data-events]")) {
  const stale = document.querySelector("[data-stale]");
  const pause = document.querySelector("[data-pause]");
  const aloud = document.querySelector("[data-aloud]");
  const source = new EventSource(place.dataset.events);
  let newest = null;
  const show = () => {
    const holds = pause.getAttribute("aria-pressed") === "true";
    pause.classList.toggle("newer", holds && place.dataset.shown !== newest);
    if (newest === null || place.dataset.shown === newest || holds) return;
    place.dataset.shown = newest;
    const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
    place.innerHTML = newest;
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    // what screen readers are to tell: not the whole card, and only what is new
    const says = place.querySelector("[data-says]")?.textContent ?? "";
    if (aloud && aloud.textContent !== says) aloud.textContent = says;
  };
  source.addEventListener("open", () => { stale.hidden = true; });
  source.addEventListener("error", () => { stale.hidden = false; });
  source.addEventListener("page", (event) => { newest = event.data; show(); });
  pause.hidden = false;
  pause.addEventListener("click", () => {
    pause.setAttribute("aria-pressed", pause.getAttribute("aria-pressed") === "true" ? "false" : "true");
    show();
  });
}
