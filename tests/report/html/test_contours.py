"""Masks as paths: drawn again they are the masks."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgeq.agent.vision import rle
from edgeq.records.accuracy import RunLength
from edgeq.report.html.contours import TOLERANCE_PX, path_of

Mask = NDArray[np.uint8]


def run_length(mask: Mask) -> RunLength:
    found = rle.encode(mask)
    return RunLength(size=tuple(found["size"]), counts=found["counts"])


def drawn(path: str, shape: tuple[int, int]) -> Mask:
    """What a browser fills, by the even-odd rule."""
    rings = []
    for ring in path.split("Z")[:-1]:
        numbers = [int(number) for number in re.findall(r"-?\d+", ring)]
        rings.append(np.array(numbers, np.int32).reshape(-1, 1, 2))
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, rings, 1)
    return canvas


def far_from_edges(mask: Mask) -> Mask:
    """Where nothing within the tolerance differs, so that a path has no choice."""
    reach = 2 * int(np.ceil(TOLERANCE_PX)) + 1
    kernel = np.ones((reach, reach), np.uint8)
    same = np.asarray(cv2.erode(mask, kernel)) == np.asarray(cv2.dilate(mask, kernel))
    return np.asarray(same, np.uint8)


@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.integers(0, 60), st.integers(4, 25), st.booleans()),
        min_size=1,
        max_size=5,
    )
)
def test_a_path_is_its_mask_but_for_its_edge(discs: list[tuple[int, int, int, bool]]) -> None:
    mask = np.zeros((64, 96), np.uint8)
    for x, y, radius, adds in discs:
        cv2.circle(mask, (x, y), radius, int(adds), -1)

    found = drawn(path_of(run_length(mask)), mask.shape)

    inner = far_from_edges(mask) == 1
    assert (found[inner] == mask[inner]).mean() > 0.995


@pytest.mark.parametrize("value", [0, 1])
def test_nothing_is_no_path_and_all_is_one_ring(value: int) -> None:
    path = path_of(run_length(np.full((20, 30), value, np.uint8)))

    assert path.count("M") == value


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 20), (20, 1)])
def test_a_mask_too_thin_for_an_outline_is_a_box(size: tuple[int, int]) -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[5 : 5 + size[0], 7 : 7 + size[1]] = 1
    path = path_of(run_length(mask))
    assert path == f"M6.5 4.5H{6.5 + size[1]}V{4.5 + size[0]}H6.5Z"


def test_a_thin_line_across_stays_one_and_a_tiny_hole_is_none() -> None:
    across = path_of(run_length(np.eye(30, dtype=np.uint8)))
    assert np.array_equal(drawn(across, (30, 30)), np.eye(30))
    holed = np.zeros((40, 40), np.uint8)
    holed[5:35, 5:35] = 1
    whole = path_of(run_length(holed))
    holed[20, 20] = 0
    assert path_of(run_length(holed)) == whole
