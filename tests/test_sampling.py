"""The sample of a matrix."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from .sampling import pairwise


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_any_two_values_of_a_matrix_stand_together_in_the_sample(extents: list[int]) -> None:
    values = [range(extent) for extent in extents]
    rows = [dict(enumerate(row)) for row in itertools.product(*values)]
    rows_by_name = [{str(axis): value for axis, value in row.items()} for row in rows]

    sample = [rows[i] for i in pairwise(rows_by_name)]

    for one, other in itertools.product(range(len(extents)), repeat=2):
        expected = {(row[one], row[other]) for row in rows}
        assert {(row[one], row[other]) for row in sample} == expected


def test_a_sample_is_much_smaller_than_its_matrix() -> None:
    rows = [{"a": a, "b": b, "c": c, "d": d} for a, b, c, d in itertools.product("xyz", repeat=4)]

    assert len(pairwise(rows)) <= 12  # of 81
