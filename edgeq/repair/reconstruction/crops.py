"""What segments are trained on: crops of calibration images, at the scale of deployment."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeq.calibration.inputs import evenly, tensors
from edgeq.spec.images import Image
from edgeq.spec.recipe import Preprocess

Floats = NDArray[np.float32]

SIDE = 256
"""Pixels of a crop, of which every usual stride is a divisor"""
SCALES = 0.7, 1.3
"""Of a crop to its place in the image"""


def crops(
    files: Sequence[Image],
    preprocess: Preprocess,
    count: int,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Floats:
    """Crops [N,C,H,W] of input tensors, flipped and rescaled by chance.

    As many from each image as there have to be. Raises InputError for an image that cannot be read.
    """
    rng = np.random.default_rng(seed)
    chosen = evenly(files, count)
    found: list[Floats] = []
    for index, tensor in enumerate(tensors(chosen, preprocess)):
        share = count * (index + 1) // len(chosen) - count * index // len(chosen)
        found += [_crop(tensor[0], rng) for _ in range(share)]
        progress(len(found))
    return np.stack(found)


def whole(files: Sequence[Image], preprocess: Preprocess, count: int) -> Floats:
    """Input tensors [N,C,H,W] as they are, for networks that take no other size."""
    return np.concatenate(list(tensors(evenly(files, count), preprocess)))


def _crop(tensor: Floats, rng: np.random.Generator) -> Floats:
    """A part of an image [C,H,W], rescaled, and mirrored half the time."""
    height, width = tensor.shape[1:]
    out = min(SIDE, height), min(SIDE, width)
    scale = rng.uniform(*SCALES)
    part = [
        min(full, max(1, round(side / scale)))
        for full, side in zip((height, width), out, strict=True)
    ]
    top, left = (
        int(rng.integers(full - side + 1)) for full, side in zip((height, width), part, strict=True)
    )
    cut = tensor[:, top : top + part[0], left : left + part[1]].transpose(1, 2, 0)
    resized = cv2.resize(np.ascontiguousarray(cut), out[::-1], interpolation=cv2.INTER_LINEAR)
    if resized.ndim == 2:
        resized = resized[:, :, np.newaxis]
    if rng.random() < 0.5:
        resized = resized[:, ::-1]
    return np.ascontiguousarray(resized.transpose(2, 0, 1), np.float32)
