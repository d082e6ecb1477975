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
