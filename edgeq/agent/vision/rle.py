"""COCO's compressed run-length encoding, without a loop over runs or pixels.

A mask is read column by column; runs of 0 and 1 alternate and start with 0 (possibly none). The
counts string stores each run minus the one two before it, in groups of five bits, least significant
first, a sixth bit for 'more follows', plus 48 to be printable. Source: pycocotools, `maskApi.c`
(rleEncode, rleToString, rleFrString).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping, Sequence

import numpy as np

if TYPE_CHECKING:
    from .arrays import Array, Bools, Bytes, Ints

_GROUP_BITS = 5
_MORE = 1 << _GROUP_BITS
_MAX_GROUPS = 13  # 13 * 5 bits hold any int64


def encode(mask: Array) -> dict[str, Any]:
    """The RLE of a mask [H,W] (zero or not), as pycocotools: size [H,W] and counts, a string."""
    height, width = mask.shape
    return from_boundaries(changes_of((mask != 0).T.reshape(-1)), height, width)


def decode(rle: Mapping[str, Any]) -> Bytes:
    """The mask [H,W] of 0 and 1 that `rle` stands for; ValueError if its runs do not fill it."""
    height, width = (int(side) for side in rle["size"])
    counts = counts_of(rle["counts"])
    if int(counts.sum()) != height * width or (counts < 0).any():
        raise ValueError(f"runs of {int(counts.sum())} pixels do not fill {height} x {width}")
    values = (np.arange(len(counts)) % 2).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(values, counts).reshape(width, height).T)


def fills(compressed: Sequence[str], height: int, width: int) -> bool:
    """Whether each of many counts strings is of groups that exist, and fills a mask of that size.

    All at once: one after the other, the masks of an image take longer than its detections.
    """
    try:
        texts = [counts.encode("ascii") for counts in compressed]
    except UnicodeEncodeError:
        return False
    raw = np.frombuffer(b"".join(texts), np.uint8).astype(np.int64) - 48
    last = np.cumsum([len(text) for text in texts]) - 1  # the last group of each mask
    if not all(texts) or not len(texts):
        return not len(texts)
    if raw.min() < 0 or raw.max() >= 2 * _MORE or (raw[last] & _MORE).any():
        return False
    ends = np.flatnonzero((raw & _MORE) == 0)  # where each run ends
    # One of too many groups would lose its upper bits.
    if np.diff(ends, prepend=-1).max() > _MAX_GROUPS - 1:
        return False
    first = np.concatenate(([0], np.searchsorted(ends, last)[:-1] + 1))  # each mask's first run
    place = np.arange(len(ends)) - np.repeat(first, np.diff(first, append=len(ends)))
    runs = _deltas(raw, ends)
    # A run is its number and the run two before it, but for the first three of a mask.
    for parity in (1, 0):
        chosen = np.flatnonzero((place % 2 == parity) & (place > 0))
        if len(chosen):
            sums, begins = np.cumsum(runs[chosen]), place[chosen] <= 2
            before = (sums - runs[chosen])[begins]
            lengths = np.diff(np.flatnonzero(begins), append=len(chosen))
            runs[chosen] = sums - np.repeat(before, lengths)
    # The largest first: a sum may go round.
    return bool(runs.min() >= 0 and runs.max() <= height * width) and bool(
        (np.add.reduceat(runs, first) == height * width).all()
    )


def area(rle: Mapping[str, Any]) -> int:
    """The number of pixels that are set."""
    return int(counts_of(rle["counts"])[1::2].sum())


def from_boundaries(boundaries: Ints, height: int, width: int) -> dict[str, Any]:
    """The RLE of the mask that changes value at each of the ascending column-major `boundaries`.

    A boundary given twice (a run that ends where the next starts) cancels itself; one at the end
    of the mask (height * width) says nothing.
    """
    total = height * width
    repeated = boundaries[1:] == boundaries[:-1]
    if repeated.any():
        first = np.concatenate(([0], np.flatnonzero(~repeated) + 1))
        times = np.diff(first, append=len(boundaries))
        boundaries = boundaries[first[times % 2 == 1]]
    if len(boundaries) and boundaries[-1] == total:
        boundaries = boundaries[:-1]
    edges = np.empty(len(boundaries) + 2, np.int64)
    edges[0], edges[1:-1], edges[-1] = 0, boundaries, total
    return {"size": [height, width], "counts": _compress(edges[1:] - edges[:-1])}


def changes_of(values: Bools) -> Ints:
    """Where values [n] differ from the one before them; before the first there is a 0."""
    changes = np.flatnonzero(values[1:] != values[:-1]) + 1
    if len(values) and values[0]:
        changes = np.concatenate((np.zeros(1, changes.dtype), changes))
    return changes


def counts_of(compressed: str | bytes) -> Ints:
    """The run lengths in a counts string."""
    raw = compressed.encode("ascii") if isinstance(compressed, str) else compressed
    groups = np.frombuffer(raw, np.uint8).astype(np.int64) - 48
    if not len(groups):
        return groups
    ends = np.flatnonzero(groups & _MORE == 0)
    counts = _deltas(groups, ends)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts


def _deltas(groups: Ints, ends: Ints) -> Ints:
    """The numbers that groups of five bits stand for, each with its last group at one of `ends`."""
    starts = np.concatenate(([0], ends[:-1] + 1))
    position = np.arange(ends[-1] + 1) - np.repeat(starts, ends - starts + 1)
    shifted = (groups[: ends[-1] + 1] & (_MORE - 1)) << (_GROUP_BITS * position)
    deltas = np.add.reduceat(shifted, starts)
    negative = groups[ends] & (_MORE >> 1) != 0
    deltas -= negative.astype(np.int64) << (_GROUP_BITS * (ends - starts + 1))
    return deltas


def _compress(counts: Ints) -> str:
    delta = counts.copy()
    delta[3:] -= counts[1:-2]
    # A value fits in n groups when -2^(5n-1) <= value < 2^(5n-1); ~value mirrors the negative side.
    magnitude = delta ^ (delta >> 63)
    largest = int(magnitude.max())
    characters = [delta & (_MORE - 1)]
    present = []
    for group in range(1, _MAX_GROUPS):
        if largest >> (_GROUP_BITS * group - 1) == 0:
            break
        more = magnitude >> (_GROUP_BITS * group - 1) != 0
        characters[-1] |= more.astype(np.int64) << _GROUP_BITS
        characters.append((delta >> (_GROUP_BITS * group)) & (_MORE - 1))
        present.append(more)
    table = np.empty((len(delta), len(characters)), np.uint8)
    kept = np.ones(table.shape, np.bool_)
    for group, column in enumerate(characters):
        table[:, group] = column + 48
        if group:
            kept[:, group] = present[group - 1]
    return table[kept].tobytes().decode("ascii")
