"""What all four calibrators cost beside plain inference, in CPU time and memory of whole processes.

One process reads the images, runs the model and answers; another one calibrates. Both start with
nothing in memory and nothing in a cache, and take turns.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks import inputs
from benchmarks.child import ChildError, Finished, run
from benchmarks.figure import Figure, Limit, at_most, missing
from benchmarks.inputs import Subject

PART = "calibration"
RATIO = {128: at_most(1.45), 512: at_most(1.30)}
RATIO_PLAIN = at_most(2.0)
PEAK_MIB = at_most(450)
GROWTH_MIB = at_most(10)
TURNS = {128: 2, 512: 1}
COMPARED = 128
"""Images for what is measured once."""
HUNGRY_PEER_IMAGES = 8
"""ONNX Runtime's percentile calibrator keeps every value: a third of a GiB an image."""
MIB = 2**20


def measure(nncf_python: Path | None) -> Iterator[Figure]:
    """The figures, one after the other as they are measured."""
    synthetic = inputs.yolov8n_like()
    ranges = yield from _subject(synthetic, RATIO, PEAK_MIB)
    yield _without_llvm(synthetic, ranges)
    yield _without_spinning(synthetic)
    yield from _peers(synthetic, nncf_python)
    real = inputs.yolov5n()
    if real is None:
        yield missing(PART, "yolov5n-seg 640", "x", inputs.NO_DATA)
    else:
        yield from _subject(real, {COMPARED: None}, None)


def _subject(
    subject: Subject, limits: Mapping[int, Limit | None], peak: Limit | None
) -> Generator[Figure, None, Any]:
    """Ratios, then peaks; returns the ranges that were found in `COMPARED` images."""
    ranges: Any = None
    peaks: dict[int, float] = {}
    accelerated = importlib.util.find_spec("llvmlite") is not None
    why = "" if accelerated else "llvmlite is not installed (extra 'fast')"
    for images, limit in limits.items():
        name = f"edgeq / float, {subject.name}, {images} images"
        ours, plain = [], []
        for _ in range(TURNS[images]):
            plain.append(_inference(subject, images))
            ours.append(_edgeq(subject, images))
        ranges = ours[0].answer["ranges"] if images == COMPARED else ranges
        peaks[images] = max(finished.peak_rss_bytes for finished in ours) / MIB
        if accelerated:
            ratio = fmean(f.cpu_s for f in ours) / fmean(f.cpu_s for f in plain)
            yield Figure(PART, name, ratio, "x", limit, _seconds(ours, plain))
        else:
            yield missing(PART, name, "x", why, limit)
    few = 32
    peaks[few] = _edgeq(subject, few).peak_rss_bytes / MIB
    for images in sorted(peaks):
        yield Figure(PART, f"peak, {subject.name}, {images} images", peaks[images], "MiB", peak)
    growth = max(peaks.values()) - min(peaks.values())
    if peak is not None:
        yield Figure(PART, f"growth of the peak, {subject.name}", growth, "MiB", GROWTH_MIB)
    bare = _inference(subject, few).peak_rss_bytes / MIB
    yield Figure(PART, f"peak of float inference, {subject.name}", bare, "MiB")
    return ranges


def _without_llvm(subject: Subject, ranges: Any) -> Figure:
    plain, ours = _inference(subject, COMPARED), _edgeq(subject, COMPARED, accelerated=False)
    same = "equal" if ours.answer["ranges"] == ranges else "DIFFERENT"
    note = f"{_seconds([ours], [plain])}; ranges {same}"
    name = f"edgeq in numpy only / float, {COMPARED} images"
    return Figure(PART, name, ours.cpu_s / plain.cpu_s, "x", RATIO_PLAIN, note)


def _without_spinning(subject: Subject) -> Figure:
    """Beside inference whose idle threads do not spin between runs, as edgeq's do not."""
    quiet, ours = {**_arguments(subject, COMPARED), "stop_spinning": True}, []
    plain = []
    for _ in range(TURNS[COMPARED]):
        plain.append(run("float_inference", quiet))
        ours.append(_edgeq(subject, COMPARED))
    ratio = fmean(f.cpu_s for f in ours) / fmean(f.cpu_s for f in plain)
    name = f"edgeq / float that stops spinning, {COMPARED} images"
    return Figure(PART, name, ratio, "x", None, _seconds(ours, plain))


def _peers(subject: Subject, nncf_python: Path | None) -> Iterator[Figure]:
    for method, images in (("MinMax", COMPARED), ("Percentile", HUNGRY_PEER_IMAGES)):
        given = {**_arguments(subject, images), "method": method}
        plain, peer = _inference(subject, images), run("onnxruntime_calibration", given)
        name = f"onnxruntime {method} / float, {images} images"
        note = f"{_seconds([peer], [plain])}; peak {peer.peak_rss_bytes / MIB:.0f} MiB"
        yield Figure(PART, name, peer.cpu_s / plain.cpu_s, "x", None, note)
    yield _nncf(subject, nncf_python)


def _nncf(subject: Subject, python: Path | None) -> Figure:
    name = f"NNCF / float, {COMPARED} images"
    if python is None:
        return missing(PART, name, "x", "no --nncf-python was given")
    plain = _inference(subject, COMPARED)
    try:
        peer = run("nncf_calibration", _arguments(subject, COMPARED), python=python)
    except ChildError as exc:
        return missing(PART, name, "x", str(exc))
    note = f"{_seconds([peer], [plain])}; peak {peer.peak_rss_bytes / MIB:.0f} MiB"
    return Figure(PART, name, peer.cpu_s / plain.cpu_s, "x", None, note)


def _edgeq(subject: Subject, images: int, accelerated: bool = True) -> Finished:
    with tempfile.TemporaryDirectory() as home:
        given = {**_arguments(subject, images), "accelerated": accelerated}
        return run("edgeq_calibration", given, {"EDGEQ_HOME": home})


def _inference(subject: Subject, images: int) -> Finished:
    return run("float_inference", _arguments(subject, images))


def _arguments(subject: Subject, images: int) -> dict[str, Any]:
    return {
        "model": str(subject.path),
        "size": subject.size,
        "images": inputs.calibration_images(images),
        "threads": inputs.threads(),
    }


def _seconds(one: list[Finished], other: list[Finished]) -> str:
    first, second = (fmean(f.cpu_s for f in runs) for runs in (one, other))
    return f"{first:.1f} / {second:.1f} s of CPU"
