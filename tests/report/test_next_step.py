"""The line after a report: what its verdicts ask for first."""

from __future__ import annotations

from typing import get_args

import pytest

from edgeq.records.report import Report, Verdict, VerdictStatus
from edgeq.report.next_step import REMEDIES, next_step
from edgeq.spec.gates import Unit, all_gates

from ..store.reports import report


def of(*verdicts: tuple[str, VerdictStatus], host: str | None = "pi@barn7") -> str:
    found: Report = report("0123").model_copy(
        update={
            "verdicts": tuple(
                Verdict(gate=gate, limit=1, measured=None, status=status, reason="so it is")
                for gate, status in verdicts
            )
        }
    )
    return next_step(found, "pig.yaml", "raspberry-pi-5", host)


def test_every_unit_of_a_gate_has_a_remedy() -> None:
    assert set(REMEDIES) == set(get_args(Unit))
    assert {gate.unit for gate in all_gates().values()} <= set(REMEDIES)


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ([("latency_p90_ms", "passed"), ("agreement", "failed")], "edgeq tune pig.yaml"),
        ([("mask_ap_drop", "failed"), ("latency_p90_ms", "failed")], "edgeq tune pig.yaml"),
        ([("latency_p90_ms", "failed")], "edgeq targets show raspberry-pi-5"),
        ([("latency_p90_ms", "unstable")], "deploy pig.yaml --target raspberry-pi-5 --host pi@"),
        ([("mask_ap_drop", "not judged")], "float model, which is no reference: so it is"),
        ([("int8_speedup_over_fp16", "not measured")], "not measured: so it is"),
        ([("mask_ap_drop", "passed")], "edgeq baseline set NAME --run 0123"),
        ([], "'gates:' in pig.yaml"),
    ],
)
def test_what_is_worst_comes_first(verdicts: list[tuple[str, VerdictStatus]], said: str) -> None:
    assert said in of(*verdicts)


def test_passed_at_home_points_to_a_board() -> None:
    here = report("0123").model_copy(
        update={
            "target": "local",
            "verdicts": (Verdict(gate="agreement", limit=0.8, measured=0.9, status="passed"),),
        }
    )

    assert "edgeq targets check NAME --host" in next_step(here, "pig.yaml", "local", None)
