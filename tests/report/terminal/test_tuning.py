from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from edgeq.records.accuracy import Agreement
from edgeq.records.trial import Trial
from edgeq.records.tuning import Tuning
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


def said(best: Trial, **keys: Any) -> str:
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
    Console(file=output, width=200).print(render_tuning(found))
    return output.getvalue()


def test_table_has_the_agreement_of_each_trial_with_its_interval() -> None:
    text = said(trial(agreement()), resolved=True, decided_by="AP")
    assert "0.8870 [0.8720, 0.9020]" in text and "0.8700 [0.8550, 0.8850]" in text
    assert "Best: as it was, agreement 0.8870/0.8700, mask AP -0.0063, box AP -0.0063." in text
    assert "0.0000" not in said(trial(None), resolved=True, decided_by="AP")


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
