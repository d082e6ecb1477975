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

// Where the keyboard is, before what it is on is made anew; then its call, and those after and before it.
const leave = (place) => {
  const here = document.activeElement;
  if (!place.contains(here) || here === place) return [];
  const calls = [...place.querySelectorAll('[id][tabindex="-1"]')];
  const at = calls.findIndex((each) => each.contains(here));
  return [here, ...calls.slice(at), ...calls.slice(0, at).reverse()].map((each) => each.id);
};
// There again. Where it is gone, or can no longer be pressed, to a call: who goes on pressing does nothing they did not mean to.
const comeBack = (left, place) => {
  for (const id of left) {
    const there = document.getElementById(id);
    there?.focus({ preventScroll: true });
    if (there && document.activeElement === there) return;
  }
  if (left.length) place.focus({ preventScroll: true });
};

// The server says something every 15 seconds. If it is silent for so long, the connection is lost, though nobody has said so.
const SILENT_MS = 40000;

// Pages that go on by themselves: the server sends what has changed, made as the page was.
for (const place of document.querySelectorAll("[data-events]")) {
  const stale = document.querySelector("[data-stale]");
  const pause = document.querySelector("[data-pause]");
  const aloud = document.querySelector("[data-aloud]");
  let newest = null;
  let spaceIsDown = false;
  const show = () => {
    const holds = pause.getAttribute("aria-pressed") === "true";
    pause.classList.toggle("newer", holds && place.dataset.shown !== newest);
    if (newest === null || place.dataset.shown === newest || holds) return;
    // what is pressed stays until it is let go: if it were made anew in between, nothing would come of the click. Firefox calls nothing
    // active that is pressed with the space bar.
    if (spaceIsDown || place.querySelector(":active")) return;
    place.dataset.shown = newest;
    const left = leave(place);
    place.innerHTML = newest;
    comeBack(left, place);
    // what screen readers are to tell: not the whole card, and only what is new
    const says = place.querySelector("[data-says]")?.textContent ?? "";
    if (aloud && aloud.textContent !== says) aloud.textContent = says;
  };
  let silent = 0;
  const watch = () => {
    const source = new EventSource(place.dataset.events);
    const wait = () => {
      clearTimeout(silent);
      silent = setTimeout(() => { stale.hidden = false; source.close(); watch(); }, SILENT_MS);
    };
    const heard = () => { stale.hidden = true; wait(); };
    for (const sign of ["open", "beat", "page"]) source.addEventListener(sign, heard);
    source.addEventListener("error", () => { stale.hidden = false; });
    source.addEventListener("page", (event) => { newest = event.data; show(); });
    // it may never open, and after an error such as a proxy's it is not tried again
    wait();
  };
  watch();
  window.addEventListener("keydown", ({ key }) => { spaceIsDown ||= key === " "; });
  window.addEventListener("keyup", ({ key }) => { spaceIsDown &&= key !== " "; });
  // another window is told that it is let go
  window.addEventListener("blur", () => { spaceIsDown = false; setTimeout(show); });
  // later, as the click comes after these
  for (const up of ["pointerup", "pointercancel", "dragend", "keyup"]) window.addEventListener(up, () => setTimeout(show));
  pause.hidden = false;
  pause.addEventListener("click", () => {
    pause.setAttribute("aria-pressed", pause.getAttribute("aria-pressed") === "true" ? "false" : "true");
    show();
  });
}
