"""The numbers behind a chart, to take away."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from edgeq.report.html.numbers import Numbers

from .elements import linked

CELLS = st.floats(allow_nan=False) | st.integers() | st.text(st.characters(codec="utf-8"))


def read(link: str) -> list[list[str]]:
    """The rows of a CSV that a link holds."""
    text = linked(link)
    return list(csv.reader(io.StringIO(text, newline="")))


@given(st.lists(st.tuples(CELLS, CELLS), max_size=5))
def test_csv_has_every_number_in_full(rows: list[tuple[float | int | str, ...]]) -> None:
    head, *found = read(Numbers(("a", "b"), tuple(rows)).csv)

    assert head == ["a", "b"]
    for cells, texts in zip(rows, found, strict=True):
        for cell, text in zip(cells, texts, strict=True):
            if isinstance(cell, str):
                assert text.removeprefix("'").replace("\r\n", "\n") == cell.removeprefix(
                    "'"
                ).replace("\r\n", "\n")
            else:
                assert type(cell)(text) == cell


def test_no_text_is_a_formula_to_a_spreadsheet() -> None:
    names = ('=HYPERLINK("x")', "+1", "-cow", "@sum", "\tpig")

    for (cell,) in read(Numbers(("name",), tuple((name,) for name in names)).csv)[1:]:
        assert cell.startswith("'")


def test_what_is_not_known_is_a_dash_and_small_figures_are_no_zero() -> None:
    [row] = Numbers(("a", "b", "c"), ((None, 3e-5, 0.98694),)).shown

    assert [text for text, _ in row] == ["-", "3e-05", "0.9869"]
