"""Verdicts of a comparison: chance, several metrics at once, and what is measured again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgeq.records.comparison import Compared, Comparison
from edgeq.significance.ratios import Estimate
from edgeq.spec.recipe import Compare
from edgeq.stages.compared import (
    Difference,
    across,
    cost_differences,
    judged,
    settled,
    size_difference,
    unsettled,
)

from ..cost.test_turns import turns
from ..store.comparisons import comparison


def slower(mean: float, half: float, p: float, metric: str = "inference") -> Difference:
    loss = Estimate(mean, mean - half, mean + half, p)
    return Difference(metric, "ms", 10.0, 10.0 * (1 + mean), loss, 0.02, "loads of 7.5 s")  # type: ignore[arg-type]


def judge(*differences: Difference) -> list[Compared]:
    return list(judged(differences, {"loads of 7.5 s": 8}, {}))


def board(*differences: Difference) -> Comparison:
    return comparison().model_copy(update={"metrics": tuple(judge(*differences))})


def test_one_that_would_do_alone_may_be_chance_among_several() -> None:
    alone = judge(slower(0.05, 0.04, 0.004))
    beside = judge(slower(0.05, 0.04, 0.004), slower(0.0, 0.01, 0.9, "frame"), slower(0, 0.01, 1))
    assert [alone[0].outcome, beside[0].outcome] == ["worse", "cannot tell"]
    assert beside[0].reason == "about 9 loads of 7.5 s would tell, there are 8"


def test_what_is_exact_is_no_test_among_others() -> None:
    size = size_difference(1000, 1200, Compare())
    found = judge(slower(0.05, 0.04, 0.009), size)
    assert [one.outcome for one in found] == ["worse", "worse"]
    assert found[1].change is not None and found[1].change.estimate == pytest.approx(0.2)


def test_one_that_would_do_on_its_board_may_be_chance_among_several() -> None:
    """Every fiftieth board is worse at 2% by chance alone, and among 20 there is one."""
    worse = board(slower(0.05, 0.03, 0.004))
    same = board(slower(0.0, 0.01, 0.9))
    alone, beside = across([worse])[0], across([same, worse, same])[1]
    assert [alone.exit_code, beside.exit_code] == [1, 4]
    assert beside.metrics[0].reason.startswith("is not told from chance in comparisons of 3 boards")
    clear = board(slower(0.05, 0.03, 0.001))
    assert [one.exit_code for one in across([same, clear, same])] == [0, 1, 0]
    # What is exact is no test, and takes none of the others' chance away.
    size = board(size_difference(1000, 1200, Compare()))
    assert [one.exit_code for one in across([size, worse, size])] == [1, 1, 1]
    # The images of an AP are the same on every board, and no board more makes it less sure.
    lost = board(replace(slower(0.3, 0.1, 0.0005), metric="mask AP", unit="AP"))
    assert [one.exit_code for one in across([lost] * 30)] == [1] * 30


def test_how_much_more_would_tell() -> None:
    found = judge(slower(0.01, 0.02, 0.2), slower(0.0199, 0.02, 0.2, "frame"))
    assert found[0].reason == "about 32 loads of 7.5 s would tell, there are 8"
    assert "too near the limit" in found[1].reason


def test_what_is_meaningless_is_not_judged() -> None:
    (found,) = judged([slower(0.5, 0.01, 0.0)], {}, {"inference": "power mode: another"})
    assert (found.outcome, found.reason) == ("cannot tell", "power mode: another")


def test_worse_twice_is_worse_and_once_is_not() -> None:
    first = judge(slower(0.05, 0.02, 0.001))
    both = judge(slower(0.045, 0.015, 0.0001))
    assert unsettled(first) == ["inference"]
    (again,) = settled(first, [slower(0.04, 0.03, 0.02)], both)
    assert again.outcome == "worse" and again.change == both[0].change
    (chance,) = settled(first, [slower(0.01, 0.03, 0.4)], both)
    assert chance.outcome == "cannot tell"
    assert "+5.0% at first, +1.0% again" in chance.reason


def test_worse_is_not_judged_where_the_second_time_was_meaningless_or_is_missing() -> None:
    first = judge(slower(0.05, 0.02, 0.001))
    wrong = judged([slower(0.05, 0.02, 0.0)], {}, {"inference": "power mode: 15W"})
    (mode,) = settled(first, [slower(0.05, 0.02, 0.001)], wrong, {"inference": "15W"})
    assert (mode.outcome, mode.reason) == ("cannot tell", "power mode: 15W")
    (missing,) = settled(first, [], first)
    assert missing.outcome == "cannot tell" and "could not be measured again" in missing.reason


def test_what_was_not_worse_stays_what_it_was() -> None:
    first = judge(slower(0.0, 0.01, 1.0))
    assert not unsettled(first)
    assert list(settled(first, [slower(0.9, 0.01, 0.0)], judge(slower(0.9, 0.01, 0.0)))) == first


def test_what_seems_to_differ_is_told_by_both_measurements() -> None:
    first = judge(slower(0.05, 0.06, 0.03))
    assert first[0].outcome == "cannot tell"
    assert unsettled(first) == ["inference"]
    assert not unsettled(first, {"inference": "15W"})
    both = judge(slower(0.05, 0.03, 0.0001))
    assert settled(first, [slower(0.05, 0.06, 0.03)], both) == tuple(both)
    (chance,) = settled(first, [slower(0.05, 0.06, 0.2)], both)
    assert chance.outcome == "cannot tell"
    assert "was worse, and is not when measured again (+5.0% at first" in chance.reason
    same = judge(slower(0.0, 0.01, 1.0))
    assert settled(first, [slower(-0.05, 0.06, 0.03)], same) == tuple(same)
    assert settled(first, [], first) == tuple(first)


def test_what_seems_better_is_told_by_both_measurements_too() -> None:
    first = judge(slower(-0.05, 0.06, 0.03))
    assert unsettled(first) == ["inference"]
    both = judge(slower(-0.05, 0.03, 0.0001))
    (better,) = settled(first, [slower(-0.05, 0.06, 0.03)], both)
    assert better.outcome == "better"
    (chance,) = settled(first, [slower(-0.01, 0.06, 0.03)], both)
    assert chance.outcome == "cannot tell"
    assert "was better" in chance.reason
    sure = judge(slower(-0.05, 0.01, 0.0001))
    assert not unsettled(sure)


def test_costs_come_with_their_units() -> None:
    found = {one.metric: one for one in cost_differences([turns(1.1, mj=40.0)] * 3, Compare())}
    assert list(found) == ["inference", "frame", "peak memory", "energy"]
    assert found["inference"].a == pytest.approx(10.05)
    assert found["energy"].b == pytest.approx(44.0)
    assert found["energy"].limit == 0.05
