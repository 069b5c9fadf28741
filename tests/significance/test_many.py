"""Holm's procedure beside the closed test that it is a short cut of."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.significance.many import holm


@given(st.lists(st.floats(0, 1), max_size=6))
def test_it_is_the_closure_of_bonferroni(ps: list[float]) -> None:
    """A hypothesis falls where every set of hypotheses with it in falls."""
    sets = [set(c) for n in range(1, len(ps) + 1) for c in combinations(range(len(ps)), n)]
    expected = [
        max(min(1.0, len(one) * min(ps[i] for i in one)) for one in sets if index in one)
        for index in range(len(ps))
    ]
    assert holm(ps) == pytest.approx(expected)
