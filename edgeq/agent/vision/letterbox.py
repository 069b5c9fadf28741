"""From a BGR image to the model's input tensor, and back from input pixels to image pixels.

The letterbox is Ultralytics' (YOLOv5, `utils/augmentations.py`): one ratio for both axes, bilinear,
grey padding split evenly with round(d - 0.1) before and round(d + 0.1) after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from ..manifest import ReleaseInput
    from .arrays import Array, Bytes, Floats


class Geometry(NamedTuple):
    """Where an image lies inside the input: x_input = x_image * scale_x + left, likewise y.

    Coordinates are edges, not pixel centres: an image's right edge is x = image_width. The scales
    are those of the resize itself (whole pixels on both sides), not the common ratio before
    rounding, so that no position drifts along an axis.
    """

    image_height: int
    image_width: int
    input_height: int
    input_width: int
    top: int
    left: int
    resized_height: int
    resized_width: int

    @property
    def scale_x(self) -> float:
        """Input pixels per image pixel along x."""
        return self.resized_width / self.image_width

    @property
    def scale_y(self) -> float:
        """Input pixels per image pixel along y."""
        return self.resized_height / self.image_height


def geometry_of(
    image_height: int, image_width: int, input_height: int, input_width: int, letterbox: bool
) -> Geometry:
    """The place of an image inside the input; `letterbox` false stretches it to fill the input."""
    if not letterbox:
        return Geometry(
            image_height, image_width, input_height, input_width, 0, 0, input_height, input_width
        )
    ratio = min(input_height / image_height, input_width / image_width)
    # An extreme aspect ratio would round the short side to nothing.
    resized_height = max(1, round(image_height * ratio))
    resized_width = max(1, round(image_width * ratio))
    return Geometry(
        image_height,
        image_width,
        input_height,
        input_width,
        round((input_height - resized_height) / 2 - 0.1),
        round((input_width - resized_width) / 2 - 0.1),
        resized_height,
        resized_width,
    )


def place(image: Bytes, geometry: Geometry, pad_value: int) -> Bytes:
    """The resized image on its padding: [H,W,3] uint8 in, [input_height,input_width,3] out."""
    g = geometry
    if (g.resized_height, g.resized_width) != (g.image_height, g.image_width):
        size = (g.resized_width, g.resized_height)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    if (g.resized_height, g.resized_width) == (g.input_height, g.input_width):
        return image
    canvas = np.full((g.input_height, g.input_width, 3), pad_value, np.uint8)
    canvas[g.top : g.top + g.resized_height, g.left : g.left + g.resized_width] = image
    return canvas


def normalise(pixels: Bytes, preprocess: ReleaseInput) -> Array:
    """(pixel * scale - mean) / std in the model's colour order, layout and dtype, batch of one.

    [H,W,3] BGR uint8 in; [1,3,H,W] (nchw) or [1,H,W,3] (nhwc) out.
    """
    order = (2, 1, 0) if preprocess.color == "rgb" else (0, 1, 2)
    height, width = pixels.shape[:2]
    if preprocess.dtype == "uint8":
        tensor: Array = pixels[:, :, order]
        tensor = tensor.transpose(2, 0, 1) if preprocess.layout == "nchw" else tensor
        return np.ascontiguousarray(tensor)[None]
    planes = np.empty((3, height, width), np.float32)
    for plane, channel, table in zip(planes, order, _tables(preprocess)):
        # 256 possible pixels: a lookup is exact, the same on every CPU, and faster than arithmetic.
        cv2.LUT(cv2.extractChannel(pixels, channel), table, plane)
    if preprocess.layout == "nhwc":
        return np.ascontiguousarray(planes.transpose(1, 2, 0))[None]
    return planes[None]


def prepare(image: Bytes, preprocess: ReleaseInput) -> tuple[Array, Geometry]:
    """The input tensor of one BGR image [H,W,3], and the geometry that maps results back."""
    height, width = image.shape[:2]
    geometry = geometry_of(height, width, *preprocess.size, preprocess.letterbox)
    return normalise(place(image, geometry, preprocess.pad_value), preprocess), geometry


def boxes_to_image(boxes: Floats, geometry: Geometry, clip: bool = True) -> Floats:
    """Boxes [n,4] x1,y1,x2,y2 from input pixels to image pixels; `clip` keeps them inside it."""
    shift = np.array([geometry.left, geometry.top] * 2, np.float32)
    scale = np.array([geometry.scale_x, geometry.scale_y] * 2, np.float32)
    moved: Floats = (boxes - shift) / scale
    if clip:
        limit = np.array([geometry.image_width, geometry.image_height] * 2, np.float32)
        np.clip(moved, np.float32(0), limit, out=moved)
    return moved


def _tables(preprocess: ReleaseInput) -> Floats:
    pixel = np.arange(256, dtype=np.float64)
    mean, std = (np.array(v, np.float64)[:, None] for v in (preprocess.mean, preprocess.std))
    return ((pixel * preprocess.scale - mean) / std).astype(np.float32)
