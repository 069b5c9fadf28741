"""LiteRT: int8 beside float and beside ai-edge-quantizer's int8, and what writing costs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from statistics import median, quantiles

from benchmarks import inputs
from benchmarks.child import run
from benchmarks.figure import Figure, at_least, at_most, by_cpu, missing

PART = "litert"
ROUNDS = 100
SCORED = 16
# 3.0 to 3.1 with VNNI; without, int8 is as fast as float, .93 to 1.07.
SPEEDUP = by_cpu({"VNNI": at_least(2.5), "AVX2 only": at_least(0.85)})
AGAINST_PEER = at_most(1.0)
ATTENTION, ATTENTION_ROUNDS = at_least(1.5), 40
"""3.4 and 5.3 on AVX2."""
WRITING_S, PEAK_MB = at_most(3), at_most(400)


def measure() -> Iterator[Figure]:
    """Ratios of medians in one process, one thread, in turns; seconds and memory of writing."""
    for size in (320, 640):
        yield from _latency(size)
    yield from _attention()
    yield from _writing()


def _attention() -> Iterator[Figure]:
    for side, channels in ((20, 128), (40, 64)):
        given = {"side": side, "channels": channels, "rounds": ATTENTION_ROUNDS}
        with tempfile.TemporaryDirectory() as home:
            samples = run("attention", given, {"EDGEQ_HOME": home}).answer["samples_ms"]
        p50_ms = {label: median(values) for label, values in samples.items()}
        note = ", ".join(f"{label} {found:.1f} ms" for label, found in p50_ms.items())
        label = f"attention over {side}x{side}: all int8 / as placed"
        yield Figure(PART, label, p50_ms["int8"] / p50_ms["edgeq"], "x", ATTENTION, note)


def _latency(size: int) -> Iterator[Figure]:
    subject = inputs.yolov5n(size)
    faster, beside = f"float / int8, {size}", f"int8: edgeq / ai-edge-quantizer, {size}"
    limits = (SPEEDUP, AGAINST_PEER) if size == 320 else (None, None)
    if subject is None:
        yield missing(PART, faster, "x", inputs.NO_DATA, limits[0])
        yield missing(PART, beside, "x", inputs.NO_DATA, limits[1])
        return
    given = {
        "model": str(subject.path),
        "size": subject.size,
        "images": inputs.calibration_images(inputs.CALIBRATION_IMAGES),
        "scored": inputs.validation_images(SCORED),
        "threads": inputs.threads(),
        "rounds": ROUNDS,
    }
    with tempfile.TemporaryDirectory() as home:
        found = run("litert", given, {"EDGEQ_HOME": home}).answer
    samples = found["samples_ms"]
    p50_ms = {label: median(values) for label, values in samples.items()}
    note = f"{p50_ms['float']:.1f} / {p50_ms['edgeq']:.1f} ms"
    yield Figure(PART, faster, p50_ms["float"] / p50_ms["edgeq"], "x", limits[0], note)
    pairs = zip(samples["edgeq"], samples["peer"], strict=True)
    low, _, high = quantiles([one / other for one, other in pairs], n=4)
    note = f"quartiles of the rounds {low:.2f} to {high:.2f}"
    yield Figure(PART, beside, p50_ms["edgeq"] / p50_ms["peer"], "x", limits[1], note)
    for label, snr_db in found["snr_db"].items():
        yield Figure(PART, f"SNR of class scores, {size}, {label}", snr_db, "dB")


def _writing() -> Iterator[Figure]:
    subject = inputs.yolov5n()
    names = ("writing yolov5n-seg 640", "peak of the process that loads and writes it")
    if subject is None:
        yield missing(PART, names[0], "s", inputs.NO_DATA, WRITING_S)
        yield missing(PART, names[1], "MB", inputs.NO_DATA, PEAK_MB)
        return
    with tempfile.TemporaryDirectory() as folder:
        plan = f"{folder}/plan.json"
        images = inputs.calibration_images(8)
        given = {"model": str(subject.path), "size": subject.size, "plan": plan}
        home = {"EDGEQ_HOME": folder}
        run("litert_plan", {**given, "images": images, "threads": inputs.threads()}, home)
        done = run("litert_writing", given, home)
    yield Figure(PART, names[0], done.answer["seconds"], "s", WRITING_S)
    yield Figure(PART, names[1], done.peak_rss_bytes / 1e6, "MB", PEAK_MB)
