"""Decoding, masks and RLE of 100 detections beside the inference before them, one thread."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from benchmarks import inputs
from benchmarks.child import run
from benchmarks.figure import Figure, at_most, missing

PART = "postprocess"
IMAGES, ROUNDS = 24, 5
NAME = "decode, masks and RLE / float inference"
RATIO = at_most(1.0)
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def measure() -> Iterator[Figure]:
    """The ratio of medians over images with 100 detections."""
    subject = inputs.yolov5n()
    if subject is None:
        yield missing(PART, NAME, "x", inputs.NO_DATA, RATIO)
        return
    given = {
        "model": str(subject.path),
        "size": subject.size,
        "images": inputs.validation_images(IMAGES),
        "rounds": ROUNDS,
    }
    found = run("decoding", given, ONE_THREAD).answer
    if not found["images"]:
        yield missing(PART, NAME, "x", "no image has 100 detections", RATIO)
        return
    decoding, inference = median(found["decoding_ms"]), median(found["inference_ms"])
    note = f"{decoding:.1f} / {inference:.1f} ms, {found['images']} images with 100 detections"
    yield Figure(PART, NAME, decoding / inference, "x", RATIO, note)
