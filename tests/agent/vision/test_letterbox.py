"""Letterbox geometry, its inverse, and normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.agent.manifest import ReleaseInput
from edgeq.agent.vision.letterbox import boxes_to_image, geometry_of, normalise, place, prepare

sides = st.integers(1, 3000)


def preprocess(**changes: Any) -> ReleaseInput:
    plain = ReleaseInput(
        size=(64, 96),
        letterbox=True,
        pad_value=114,
        color="rgb",
        scale=1 / 255,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        layout="nchw",
        dtype="float32",
    )
    return plain._replace(**changes)


@given(sides, sides, st.integers(16, 1280), st.integers(16, 1280))
@settings(deadline=None)
def test_letterbox_fills_one_axis_and_centres_the_other(
    h: int, w: int, to_h: int, to_w: int
) -> None:
    g = geometry_of(h, w, to_h, to_w, letterbox=True)
    # Published rule, YOLOv5 utils/augmentations.py letterbox().
    r = min(to_h / h, to_w / w)
    new_w, new_h = max(1, round(w * r)), max(1, round(h * r))
    dw, dh = (to_w - new_w) / 2, (to_h - new_h) / 2
    assert (g.resized_height, g.resized_width) == (new_h, new_w)
    assert (g.top, g.left) == (round(dh - 0.1), round(dw - 0.1))
    assert g.top + new_h + round(dh + 0.1) == to_h
    assert g.left + new_w + round(dw + 0.1) == to_w
    assert new_h == to_h or new_w == to_w


@given(sides, sides, st.booleans(), st.data())
@settings(deadline=None)
def test_boxes_return_to_where_they_came_from(h: int, w: int, boxed: bool, data: Any) -> None:
    g = geometry_of(h, w, 640, 480, boxed)
    corners = [data.draw(st.floats(0, side)) for side in (w, h, w, h)]
    box = np.array([corners])
    there = box * np.array([g.scale_x, g.scale_y] * 2) + np.array([g.left, g.top] * 2)
    pixel = max(1 / g.scale_x, 1 / g.scale_y)
    assert np.allclose(
        boxes_to_image(there.astype(np.float32), g), box, atol=2e-4 * pixel + 1e-4, rtol=1e-5
    )


def test_boxes_are_clipped_to_the_image_unless_asked_not_to() -> None:
    g = geometry_of(100, 200, 200, 200, letterbox=True)
    outside = np.array([[-50, 0, 300, 250]], np.float32)
    assert boxes_to_image(outside, g).tolist() == [[0, 0, 200, 100]]
    assert boxes_to_image(outside, g, clip=False).tolist() == [[-50, -50, 300, 200]]


def test_padding_is_grey_and_the_image_is_not_stretched() -> None:
    image = np.full((50, 100, 3), 200, np.uint8)
    placed = place(image, geometry_of(50, 100, 64, 64, letterbox=True), 114)
    assert placed.shape == (64, 64, 3)
    assert (placed[:16] == 114).all() and (placed[48:] == 114).all()
    assert (placed[16:48] == 200).all()


def test_without_letterbox_the_image_fills_the_input() -> None:
    image = np.full((50, 100, 3), 200, np.uint8)
    assert (place(image, geometry_of(50, 100, 64, 96, letterbox=False), 114) == 200).all()


@pytest.mark.parametrize("color", ["rgb", "bgr"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_normalisation_follows_the_formula(color: str, layout: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    settings_ = preprocess(color=color, layout=layout, mean=mean, std=std)
    ordered = pixels[..., ::-1] if color == "rgb" else pixels
    expected = (ordered.astype(np.float64) / 255 - mean) / std
    if layout == "nchw":
        expected = expected.transpose(2, 0, 1)
    tensor = normalise(pixels, settings_)
    assert tensor.dtype == np.float32 and tensor.flags["C_CONTIGUOUS"]
    assert np.allclose(tensor[0], expected, atol=1e-6)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_uint8_inputs_take_pixels_as_they_are(layout: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    tensor = normalise(pixels, preprocess(dtype="uint8", scale=1.0, layout=layout))
    assert tensor.dtype == np.uint8
    channels_last = tensor[0].transpose(1, 2, 0) if layout == "nchw" else tensor[0]
    assert np.array_equal(channels_last[..., ::-1], pixels)


def test_prepare_gives_tensor_and_geometry() -> None:
    tensor, geometry = prepare(np.zeros((10, 20, 3), np.uint8), preprocess())
    assert tensor.shape == (1, 3, 64, 96)
    assert (geometry.resized_height, geometry.resized_width) == (48, 96)
