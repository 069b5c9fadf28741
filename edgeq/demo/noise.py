"""Smooth random fields, the raw material of coats, ground and light."""

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""A picture-sized plane of float32, [height, width] or [height, width, 3]."""


def smooth_noise(rng: np.random.Generator, height: int, width: int, cell_px: float) -> Field:
    """Return value noise in 0..1, [height, width], with features about `cell_px` pixels wide."""
    rows = int(np.ceil(height / cell_px)) + 3
    columns = int(np.ceil(width / cell_px)) + 3
    coarse = rng.random((rows, columns), dtype=np.float32)
    shift_y, shift_x = rng.random(2)
    # An affine sample of the lattice, so that the cell may be any real number of pixels.
    step = 1.0 / cell_px
    matrix = np.array([[step, 0.0, 1.0 + shift_x], [0.0, step, 1.0 + shift_y]])
    sampled = cv2.warpAffine(
        coarse,
        matrix,
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.clip(sampled, 0.0, 1.0).astype(np.float32)


def fractal_noise(
    rng: np.random.Generator, height: int, width: int, cell_px: float, octaves: int = 3
) -> Field:
    """Return a sum of octaves of `smooth_noise`, scaled to 0..1, [height, width]."""
    total = np.zeros((height, width), np.float32)
    weight, weights = 1.0, 0.0
    for _ in range(octaves):
        total += weight * smooth_noise(rng, height, width, max(cell_px, 1.5))
        weights += weight
        weight, cell_px = weight * 0.55, cell_px * 0.5
    return total / np.float32(weights)


def blend(below: Field, above: Field | tuple[float, float, float], alpha: Field) -> Field:
    """Return `above` laid over `below` [h, w, 3] with opacity `alpha` [h, w]."""
    top = np.asarray(above, np.float32)
    return below + (top - below) * alpha[..., None]


def smoothstep(field: Field, low: float, high: float) -> Field:
    """Return 0 below `low`, 1 above `high` and a smooth cubic between them."""
    t = np.clip((field - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
    return (t * t * (3.0 - 2.0 * t)).astype(np.float32)
