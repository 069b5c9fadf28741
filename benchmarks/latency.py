"""Latency of int8 beside float and beside onnxruntime.quantization's int8, one thread, in turns."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from statistics import median, quantiles

from benchmarks import inputs
from benchmarks.child import run
from benchmarks.figure import Figure, at_least, at_most, by_cpu, missing

PART = "latency"
ROUNDS = 60
SCORED = 16
PEER = "onnxruntime"
# .53 with VNNI; without, .74 to .82.
RATIO = by_cpu({"VNNI": at_most(0.72), "AVX2 only": at_most(0.90)})
AGAINST_PEER, SNR_DB = at_most(1.0), at_least(15)
SHIPPED = "percentile 99.99"


def measure() -> Iterator[Figure]:
    """Ratios of medians, and the SNR of the class scores with every calibrator."""
    subject = inputs.yolov5n()
    if subject is None:
        yield missing(PART, f"int8 ({SHIPPED}) / float", "x", inputs.NO_DATA, RATIO)
        yield missing(PART, "edgeq / onnxruntime", "x", inputs.NO_DATA, AGAINST_PEER)
        yield missing(PART, f"SNR of class scores, {SHIPPED}", "dB", inputs.NO_DATA, SNR_DB)
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
        found = run("latency", given, {"EDGEQ_HOME": home}).answer
    p50_ms = {label: median(samples) for label, samples in found["samples_ms"].items()}
    for label in (SHIPPED, "percentile 99.999", "mse"):
        note = f"{p50_ms[label]:.1f} / {p50_ms['float']:.1f} ms"
        yield Figure(
            PART, f"int8 ({label}) / float", p50_ms[label] / p50_ms["float"], "x", RATIO, note
        )
    nodes = found["optimized_nodes"]
    alike = "same" if nodes[SHIPPED] == nodes[PEER] else "DIFFERENT"
    pairs = zip(found["samples_ms"][SHIPPED], found["samples_ms"][PEER], strict=True)
    low, _, high = quantiles([one / other for one, other in pairs], n=4)
    note = f"quartiles of the rounds {low:.2f} to {high:.2f}; {alike} counts of node types"
    ratio = p50_ms[SHIPPED] / p50_ms[PEER]
    yield Figure(PART, "int8: edgeq / onnxruntime", ratio, "x", AGAINST_PEER, note)
    ratio = p50_ms[PEER] / p50_ms["float"]
    yield Figure(PART, "int8 (onnxruntime) / float", ratio, "x")
    for label, snr_db in sorted(found["snr_db"].items(), key=lambda item: -item[1]):
        limit = SNR_DB if label == SHIPPED else None
        yield Figure(PART, f"SNR of class scores, {label}", snr_db, "dB", limit)
