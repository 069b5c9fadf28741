"""The page of a comparison: what B is in words and figures, of one board or several."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.errors import DeviceError, InputError
from edgeq.records.comparison import Comparison
from edgeq.report.html.comparison.forest import forest_charts
from edgeq.report.html.comparison.page import Found, render_comparison, write_comparison_html

from ...store.comparisons import comparison, side
from .elements import (
    EVIL,
    Elements,
    require_charts_are_told,
    require_no_foreign_element,
)

CHARTS = {"forest-costs", "forest-points"}


def test_it_says_what_b_is_in_each_metric() -> None:
    page = Elements(render_comparison([comparison()]))

    text = " ".join(page.text.split())
    assert "B is worse" in text and "Worse: inference; cannot tell: peak memory, box AP;" in text
    assert "42.5 ms against 40.0 ms, +6.2% (99%: +5.0% to +7.0%; from +2.0% on it is worse)" in text
    assert "about 20 loads would tell" in text and "nothing is annotated" in text
    require_charts_are_told(page, CHARTS)
    assert Comparison.model_validate_json(page.links()["comparison-c0ffee.json"]) == comparison()


@pytest.mark.parametrize(
    ("kept", "ending"),
    [
        (("worse", "cannot tell", "same"), "B is worse"),
        (("cannot tell", "same"), "Cannot be told"),
        (("same",), "B is the same"),
    ],
)
def test_the_ending_is_the_worst_that_is_said(kept: tuple[str, ...], ending: str) -> None:
    metrics = tuple(one for one in comparison().metrics if one.outcome in kept)

    page = render_comparison([comparison().model_copy(update={"metrics": metrics})])

    assert f'<span class="ending">{ending}</span>' in page


def test_times_of_an_emulated_board_end_nothing() -> None:
    # Inference is worse there, peak memory cannot be told.
    emulated = comparison().model_copy(update={"emulated": True})
    page = render_comparison([emulated])
    assert '<span class="ending">Cannot be told</span>' in page
    assert "The device is emulated: times say nothing about a real one" in page
    timed = tuple(one for one in emulated.metrics if one.unit == "ms")
    nothing = render_comparison([emulated.model_copy(update={"metrics": timed})])
    assert 'class="opening not-judged"' in nothing and "Nothing compared" in nothing
    both = render_comparison([comparison("beef", device="barn-08"), emulated])
    assert "barn-07: emulated: times say" in both and "B is worse" in both


def test_boards_stand_a_row_each_and_what_failed_is_told() -> None:
    away = DeviceError("barn-09", "cannot be reached", "switch it on")
    boards: list[Found] = [comparison(), comparison("beef", device="barn-08"), away]

    page = Elements(render_comparison(boards))

    rows = page.links()["boards.csv"].splitlines()
    assert rows[0] == "board,inference,peak memory,mask AP,box AP"
    assert [row.split(",")[0] for row in rows[1:]] == ["barn-07", "barn-08"]
    assert "1 of 3 boards failed" in page.text and "barn-09: cannot be reached" in page.text
    assert page.links()["forest-costs.csv"].count("barn-08") == 2


def test_nothing_worse_where_a_board_failed_is_no_clean_verdict() -> None:
    same = tuple(one for one in comparison().metrics if one.outcome == "same")
    boards: list[Found] = [
        comparison().model_copy(update={"metrics": same}),
        DeviceError("b", "is off"),
    ]

    assert "Not judged everywhere" in render_comparison(boards)


def test_worse_is_to_the_right_of_both_charts() -> None:
    """An AP that fell and a time that rose: the numbers keep their signs."""
    costs, points = forest_charts([comparison()])

    assert costs.numbers.rows[0][2:6] == pytest.approx((6.25, 5.0, 7.0, 2.0))
    assert points.numbers.rows[0][2:6] == (-0.001, -0.003, 0.001, 0.005)
    assert "turned round" in points.description and "turned round" not in costs.description


def test_foreign_text_is_text_wherever_it_stands() -> None:
    found = comparison()
    wild = found.model_copy(
        update={
            "recipe": EVIL,
            "target": EVIL,
            "device": EVIL,
            "a": side(EVIL, "a").model_copy(update={"engine": EVIL}),
            "b": side(EVIL, "b"),
            "metrics": tuple(one.model_copy(update={"reason": EVIL}) for one in found.metrics),
            "differences": (EVIL,),
            "notes": (EVIL,),
            "versions": {EVIL: EVIL},
        }
    )

    page = Elements(render_comparison([wild, wild, DeviceError(EVIL, EVIL, EVIL)]))

    require_no_foreign_element(page)
    assert page.text.count("<evil onload=") > 20


def test_a_page_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_comparison_html([comparison()], tmp_path / "absent" / "page.html")
