"""Comparisons to keep and to render."""

from __future__ import annotations

import datetime

from edgeq.records.comparison import Change, Compared, Comparison, Side

from .reports import NOON


def side(name: str, digest: str) -> Side:
    return Side(named=name, artifact_id=digest * 64, artifact_bytes=10, engine="onnxruntime 1.20")


def comparison(
    id_: str = "c0ffee",
    created_at: datetime.datetime = NOON,
    target: str = "raspberry-pi-5",
    device: str = "barn-07",
) -> Comparison:
    """Inference is worse, memory cannot be told, mask AP is the same, box AP has no figures."""

    def change(low: float, estimate: float, high: float) -> Change:
        return Change(estimate=estimate, low=low, high=high, confidence=0.99)

    return Comparison(
        id=id_,
        created_at=created_at,
        edgeq_version="0.1.0",
        recipe="pig.yaml",
        target=target,
        device=device,
        emulated=False,
        a=side("main", "a"),
        b=side("new | <b>.edgeq", "b"),
        metrics=(
            Compared(
                metric="inference",
                unit="ms",
                a=40.0,
                b=42.5,
                change=change(0.05, 0.0625, 0.07),
                limit=0.02,
                outcome="worse",
            ),
            Compared(
                metric="peak memory",
                unit="bytes",
                a=2.0**28,
                b=2.0**28 * 1.01,
                change=change(-0.01, 0.01, 0.03),
                limit=0.02,
                outcome="cannot tell",
                reason="about 20 loads would tell",
            ),
            Compared(
                metric="mask AP",
                unit="AP",
                a=0.251,
                b=0.25,
                change=change(-0.003, -0.001, 0.001),
                limit=0.005,
                outcome="same",
            ),
            Compared(
                metric="box AP",
                unit="AP",
                a=None,
                b=None,
                change=None,
                limit=0.005,
                outcome="cannot tell",
                reason="nothing is annotated",
            ),
        ),
        notes=("energy was not compared: no rails can be read there",),
        reloads=8,
        pairs=1200,
        measured_s=60.2,
    )
