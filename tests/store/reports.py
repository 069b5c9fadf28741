"""Reports to keep."""

from __future__ import annotations

import datetime

from edgeq.records.accuracy import Accuracy, AveragePrecision
from edgeq.records.measurement import Measurement
from edgeq.records.report import Column, Report, Verdict

NOON = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)


def report(
    id_: str,
    created_at: datetime.datetime = NOON,
    model_sha256: str = "b" * 64,
    target: str = "raspberry-pi-5",
    device: str = "barn-07",
) -> Report:
    figures = AveragePrecision(
        ap=0.25, ap50=0.44, ap75=None, small=None, medium=0.2, large=0.4, by_class={"Kuh 🐄": 0.25}
    )
    measurement = Measurement(
        preprocess_ns=(1, 2),
        inference_ns=(41_000_000, 42_000_000),
        postprocess_ns=(),
        load_ns=1,
        first_inference_ns=1,
        warmup_count=1,
        duration_ns=1,
        throughput_per_s=24.1,
        threads=4,
        rss_before_load_bytes=1,
        rss_after_load_bytes=2,
        peak_rss_bytes=5 * 2**30,
        peak_rss_source="VmHWM",
        environment_before={"governor": "performance", "clocks_khz": [1, 2]},
        environment_after={},
    )
    accuracy = Accuracy(mask=figures, box=figures, images=134, instances=1041)
    column = Column(name="device", where="here", accuracy=accuracy, measurement=measurement)
    return Report(
        id=id_,
        created_at=created_at,
        edgeq_version="0.1.0",
        recipe="pig.yaml",
        recipe_sha256="a" * 64,
        model_sha256=model_sha256,
        target=target,
        device=device,
        artifact_id="c" * 64,
        artifact_bytes=10,
        columns=(column,),
        verdicts=(Verdict(gate="mask_ap_drop", limit=0.1, measured=0.2, status="failed"),),
        notes=("'quoted'; DROP TABLE edgeq_runs",),
        layers_quantized=1,
        layers_float=2,
        stage_seconds={},
        versions={},
    )
