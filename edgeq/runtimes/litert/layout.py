"""Layouts: in which order a tensor's axes are stored, and how far a reshape can leave that alone.

A layout is a permutation: stored axis i is ONNX axis layout[i]. Engines want images channels-last,
ONNX has channels first. So tensors keep whatever order they were made in, Transpose only changes
what that order is called, and values are moved where a kernel cannot do without.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Layout = tuple[int, ...]
Shape = tuple[int, ...]


def plain(rank: int) -> Layout:
    """ONNX's own order."""
    return tuple(range(rank))


def channels_last(rank: int) -> Layout:
    """[N, C, spatial...] stored as [N, spatial..., C]."""
    return (0, *range(2, rank), 1)


def stored_shape(shape: Shape, layout: Layout) -> Shape:
    """The shape as stored."""
    return tuple(shape[axis] for axis in layout)


def between(have: Layout, want: Layout) -> Layout:
    """The permutation that TRANSPOSE has to apply to get from one layout to another."""
    return tuple(have.index(axis) for axis in want)


def moves_nothing(shape: Shape, have: Layout, want: Layout) -> bool:
    """Whether two layouts differ in axes of extent 1 only, so that the values lie the same."""
    return [a for a in have if shape[a] != 1] == [a for a in want if shape[a] != 1]


def last(layout: Layout, axes: Iterable[int]) -> Layout:
    """The nearest layout with these axes at the end, in this order."""
    behind = list(axes)
    return (*(axis for axis in layout if axis not in behind), *behind)


def transposed(layout: Layout, perm: Sequence[int]) -> Layout:
    """What a stored order is called behind ONNX's Transpose: its axis i was axis perm[i]."""
    return tuple(list(perm).index(axis) for axis in layout)


def without(layout: Layout, axes: Iterable[int]) -> Layout:
    """The layout once these ONNX axes are gone."""
    gone = set(axes)
    kept = [axis for axis in layout if axis not in gone]
    return tuple(axis - sum(other < axis for other in gone) for axis in kept)


def replaced(layout: Layout, axis: int, count: int) -> Layout:
    """The layout once `count` axes stand where ONNX axis `axis` was."""
    found: list[int] = []
    for old in layout:
        if old == axis:
            found += range(axis, axis + count)
        else:
            found.append(old if old < axis else old + count - 1)
    return tuple(found)


def reshaped(before: Shape, after: Shape, layout: Layout) -> Layout | None:
    """The layout behind ONNX's Reshape if no value has to move; None if some have to.

    Both shapes fall into groups of axes with equal products. A group that is one axis may fall
    apart wherever it is stored; one of several has to lie together, and in order.
    """
    if layout == plain(len(before)):
        return plain(len(after))
    groups = _groups(before, after)
    if groups is None:
        return None
    order: list[int] = []
    stored = [axis for axis in layout if before[axis] != 1]
    while stored:
        olds, news = next(group for group in groups if stored[0] in group[0])
        if stored[: len(olds)] != olds:
            return None
        del stored[: len(olds)]
        order += news
    # Axes of extent 1 may stand anywhere; behind the one they follow they disturb least.
    for axis in range(len(after)):
        if axis not in order:
            order.insert(order.index(axis - 1) + 1 if axis else 0, axis)
    return tuple(order)


def _groups(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]] | None:
    """Axes of the one and of the other shape that hold the same values; axes of extent 1 not."""
    olds = [axis for axis, extent in enumerate(before) if extent != 1]
    news = [axis for axis, extent in enumerate(after) if extent != 1]
    found: list[tuple[list[int], list[int]]] = []
    while olds and news:
        left, right = [olds.pop(0)], [news.pop(0)]
        have, want = before[left[0]], after[right[0]]
        while have != want:
            if have < want:
                if not olds:
                    return None
                left.append(olds.pop(0))
                have *= before[left[-1]]
            else:
                if not news:
                    return None
                right.append(news.pop(0))
                want *= after[right[-1]]
        found.append((left, right))
    return found if not olds and not news else None
