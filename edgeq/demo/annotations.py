"""Drawn scenes on disk: JPEG files and a COCO JSON file with the exact mask of every animal."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeq.demo.paddock import CLASS_NAMES, Scene, draw
from edgeq.places import write_whole

HEIGHT_PX, WIDTH_PX = 240, 320
"""Wider than the network's square input, so that the letterbox has work to do."""
JPEG_QUALITY = 95


def write_scenes(folder: Path, seed: int, count: int) -> Iterator[tuple[str, Scene]]:
    """Draw `count` scenes of the series `seed` into `folder`; yield each file's name and scene."""
    for index in range(count):
        scene = draw(seed, index, HEIGHT_PX, WIDTH_PX)
        name = f"scene-{index:04d}.jpg"
        _, encoded = cv2.imencode(".jpg", scene.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        write_whole(folder / name, encoded.tobytes())
        yield name, scene


def write_annotations(path: Path, scenes: Iterator[tuple[str, Scene]]) -> int:
    """Write a COCO JSON file (https://cocodataset.org/#format-data); return the instance count.

    Masks are uncompressed RLE, boxes and areas are those of the masks. Category ids start at 1.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (name, scene) in enumerate(scenes, start=1):
        height, width = scene.image.shape[:2]
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for mask, label in zip(scene.masks, scene.labels, strict=True):
            annotations.append(_annotation(len(annotations) + 1, number, int(label) + 1, mask))
    categories = [{"id": index, "name": name} for index, name in enumerate(CLASS_NAMES, start=1)]
    content = {"images": images, "categories": categories, "annotations": annotations}
    write_whole(path, json.dumps(content, separators=(",", ":")).encode())
    return len(annotations)


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """Return the counts of COCO's uncompressed RLE of a mask [h, w]: column by column, 0 first."""
    flat = np.concatenate(([False], mask.ravel(order="F")))
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return [int(n) for n in np.diff(np.concatenate(([0], edges, [mask.size])))]


def _annotation(
    number: int, image_id: int, category_id: int, mask: NDArray[np.bool_]
) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    return {
        "id": number,
        "image_id": image_id,
        "category_id": category_id,
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "area": int(np.count_nonzero(mask)),
        "iscrowd": 0,
    }
