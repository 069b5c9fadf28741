"""Smooth random fields, the raw material of coats, ground and light."""

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
"""A picture-sized plane of float32, [height, width] or [height, width, 3]."""


def smooth_noise(rng: np.random.Generator, height: int, width: int, cell_px: float) -> Field:
    """Return value noise in 0..1, [height, width], with features about `cell_px` pixels wide."""
    # The lattice has two cells more than the plane, and the plane lies anywhere within it.
    rows, columns = int(height / cell_px) + 3, int(width / cell_px) + 3
    lattice = rng.random((rows, columns), dtype=np.float32)
    size = (int(columns * cell_px) + 1, int(rows * cell_px) + 1)
    enlarged = cv2.resize(lattice, size, interpolation=cv2.INTER_CUBIC)
    top, left = (int(share * cell_px) for share in rng.random(2))
    plane = enlarged[top : top + height, left : left + width]
    return np.clip(plane, 0.0, 1.0).astype(np.float32)


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


def spread(plane: Field) -> Field:
    """Return a plane [h, w] repeated over three channels [h, w, 3].

    Arithmetic on the copy is several times faster than numpy's broadcast over an axis of three.
    """
    return np.asarray(cv2.merge((plane, plane, plane)), np.float32)


def blend(below: Field, above: Field | tuple[float, float, float], alpha: Field) -> Field:
    """Return `above` laid over `below` [h, w, 3] with opacity `alpha` [h, w]."""
    if isinstance(above, tuple):
        above = np.full(below.shape, above, np.float32)
    # One pass and one allocation: the naive expression takes ten times as long.
    return np.asarray(cv2.blendLinear(above, below, alpha, 1.0 - alpha), np.float32)


def smoothstep(field: Field, low: float, high: float) -> Field:
    """Return 0 below `low`, 1 above `high` and a smooth cubic between them."""
    t = np.clip(field * np.float32(1.0 / (high - low)) - np.float32(low / (high - low)), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)
