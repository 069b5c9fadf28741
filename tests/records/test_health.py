"""What a board's gold artifact says of the board."""

from __future__ import annotations

import datetime

from edgeq.records.health import Health, HealthFigure

HASH = "a" * 64


def health(figure: HealthFigure, *unstable: str) -> Health:
    return Health(
        created_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        target="local",
        device="local",
        gold="main",
        artifact_id=HASH,
        workload=HASH,
        figures={"inference": figure},
        unstable=unstable,
    )


def test_board_that_is_off_is_in_doubt_and_says_by_how_much() -> None:
    off = HealthFigure(measured_ms=14.0, usual_ms=(9.5, 10.5), earlier=6)
    assert health(off).doubt == (
        "the board is off its own history with 'main': inference takes 14 ms, and 9.5 to 10.5 ms "
        "as a rule"
    )
    assert not health(off.model_copy(update={"measured_ms": 10.5})).doubt
    assert health(off.model_copy(update={"measured_ms": 9.0})).doubt


def test_without_a_history_only_an_unstable_board_is_in_doubt() -> None:
    new = HealthFigure(measured_ms=14.0)
    assert not health(new).doubt
    said = health(new, "contention: other processes").doubt
    assert said == "the board's gold artifact 'main' is unstable: contention: other processes"
