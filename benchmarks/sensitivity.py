"""What ranking all layers costs, in passes of the float model over the same images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

from benchmarks import inputs
from benchmarks.child import Finished, run
from benchmarks.figure import Figure, at_most, missing
from benchmarks.inputs import Subject

PART = "sensitivity"
IMAGES = 16
COMPARED = 2
"""Images on which every layer is also quantized in a graph of its own."""
TOP = 10
PASSES, PEAK_MIB, SWAPPED = at_most(45), at_most(1536), at_most(0)
MIB = 2**20


def measure() -> Iterator[Figure]:
    """Passes and peak of whole processes; what is calibrated before counts for nothing."""
    synthetic = inputs.yolov8n_like()
    with tempfile.TemporaryDirectory() as home:
        _calibrate(synthetic, "yolov8-seg", home)
        yield from _ranked(synthetic, "yolov8-seg", home, limited=True)
        yield _swapped(synthetic, "yolov8-seg", home)
    real = inputs.yolov5n()
    if real is None:
        yield missing(PART, "passes, yolov5n-seg 640", "x", inputs.NO_DATA)
        return
    with tempfile.TemporaryDirectory() as home:
        _calibrate(real, "yolov5-seg", home)
        yield from _ranked(real, "yolov5-seg", home, limited=False)
        yield _scored(real, "yolov5-seg", home)


def _ranked(subject: Subject, decoder: str, home: str, limited: bool) -> Iterator[Figure]:
    plain = _inference(subject)
    ours = _run(subject, decoder, home)
    layers = ours.answer["layers"]
    note = f"{layers} layers, {ours.cpu_s:.0f} / {plain.cpu_s:.1f} s of CPU"
    name = f"passes, {subject.name}, {IMAGES} images"
    yield Figure(PART, name, ours.cpu_s / plain.cpu_s, "x", PASSES if limited else None, note)
    peak = ours.peak_rss_bytes / MIB
    yield Figure(PART, f"peak, {subject.name}", peak, "MiB", PEAK_MIB if limited else None)


def _scored(subject: Subject, decoder: str, home: str) -> Figure:
    """The worst layers by AP, with the errors of all layers in the journal."""
    plain, ours = _inference(subject), _run(subject, decoder, home, top=TOP)
    name = f"passes more for AP of the worst {TOP}, {subject.name}"
    note = (
        f"{ours.cpu_s:.0f} / {plain.cpu_s:.1f} s of CPU; peak {ours.peak_rss_bytes / MIB:.0f} MiB"
    )
    return Figure(PART, name, ours.cpu_s / plain.cpu_s, "x", None, note)


def _swapped(subject: Subject, decoder: str, home: str) -> Figure:
    given = {**_arguments(subject, decoder, COMPARED), "separate": True}
    found = run("sensitivity", given, {"EDGEQ_HOME": home}).answer
    note = f"{found['layers']} layers, {COMPARED} images, SNR within {found['error_db']:.3f} dB"
    return Figure(
        PART, "places that differ from separate runs", found["differing"], "", SWAPPED, note
    )


def _calibrate(subject: Subject, decoder: str, home: str) -> None:
    given = {**_arguments(subject, decoder, 1), "only_calibrate": True}
    run("sensitivity", given, {"EDGEQ_HOME": home})


def _run(subject: Subject, decoder: str, home: str, top: int = 0) -> Finished:
    given = {**_arguments(subject, decoder, IMAGES), "top": top}
    return run("sensitivity", given, {"EDGEQ_HOME": home})


def _inference(subject: Subject) -> Finished:
    given = {
        "model": str(subject.path),
        "size": subject.size,
        "images": inputs.calibration_images(IMAGES),
        "threads": inputs.threads(),
    }
    return run("float_inference", given)


def _arguments(subject: Subject, decoder: str, images: int) -> dict[str, Any]:
    return {
        "model": str(subject.path),
        "size": subject.size,
        "decoder": decoder,
        "calibration": inputs.calibration_images(IMAGES),
        "images": images,
    }
