"""Reports to render and judge, filled as a deploy fills them."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Literal

from edgeq.records.accuracy import (
    Accuracy,
    Agreement,
    AtThreshold,
    AveragePrecision,
    Deployed,
    Interval,
)
from edgeq.records.measurement import Measurement
from edgeq.records.report import Column, Divergence, Report

if TYPE_CHECKING:
    from edgeq.records.report import Verdict

FLOAT_BYTES, ARTIFACT_BYTES = 8 * 2**20, 2 * 2**20


def measurement(
    inference_ms: float = 40.0,
    unstable: tuple[str, ...] = (),
    emulated: bool = False,
    count: int = 700,
) -> Measurement:
    """Inferences from .9 to 1.1 of `inference_ms`, evenly, as many as bound a p99."""
    spread = [0.9 + 0.2 * n / count for n in range(count)]
    return Measurement(
        preprocess_ns=tuple(int(3.1e6 * s) for s in spread),
        inference_ns=tuple(int(inference_ms * 1e6 * s) for s in spread),
        postprocess_ns=tuple(int(0.45e6 * s) for s in spread),
        load_ns=812_000_000,
        first_inference_ns=90_000_000,
        warmup_count=20,
        duration_ns=50_000_000_000,
        throughput_per_s=22.9,
        threads=4,
        rss_before_load_bytes=30 * 2**20,
        rss_after_load_bytes=61 * 2**20,
        peak_rss_bytes=143 * 2**20,
        peak_rss_source="VmHWM",
        environment_before={},
        environment_after={},
        unstable=unstable,
        emulated=emulated,
    )


def accuracy(ap: float, classes: dict[str, float | None]) -> Accuracy:
    figures = AveragePrecision(
        ap=ap, ap50=0.44, ap75=0.26, small=0.08, medium=None, large=0.41, by_class=classes
    )
    return Accuracy(
        mask=figures, box=figures.model_copy(update={"ap": ap + 0.05}), images=134, instances=1041
    )


def interval(estimate: float = 0.0063, low: float = -0.0021, high: float = 0.0134) -> Interval:
    return Interval(estimate=estimate, low=low, high=high, resamples=1000)


def agreement(mask: float = 0.887, box: float = 0.87) -> Agreement:
    """With intervals of .015 to both sides."""
    both = (interval(ap, ap - 0.015, ap + 0.015) for ap in (mask, box))
    return Agreement(**dict(zip(("mask", "box"), both, strict=True)))


def deployed() -> Deployed:
    at = AtThreshold(
        precision=0.81,
        recall=0.62,
        f1=0.7024,
        right=620,
        wrong=145,
        missed=380,
        precision_drop=interval(),
        recall_drop=interval(),
        f1_drop=interval(),
    )
    return Deployed(
        threshold=0.25,
        mask=at,
        box=at,
        score_shift=interval(-0.01, -0.02, 0.0),
        matched=740,
        matched_of=765,
        recall_threshold=0.2437,
        threshold_drop=interval(),
    )


def column(
    name: Literal["float", "simulated", "device"],
    ap: float | None = None,
    classes: dict[str, float | None] | None = None,
    measured: Measurement | None = None,
    drop: Interval | None = None,
    model_bytes: int | None = None,
) -> Column:
    return Column(
        name=name,
        where=f"{name} engine 1.2",
        accuracy=None if ap is None else accuracy(ap, classes or {"pig": ap, "cow": None}),
        mask_ap_drop=drop,
        box_ap_drop=drop,
        agreement=agreement() if drop else None,
        measurement=measured,
        model_bytes=model_bytes,
    )


def full_columns(measured: Measurement | None = None) -> tuple[Column, ...]:
    return (
        column("float", 0.2525, model_bytes=FLOAT_BYTES),
        column("simulated", 0.2491, drop=interval()),
        column(
            "device", 0.2462, None, measured or measurement(), interval(), ARTIFACT_BYTES
        ).model_copy(update={"deployed": deployed()}),
    )


def divergence() -> Divergence:
    return Divergence(mask_ap=0.0029, snr_db={"output0": 31.2, "output1": None})


def report(
    columns: tuple[Column, ...],
    verdicts: tuple[Verdict, ...] = (),
    notes: tuple[str, ...] = (),
    diverged: Divergence | None = None,
) -> Report:
    return Report(
        id="0123456789abcdef",
        created_at=datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC),
        edgeq_version="0.1.0",
        recipe="recipes/pig-int8.yaml",
        recipe_sha256="a" * 64,
        model_sha256="b" * 64,
        target="raspberry-pi-5",
        device="barn-07",
        artifact_id="c0ffee" * 10 + "1234",
        artifact_bytes=ARTIFACT_BYTES,
        columns=columns,
        divergence=diverged,
        verdicts=verdicts,
        notes=notes,
        layers_quantized=57,
        layers_float=20,
        stage_seconds={"calibrate": 3.5},
        versions={"onnxruntime": "1.32.0"},
    )
