"""Annotated images as a loss is given them: in the pixels of the network's input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgeq.agent.vision import rle
from edgeq.agent.vision.letterbox import Geometry
from edgeq.calibration.inputs import placed
from edgeq.errors import require
from edgeq.evaluation.annotations import Instance
from edgeq.evaluation.dataset import Dataset
from edgeq.repair.reconstruction.inputs import Tensor
from edgeq.spec.recipe import Preprocess

torch = require("torch", "train")


@dataclass(frozen=True)
class Labels:
    """The K annotated objects of an image, without crowds, in input pixels.

    `classes` are the model's [K], int64; `boxes` x1, y1, x2, y2 [K,4], float32; `masks` [K,H,W],
    bool.
    """

    classes: Tensor
    boxes: Tensor
    masks: Tensor


@dataclass(frozen=True)
class Batch:
    """Images as the network gets them [N,3,H,W], their files, and the labels of each."""

    images: Tensor
    files: tuple[Path, ...]
    labels: tuple[Labels, ...]


def batch_of(
    dataset: Dataset, preprocess: Preprocess, ids: Sequence[int], device: str = "cpu"
) -> Batch:
    """Images of a dataset with their labels; InputError for one that cannot be read."""
    found = [placed(dataset.files[one], preprocess) for one in ids]
    images = torch.from_numpy(np.concatenate([tensor for tensor, _ in found])).to(device)
    labels = [
        _labels(dataset, one, geometry, device)
        for one, (_, geometry) in zip(ids, found, strict=True)
    ]
    return Batch(images, tuple(dataset.files[one].path for one in ids), tuple(labels))


def _labels(dataset: Dataset, image: int, geometry: Geometry, device: str) -> Labels:
    # Of several classes that are one category the first stands for it.
    classes = {category: index for index, category in reversed(dataset.categories.items())}
    own = [
        one
        for one in dataset.annotations.instances
        if one.image_id == image and not one.crowd and one.category_id in classes
    ]
    shape = len(own), geometry.input_height, geometry.input_width
    masks = np.zeros(shape, np.bool_)
    boxes = np.zeros((len(own), 4), np.float32)
    for index, one in enumerate(own):
        masks[index] = _mask(one, geometry)
        boxes[index] = _box(one, geometry)
    numbers = np.array([classes[one.category_id] for one in own], np.int64)
    return Labels(*(torch.from_numpy(value).to(device) for value in (numbers, boxes, masks)))


def _mask(one: Instance, geometry: Geometry) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    g = geometry
    whole = rle.decode(one.mask.model_dump())
    size = g.resized_width, g.resized_height
    small = cv2.resize(whole, size, interpolation=cv2.INTER_NEAREST)
    found = np.zeros((g.input_height, g.input_width), np.bool_)
    found[g.top : g.top + g.resized_height, g.left : g.left + g.resized_width] = small > 0
    return found


def _box(one: Instance, geometry: Geometry) -> tuple[float, float, float, float]:
    x, y, width, height = one.box
    left, top = x * geometry.scale_x + geometry.left, y * geometry.scale_y + geometry.top
    return left, top, left + width * geometry.scale_x, top + height * geometry.scale_y
