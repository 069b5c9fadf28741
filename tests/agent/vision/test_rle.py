"""RLE against pycocotools, both ways."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from edgeq.agent.vision import rle

masks = arrays(
    np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 1)
)


def reference(mask: Any) -> Dict[str, Any]:
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(encoded["size"]), "counts": encoded["counts"].decode("ascii")}


@given(masks)
@settings(deadline=None, max_examples=200)
def test_encodes_as_pycocotools_does(mask: Any) -> None:
    assert rle.encode(mask) == reference(mask)


@given(masks)
@settings(deadline=None, max_examples=200)
def test_decodes_what_pycocotools_encoded(mask: Any) -> None:
    assert np.array_equal(rle.decode(reference(mask)), mask)


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((5, 7)),
        np.ones((5, 7)),
        np.ones((1, 9)),
        np.ones((9, 1)),
        np.eye(1),
        np.eye(6)[::-1],
        np.tile([[0, 1]], (4, 5)),
    ],
)
def test_special_masks_agree_with_pycocotools(mask: Any) -> None:
    assert rle.encode(mask) == reference(mask)
    assert np.array_equal(rle.decode(rle.encode(mask)), mask)


@pytest.mark.parametrize("at", [(0, 0), (6, 0), (0, 4), (6, 4), (3, 2)])
def test_a_single_pixel_agrees_with_pycocotools(at: Any) -> None:
    mask = np.zeros((7, 5), np.uint8)
    mask[at] = 1
    assert rle.encode(mask) == reference(mask)


def test_long_runs_need_several_groups_and_agree() -> None:
    mask = np.zeros((3000, 2000), np.uint8)
    mask[1234:2345, 3:1999] = 1
    mask[:, 1000] = 1
    assert rle.encode(mask) == reference(mask)
    assert np.array_equal(rle.decode(reference(mask)), mask)


@given(masks)
@settings(deadline=None)
def test_area_counts_set_pixels(mask: Any) -> None:
    assert rle.area(rle.encode(mask)) == int(mask.sum())


@given(st.lists(st.integers(0, 30), max_size=12).map(sorted))
@settings(deadline=None)
def test_repeated_boundaries_cancel(boundaries: Any) -> None:
    naive = np.zeros(30, np.uint8)
    for boundary in boundaries:
        naive[boundary:] ^= 1
    encoded = rle.from_boundaries(np.array(boundaries, np.int64), 5, 6)
    assert encoded == reference(naive.reshape(6, 5).T)


def test_runs_that_do_not_fill_the_mask_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fill 3 x 3"):
        rle.decode({"size": [3, 3], "counts": rle.encode(np.ones((2, 2)))["counts"]})


def decodes(counts: str, height: int, width: int) -> bool:
    try:
        rle.decode({"size": [height, width], "counts": counts})
    except (ValueError, UnicodeEncodeError, IndexError):
        return False
    return bool(counts) and all(48 <= ord(letter) < 112 for letter in counts)


MASKS = st.lists(
    st.one_of(
        st.lists(st.booleans(), min_size=35, max_size=35).map(
            lambda bits: str(rle.encode(np.array(bits).reshape(5, 7))["counts"])
        ),
        st.text(st.characters(min_codepoint=46, max_codepoint=113), max_size=6),
        st.sampled_from(["35", "S1", "c", "", "\xe9", "0S1", "S10", "o" * 14 + "0"]),
    ),
    max_size=5,
)


@settings(max_examples=300)
@given(MASKS)
def test_masks_fill_their_image_when_each_of_them_decodes(masks: list[str]) -> None:
    # A group that says 'more' at the end, and runs of too many groups, decode to something.
    ended = all((ord(counts[-1]) - 48) & 32 == 0 for counts in masks if counts)
    expected = ended and all(decodes(counts, 5, 7) for counts in masks)
    if any("o" * 13 in counts for counts in masks):
        expected = False
    assert rle.fills(masks, 5, 7) == expected


def test_masks_of_many_sizes_of_runs_fill_their_image() -> None:
    rng = np.random.default_rng(0)
    masks = [rng.random((300, 200)) < share for share in (0, 0.001, 0.3, 0.999, 1)]
    counts = [str(rle.encode(mask)["counts"]) for mask in masks]
    assert rle.fills(counts, 300, 200) and rle.fills([], 300, 200)
    assert not rle.fills(counts, 200, 299)
    assert not rle.fills([*counts, counts[2][:-1]], 300, 200)
