"""Charts: the page's own colours, the same every time, foreign text as text."""

from __future__ import annotations

import re
from typing import Any

import pytest

from edgeq.report.html.drawing import COLOURS, DEVICE, INK, Caption, Chart, draw
from edgeq.report.html.numbers import Numbers

MARKUP = "<script>alert(1)</script> $x_1$ & co"
NAME = "#Cow \N{CJK UNIFIED IDEOGRAPH-725B}"


def chart(name: str = "one") -> Chart:
    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot([0, 1, 2], [1, 3, 2], "D-", color=DEVICE, label=MARKUP)
        axes.set_title(MARKUP, color=INK)
        axes.set_xlabel(NAME)
        axes.legend()

    return draw(Caption(name, "Title", "What it shows.", Numbers(("x",), ((1,),))), 2.0, paint)


def test_a_chart_is_the_same_for_the_same_numbers() -> None:
    assert chart() == chart()


def test_colours_are_the_page_s() -> None:
    inside = chart().inside

    assert not [colour for colour in COLOURS if colour in inside]
    assert "var(--device)" in inside and "var(--ink)" in inside


def test_letters_are_text_and_foreign_ones_no_markup() -> None:
    inside = chart().inside

    assert "<script" not in inside
    assert "&lt;script&gt;alert(1)&lt;/script&gt; $x_1$ &amp; co" in inside


@pytest.mark.filterwarnings("error")
def test_names_stay_what_they_are_in_any_alphabet() -> None:
    assert f">{NAME}</text>" in chart().inside


def test_ids_of_two_charts_are_all_different() -> None:
    one, other = (set(re.findall(r'id="([^"]+)"', chart(name).inside)) for name in ("one", "two"))

    assert one and not one & other
    for name in ("one", "two"):
        inside = chart(name).inside
        assert set(re.findall(r"#([\w.-]+)[\")]", inside)) <= set(
            re.findall(r'id="([^"]+)"', inside)
        )
