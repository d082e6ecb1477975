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
  const source = new EventSource(place.dataset.events);
  source.addEventListener("open", () => { stale.hidden = true; });
  source.addEventListener("error", () => { stale.hidden = false; });
  source.addEventListener("page", (event) => {
    if (place.dataset.shown === event.data) return;
    place.dataset.shown = event.data;
    const focused = place.contains(document.activeElement) ? document.activeElement.id : "";
    place.innerHTML = event.data;
    if (focused) document.getElementById(focused)?.focus();
  });
}
