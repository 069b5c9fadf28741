"""Which runs are beaten by none, and what is drawn of them."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st

from edgeq.records.dossier import Dossier
from edgeq.records.report import Report
from edgeq.report.html.choices import choices, choices_view

from ..reports import column, interval, measurement, report

POINTS = st.lists(st.tuples(st.integers(1, 6), st.integers(-3, 6)), min_size=1, max_size=8)


def run(number: int, ms: int, drop: int, unstable: bool = False, emulated: bool = False) -> Report:
    measured = measurement().model_copy(
        update={
            "preprocess_ns": (0,) * 64,
            "inference_ns": (ms * 1_000_000,) * 64,
            "postprocess_ns": (0,) * 64,
            "unstable": ("contention",) if unstable else (),
            "emulated": emulated,
        }
    )
    lost = interval(drop / 1000, drop / 1000 - 0.01, drop / 1000 + 0.01)
    made = report((column("device", 0.25, None, measured, lost),))
    moment = made.created_at + datetime.timedelta(hours=number)
    return made.model_copy(update={"id": f"{number:08x}", "created_at": moment})


def of(runs: list[Report]) -> Dossier:
    return Dossier(report=runs[0], evidence=None, without_evidence="gone", runs=tuple(runs))


@given(POINTS)
def test_the_best_are_those_that_no_other_beats(points: list[tuple[int, int]]) -> None:
    runs = [run(number, *point) for number, point in enumerate(points)]

    found = {one.run: one.is_best for one in choices(of(runs))}

    for one, (ms, drop) in zip(runs, points, strict=True):
        beaten = any(a <= ms and b <= drop and (a, b) != (ms, drop) for a, b in points)
        assert found[one.id] == (not beaten)


def test_runs_without_a_real_latency_are_no_choice_and_counted() -> None:
    runs = [run(0, 5, 1), run(1, 4, 1, unstable=True), run(2, 3, 1, emulated=True)]

    view = choices_view(of(runs))

    assert view.undrawn == 2
    assert view.charts[0].name == "tradeoff"
    assert len(view.charts[0].numbers.rows) == 1
