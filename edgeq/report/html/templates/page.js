"use strict";
// The filter of the images: which masks are drawn, and which images have any of them.
(() => {
  const chosen = { kind: document.getElementById("by-class"), size: document.getElementById("by-size") };
  const differing = document.getElementById("differing");
  if (!chosen.kind) return;
  const shots = [...document.querySelectorAll(".shot")];
  const fits = (mask) =>
    (!chosen.kind.value || mask.dataset.class === chosen.kind.value) &&
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
    document.getElementById("hidden-note").hidden = shown > 0;
  };
  for (const one of [chosen.kind, chosen.size, differing]) one.addEventListener("change", filter);
  // What a reader opened or closed is paper's business no more: all numbers are printed.
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details.remarks")) one.open = true;
  });
})();
