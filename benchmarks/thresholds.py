"""How far thresholds from histograms lie from those of the raw values, on real activations."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

from benchmarks import inputs
from benchmarks.child import run
from benchmarks.figure import Figure, at_most, missing

PART = "thresholds"
IMAGES = 8
AFFINE_EVERY = 4
"""Two ends by brute force take a second a tensor: every so many of them."""
LIMITS = {
    "percentile 99.9": at_most(0.4),
    "percentile 99.99": at_most(0.4),
    "percentile 99.999": at_most(0.4),
    "mse symmetric": at_most(0.3),
    "mse affine": at_most(0.3),
}


def measure() -> Iterator[Figure]:
    """The worst relative error over all tensors, in percent."""
    subject = inputs.yolov5n()
    if subject is None:
        yield from (missing(PART, name, "%", inputs.NO_DATA, lim) for name, lim in LIMITS.items())
        return
    given = {
        "model": str(subject.path),
        "size": subject.size,
        "images": inputs.calibration_images(IMAGES),
        "threads": inputs.threads(),
        "affine_every": AFFINE_EVERY,
    }
    with tempfile.TemporaryDirectory() as home:
        found = run("thresholds", given, {"EDGEQ_HOME": home}).answer
    for name, limit in LIMITS.items():
        errors = found["errors"][name]
        beyond = sum(not limit.keeps(100 * error) for error, _ in errors)
        what = "excess error" if name.startswith("mse") else "error"
        note = f"worst of {len(errors)} tensors: '{errors[0][1]}'; {beyond} beyond the limit"
        yield Figure(PART, f"{what} of {name}", 100 * errors[0][0], "%", limit, note)
