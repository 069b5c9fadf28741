"""A run as a model card in Markdown (Mitchell et al. 2019, arXiv 1810.03993), from its report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgeq.report.figures import (
    NOT_MEASURED,
    average_precision,
    gate_figure,
    interval,
    mebibytes,
    tail,
)
from edgeq.report.markdown import plain
from edgeq.report.outcome import TITLES, outcome
from edgeq.spec.gates import all_gates

if TYPE_CHECKING:
    from edgeq.records.measurement import Measurement
    from edgeq.records.report import Column, Report

_UNKNOWN = "Not known to edgeq: add what you know."


def model_card(report: Report, classes: tuple[str, ...] = ()) -> str:
    """What a card should say, as far as a deploy knows; what it does not know it leaves open."""
    return "\n".join(_lines(report, classes)) + "\n"


def _lines(report: Report, classes: tuple[str, ...]) -> Iterator[str]:
    yield f"# Model card: {plain(report.recipe)} for {plain(report.target)}"
    yield ""
    yield "## Model details"
    yield ""
    yield "- Task: instance segmentation, quantized to int8 after training"
    yield f"- Made by edgeq {plain(report.edgeq_version)} on {report.created_at:%Y-%m-%d}"
    yield f"- Model sha256: `{report.model_sha256}`"
    yield f"- Artifact: `{report.artifact_id}`, {mebibytes(report.artifact_bytes)} MiB"
    layers = report.layers_quantized + report.layers_float
    yield f"- Layers with weights in int8: {report.layers_quantized} of {layers}"
    if classes:
        yield f"- Classes: {', '.join(map(plain, classes))}"
    yield ""
    yield "## Intended use"
    yield ""
    yield f"On {plain(report.target)}; measured on {plain(report.device)}. {_UNKNOWN}"
    yield ""
    yield "## Metrics"
    yield ""
    yield from _metrics(report)
    yield ""
    yield "## Evaluation data"
    yield ""
    device = report.column("device")
    if device and device.accuracy:
        found = device.accuracy
        yield f"{found.images} images with {found.instances} annotated instances. {_UNKNOWN}"
    else:
        yield "Accuracy was not measured."
    yield ""
    yield "## Calibration data"
    yield ""
    seen = report.calibration
    yield f"{seen.images} images." if seen else "Not recorded."
    yield ""
    yield "## Training data"
    yield ""
    yield _UNKNOWN
    yield ""
    yield "## Gates"
    yield ""
    ending, words = outcome(report.verdicts)
    yield f"{ending.capitalize()}: {plain(words)}"
    yield ""
    for verdict in report.verdicts:
        gate = all_gates().get(verdict.gate)
        measured, limit = gate_figure(gate, verdict.measured), gate_figure(gate, verdict.limit)
        yield f"- {plain(verdict.gate)}: {measured} (limit {limit}): {verdict.status}"
    yield ""
    yield "## Caveats"
    yield ""
    yield from (f"- {plain(caveat)}" for caveat in list(_caveats(report)) or ["None were noticed."])


def _caveats(report: Report) -> Iterator[str]:
    """What keeps figures from being taken for more than they are."""
    for verdict in report.verdicts:
        if verdict.status != "passed" and verdict.reason:
            yield f"{verdict.gate}: {verdict.reason}"
    for column in report.columns:
        if column.doubt:
            yield f"{TITLES[column.name]}: {column.doubt}"
        measured = column.measurement
        if measured is not None:
            yield from (f"{TITLES[column.name]}, unstable: {why}" for why in measured.unstable)
        if measured is not None and measured.emulated:
            yield f"{TITLES[column.name]}: emulated, so that latency says nothing of a real device"
    yield from report.notes


def _metrics(report: Report) -> Iterator[str]:
    yield "| | mask AP | drop, 95% | box AP | engine p90, ms | peak memory, MiB |"
    yield "|---|--:|--:|--:|--:|--:|"
    for column in report.columns:
        yield f"| {' | '.join((TITLES[column.name], *_cells(column)))} |"


def _cells(column: Column) -> Iterator[str]:
    accuracy = column.accuracy
    yield average_precision(accuracy.mask.ap) if accuracy else NOT_MEASURED
    yield interval(column.mask_ap_drop) if column.mask_ap_drop else ""
    yield average_precision(accuracy.box.ap) if accuracy else NOT_MEASURED
    measured = column.measurement
    yield _latency(measured) if measured else NOT_MEASURED
    yield mebibytes(measured.peak_rss_bytes) if measured else NOT_MEASURED


def _latency(measured: Measurement) -> str:
    if measured.unstable:
        return "unstable"
    return f"{tail(measured.inference_ns, 90)}{' (emulated)' if measured.emulated else ''}"
