"""What tests of all operators draw: shapes, layouts, shapes that are stretched to one."""

from __future__ import annotations

from hypothesis import strategies as st

Shape = tuple[int, ...]


def layouts_of(rank: int) -> st.SearchStrategy[Shape]:
    """Orders in which axes can be stored."""
    return st.permutations(range(rank)).map(tuple)


def shapes(least: int = 1, most: int = 4, extent: int = 4) -> st.SearchStrategy[Shape]:
    """Shapes of some ranks, with axes of extent 1 among them."""
    return st.lists(st.integers(1, extent), min_size=least, max_size=most).map(tuple)


@st.composite
def stretched(draw: st.DrawFn, shape: Shape) -> Shape:
    """A shape that ONNX stretches to another: of a lower rank, or with extents of 1."""
    kept = shape[draw(st.integers(0, len(shape))) :]
    return tuple(draw(st.sampled_from([extent, extent, 1])) for extent in kept)
