"use strict";
// The filter of the images: which masks are drawn, and which images have any of them.
(() => {
  const chosen = { kind: document.getElementById("by-class"), size: document.getElementById("by-size") };
  const differing = document.getElementById("differing");
  if (!chosen.kind) return;
  const shots = [...document.querySelectorAll(".shot")];
  const fits = (mask) =>
    // "=" before a class: an empty name is a class, too, and an empty value is all of them.
    (!chosen.kind.value || `=${mask.dataset.class}` === chosen.kind.value) &&
    (!chosen.size.value || mask.dataset.size === chosen.size.value) &&
    (!differing.checked || !mask.classList.contains("same"));
  const filter = () => {
    let shown = 0;
    for (const shot of shots) {
      let any = false;
      for (const mask of shot.querySelectorAll(".mask")) {
        mask.style.display = fits(mask) ? "" : "none";
        any = any || fits(mask);
      }
      const asked = chosen.kind.value || chosen.size.value || differing.checked;
      shot.hidden = Boolean(asked) && !any;
      shown += shot.hidden ? 0 : 1;
    }
    const note = document.getElementById("hidden-note");
    const asked = chosen.kind.value || chosen.size.value || differing.checked;
    note.hidden = !asked;
    note.textContent = `${shown} of the ${shots.length} images shown here ${shown === 1 ? "has" : "have"} such an object.`;
  };
  for (const one of [chosen.kind, chosen.size, differing]) one.addEventListener("change", filter);
  // Paper opens nothing: the remarks are printed, the numbers behind charts only where open.
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details.remarks")) one.open = true;
  });
})();
