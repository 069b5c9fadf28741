"""Layouts against numpy, which moves the values."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeq.runtimes.litert import layout as layouts
from edgeq.runtimes.litert.layout import Layout
from tests.sampling import examples

from .drawing import layouts_of, shapes

Array = NDArray[np.int64]


def counted(shape: tuple[int, ...]) -> Array:
    """A tensor of which no two values are the same."""
    return np.arange(np.prod(shape, dtype=int)).reshape(shape)


def lie_the_same(left: Array, right: Array) -> bool:
    return np.array_equal(left.reshape(-1), right.reshape(-1))


@st.composite
def stored(draw: st.DrawFn) -> tuple[Array, Layout]:
    shape = draw(shapes(1, 5))
    return counted(shape), draw(layouts_of(len(shape)))


@given(stored(), st.data())
def test_transposing_between_layouts_stores_by_the_second(
    drawn: tuple[Array, Layout], data: st.DataObject
) -> None:
    x, have = drawn
    want = data.draw(layouts_of(x.ndim))

    moved = x.transpose(have).transpose(layouts.between(have, want))

    np.testing.assert_array_equal(moved, x.transpose(want))
    assert layouts.stored_shape(x.shape, want) == moved.shape
    alike = layouts.moves_nothing(x.shape, have, want)
    assert alike == lie_the_same(x.transpose(have), x.transpose(want))


def test_channels_last_is_what_engines_call_so() -> None:
    x = counted((2, 3, 4, 5))

    assert x.transpose(layouts.channels_last(4)).shape == (2, 4, 5, 3)
    assert layouts.channels_last(3) == (0, 2, 1)
    np.testing.assert_array_equal(x.transpose(layouts.plain(4)), x)


@given(stored(), st.data())
def test_a_transpose_renames_and_leaves_values_where_they_are(
    drawn: tuple[Array, Layout], data: st.DataObject
) -> None:
    x, layout = drawn
    perm = data.draw(layouts_of(x.ndim))

    behind = layouts.transposed(layout, perm)

    np.testing.assert_array_equal(x.transpose(perm).transpose(behind), x.transpose(layout))


@given(stored(), st.data())
def test_axes_at_the_end_leave_the_others_in_their_order(
    drawn: tuple[Array, Layout], data: st.DataObject
) -> None:
    x, layout = drawn
    axes = data.draw(st.lists(st.sampled_from(range(x.ndim)), unique=True))

    found = layouts.last(layout, axes)

    assert list(found[x.ndim - len(axes) :]) == axes
    rest = list(found[: x.ndim - len(axes)])
    assert rest == [axis for axis in layout if axis in rest]


@given(stored(), st.data())
def test_axes_that_are_summed_leave_the_layout_of_the_rest(
    drawn: tuple[Array, Layout], data: st.DataObject
) -> None:
    x, layout = drawn
    axes = data.draw(st.lists(st.sampled_from(range(x.ndim)), unique=True, max_size=x.ndim - 1))

    found = layouts.without(layout, axes)

    summed = x.transpose(layout).sum(axis=tuple(layout.index(axis) for axis in axes))
    np.testing.assert_array_equal(x.sum(axis=tuple(axes)).transpose(found), summed)


@given(stored(), st.data())
def test_axes_of_indices_stand_where_the_axis_was(
    drawn: tuple[Array, Layout], data: st.DataObject
) -> None:
    x, layout = drawn
    axis = data.draw(st.integers(0, x.ndim - 1))
    indices = counted(data.draw(shapes(0, 2))) % x.shape[axis]

    found = layouts.replaced(layout, axis, indices.ndim)

    taken = x.transpose(layout).take(indices, layout.index(axis))
    np.testing.assert_array_equal(x.take(indices, axis).transpose(found), taken)


@st.composite
def reshapes(draw: st.DrawFn) -> tuple[Array, tuple[int, ...], Layout]:
    """A tensor, a shape of as many values, and a layout."""
    factors = draw(st.lists(st.sampled_from([1, 2, 2, 3]), min_size=1, max_size=5))

    def merged(order: list[int]) -> tuple[int, ...]:
        found = [order[0]]
        for factor in order[1:]:
            if len(found) == 4 or draw(st.booleans()):
                found[-1] *= factor
            else:
                found.append(factor)
        return tuple(found)

    before = merged(factors)
    after = merged(factors if draw(st.booleans()) else draw(st.permutations(factors)))
    return counted(before), after, draw(layouts_of(len(before)))


@given(reshapes())
@examples(400)
def test_a_reshape_has_a_layout_unless_values_have_to_move(
    drawn: tuple[Array, tuple[int, ...], Layout],
) -> None:
    x, after, layout = drawn
    there = x.transpose(layout)
    reshaped = x.reshape(after)

    found = layouts.reshaped(x.shape, after, layout)

    if found is not None:
        assert sorted(found) == list(range(len(after)))
        assert lie_the_same(reshaped.transpose(found), there)
    else:
        others = permutations(range(len(after)))
        assert not any(lie_the_same(reshaped.transpose(other), there) for other in others)
