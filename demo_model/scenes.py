"""Drawn paddocks as training samples: letterboxed pictures, boxes and quarter-size masks."""

import multiprocessing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeq.demo.paddock import draw

INPUT_PX = 256
PAD_VALUE = 114
MASK_STRIDE = 4
FRAMES = ((INPUT_PX, INPUT_PX), (240, 320))
"""Half of the training scenes are square, half are wide and so carry letterbox bars."""


@dataclass(frozen=True)
class Samples:
    """Scenes in one block each.

    `images` uint8 RGB [n, 3, 256, 256]; `boxes` float32 x1 y1 x2 y2 in input pixels [k, 4];
    `labels` int64 [k]; `masks` uint8 [k, 64, 64], the covered share of each cell in 1/255;
    scene i owns the rows `starts[i]` to `starts[i + 1]` of the last three.
    """

    images: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    masks: NDArray[np.uint8]
    starts: NDArray[np.int64]


def letterbox(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float, int, int]:
    """Return the picture centred on grey [256, 256, 3], its scale, and the top and left bars."""
    height, width = image.shape[:2]
    scale = min(INPUT_PX / height, INPUT_PX / width)
    rows, columns = round(height * scale), round(width * scale)
    top, left = (INPUT_PX - rows) // 2, (INPUT_PX - columns) // 2
    canvas = np.full((INPUT_PX, INPUT_PX, 3), PAD_VALUE, np.uint8)
    resized = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR)
    canvas[top : top + rows, left : left + columns] = resized
    return canvas, scale, top, left


Sample = tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64], NDArray[np.uint8]]


def draw_sample(index: int, seed: int) -> Sample:
    """Return image, boxes, labels and masks of one training scene, as in `Samples`."""
    cv2.setNumThreads(1)
    height, width = FRAMES[index % 2]
    scene = draw(seed, index, height, width)
    canvas, scale, top, left = letterbox(scene.image)
    count = len(scene.labels)
    cells = INPUT_PX // MASK_STRIDE
    boxes = np.zeros((count, 4), np.float32)
    masks = np.zeros((count, cells, cells), np.uint8)
    for row, mask in enumerate(scene.masks):
        ys, xs = np.nonzero(mask)
        edges = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float32)
        boxes[row] = edges * scale + np.array([left, top, left, top], np.float32)
        plane = np.zeros((INPUT_PX, INPUT_PX), np.uint8)
        rows, columns = round(height * scale), round(width * scale)
        inside = cv2.resize(
            mask.astype(np.uint8) * 255, (columns, rows), interpolation=cv2.INTER_AREA
        )
        plane[top : top + rows, left : left + columns] = inside
        masks[row] = cv2.resize(plane, (cells, cells), interpolation=cv2.INTER_AREA)
    rgb = np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1))
    return rgb, boxes, scene.labels, masks


def load_samples(cache: Path, seed: int, count: int, workers: int) -> Samples:
    """Return `count` scenes, drawn in worker processes and kept in the folder `cache`."""
    path = cache / f"paddocks-{seed}-{count}.npz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            drawn = pool.map(partial(draw_sample, seed=seed), range(count), chunksize=16)
        starts = np.cumsum([0] + [len(labels) for _, _, labels, _ in drawn])
        partial_path = path.with_suffix(".part.npz")
        np.savez(
            partial_path,
            images=np.stack([sample[0] for sample in drawn]),
            boxes=np.concatenate([sample[1] for sample in drawn]),
            labels=np.concatenate([sample[2] for sample in drawn]),
            masks=np.concatenate([sample[3] for sample in drawn]),
            starts=starts,
        )
        partial_path.replace(path)
    with np.load(path) as stored:
        return Samples(**{name: stored[name] for name in stored.files})
