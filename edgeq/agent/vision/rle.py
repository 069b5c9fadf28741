"""COCO's compressed run-length encoding, without a loop over runs or pixels.

A mask is read column by column; runs of 0 and 1 alternate and start with 0 (possibly none). The
counts string stores each run minus the one two before it, in groups of five bits, least significant
first, a sixth bit for 'more follows', plus 48 to be printable. Source: pycocotools, `maskApi.c`
(rleEncode, rleToString, rleFrString).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

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


def fills(rle: Mapping[str, Any]) -> bool:
    """Whether the runs are what they should be: of groups that exist, and filling the mask."""
    try:
        raw = np.frombuffer(rle["counts"].encode("ascii"), np.uint8)
    except UnicodeEncodeError:
        return False
    if not len(raw) or raw.min() < 48 or raw.max() >= 48 + 2 * _MORE or (raw[-1] - 48) & _MORE:
        return False
    # Where each run ends; one of too many groups would lose its upper bits.
    ends = np.flatnonzero(((raw - 48) & _MORE) == 0)
    if np.diff(ends, prepend=-1).max() > _MAX_GROUPS - 1:
        return False
    counts = counts_of(rle["counts"])
    height, width = rle["size"]
    # The largest first: a sum may go round.
    return bool(counts.min() >= 0 and counts.max() <= height * width) and (
        int(counts.sum()) == height * width
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
    starts = np.concatenate(([0], ends[:-1] + 1))
    position = np.arange(ends[-1] + 1) - np.repeat(starts, ends - starts + 1)
    shifted = (groups[: ends[-1] + 1] & (_MORE - 1)) << (_GROUP_BITS * position)
    counts = np.add.reduceat(shifted, starts)
    negative = groups[ends] & (_MORE >> 1) != 0
    counts -= negative.astype(np.int64) << (_GROUP_BITS * (ends - starts + 1))
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts


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
