from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from edgeq.records.accuracy import Agreement
from edgeq.records.trial import LatencyRatio, Trial
from edgeq.records.tuning import Tuning, TuningStage
from edgeq.report.terminal.tuning import render_tuning

from ..reports import agreement, interval


def trial(agreed: Agreement | None, own_labels: bool = False) -> Trial:
    return Trial(
        stage="start",
        name="as it was",
        changes={},
        mask_ap=0.25,
        box_ap=0.3,
        mask_ap_drop=interval(),
        box_ap_drop=interval(),
        agreement=agreed,
        arithmetics=("simulated", "device"),
        own_labels=own_labels,
        layers_quantized=60,
        layers_float=2,
        artifact="a" * 64,
        seconds=1.0,
    )


def exact() -> LatencyRatio:
    return LatencyRatio(estimate=1.0, low=1.0, high=1.0)


def measured(ratio: float) -> LatencyRatio:
    return LatencyRatio(estimate=ratio, low=ratio - 0.01, high=ratio + 0.01, pairs=90)


def stage(best: Trial | None, taken: bool = True, cpu_s: float = 90.0) -> TuningStage:
    return TuningStage(
        name=best.stage if best else "adaround",
        trials=3,
        best=best,
        taken=taken,
        judged=best if taken else None,
        seconds=60.0,
        cpu_s=cpu_s,
    )


def said(best: Trial, width: int = 200, **keys: Any) -> str:
    found = Tuning(
        recipe="r.yaml",
        target="local",
        compared_on="128 calibration images",
        judged_on="134 annotated images",
        float_mask_ap=0.25,
        float_box_ap=0.3,
        largest_mask_drop=0.003,
        largest_box_drop=0.003,
        least_agreement=0.9,
        trials=(best,),
        best=best,
        met=False,
        ended="all stages are done",
        reasons=(),
        needed=(),
        output="tuned.yaml",
        **keys,
    )
    output = io.StringIO()
    Console(file=output, width=width).print(render_tuning(found))
    return output.getvalue()


def test_trials_are_told_a_line_each_and_the_best_with_all_its_losses() -> None:
    text = said(trial(agreement()), resolved=True, decided_by="AP")
    assert "0.8870/0.8700" in text and "0.0063/0.0063" in text
    best = "Best: as it was, agreement 0.8870/0.8700, mask AP -0.0063, box AP -0.0063; latency not"
    assert best in text
    assert "0.0000" not in said(trial(None), resolved=True, decided_by="AP")


def table(width: int) -> list[str]:
    """The lines of the stages, of four that ran."""
    start = trial(agreement()).model_copy(update={"latency": exact(), "name": "as it has it"})
    weights = trial(agreement(), own_labels=True).model_copy(
        update={"stage": "weights", "name": "per-channel", "arithmetics": ("float",)}
    )
    dear = start.model_copy(
        update={"stage": "partial", "name": "head: float-head", "latency": measured(1.067)}
    )
    unknown = start.model_copy(update={"stage": "repair", "latency": None, "name": "biases"})
    stages = (
        stage(start),
        stage(weights, taken=False),
        stage(unknown, cpu_s=3.0),
        stage(dear, cpu_s=6000.0),
        stage(None, taken=False),
    )
    text = said(dear, width, stages=stages, resolved=True, decided_by="AP")
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("The best of each stage"))
    return lines[first : lines.index("", first)]


@pytest.mark.parametrize("width", [80, 120])
def test_stages_are_told_with_agreement_loss_latency_and_time(width: int) -> None:
    lines = table(width)
    text = " ".join(" ".join(lines).split())
    assert max(map(len, lines)) <= width and "\u2026" not in text
    mask, box = "0.887 [0.872, 0.902]", "0.870 [0.855, 0.885]"
    drop = "0.0063 [-0.0021, 0.0134]"
    assert f"mask {mask} {drop} 1 1.5" in text and f"box {box} {drop}" in text
    # Not used, and on no annotated images: nothing is known of its AP; it is no plan of a target's.
    assert f"mask {mask} - - 1.5" in text
    assert f"mask {mask} {drop} not measured 0.1" in text
    assert f"mask {mask} {drop} 1.067 100.0" in text and f"{drop} [1.057, 1.077]" in text
    assert (
        "weights: per-channel, with all else in float mask" in text
        and "partial: head: float-head mask" in text
    )
    assert "adaround: nothing was tried mask - - - 1.5" in text


@pytest.mark.parametrize(
    ("best", "keys", "words"),
    [
        (trial(agreement()), {"resolved": True, "decided_by": "AP"}, "Decided by AP."),
        (
            trial(agreement()),
            {"resolved": True, "decided_by": "agreement", "images_needed": 4321},
            "Decided by agreement: for AP to tell, about 4321 images like these are needed.",
        ),
        (
            trial(agreement(), own_labels=True),
            {"resolved": False, "decided_by": "agreement"},
            "Decided by agreement: no image is annotated; its interval reaches beyond the limit.",
        ),
    ],
)
def test_what_decided_is_said_and_what_ap_would_need(
    best: Trial, keys: dict[str, Any], words: str
) -> None:
    assert words in said(best, **keys)


def test_budget_of_latency_and_why_it_was_not_measured_are_said() -> None:
    best = trial(agreement())
    text = said(best, largest_latency=1.05, unmeasured="no board", resolved=True, decided_by="AP")
    assert "Allowed: 1.05 times the latency of the recipe as it was." in text
    assert "Latency was not measured: no board." in text
    assert "latency" not in " ".join(
        line
        for line in said(best, resolved=True, decided_by="AP").splitlines()
        if "Allowed" in line
    )
    known = best.model_copy(update={"latency": measured(1.02)})
    text = said(known, resolved=True, decided_by="AP")
    assert "latency 1.020 [1.010, 1.030] of the start's." in text
    for limit, doubt in ((1.025, ", which is not resolved"), (1.05, "")):
        text = said(known, largest_latency=limit, resolved=True, decided_by="AP")
        assert f"times the latency of the recipe as it was{doubt}." in text
