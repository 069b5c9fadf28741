"""COCO average precision of an exported network on unseen scenes, read back from JPEG files.

It shares no decoding with the package on purpose, so that the two can be held against each other.
"""

# The checks run without torch, so its types are unknown there.
# mypy: allow-subclassing-any, allow-untyped-decorators, no-warn-return-any
# mypy: no-warn-unused-ignores

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray
from pycocotools import mask as coco_mask  # type: ignore[import-untyped]
from pycocotools.coco import COCO  # type: ignore[import-untyped]
from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]

from demo_model.scenes import letterbox
from edgeq.demo.annotations import write_annotations, write_scenes
from edgeq.demo.paddock import CLASS_NAMES
from edgeq.demo.project import EVALUATION_SEED

SCORE_THRESHOLD, IOU_THRESHOLD, MAX_DETECTIONS = 0.001, 0.6, 100
Floats = NDArray[np.float32]


def suppress(boxes: Floats, scores: Floats, labels: NDArray[np.int64]) -> list[int]:
    """Return the rows that greedy non-maximum suppression keeps within each class, best first."""
    order = np.argsort(-scores, kind="stable")
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    while len(order) and len(kept) < MAX_DETECTIONS:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        inner = np.clip(high - low, 0, None).prod(axis=1)
        overlap = inner / np.maximum(areas[best] + areas[rest] - inner, 1e-9)
        order = rest[(overlap <= IOU_THRESHOLD) | (labels[rest] != labels[best])]
    return kept


def masks_of(
    coefficients: Floats,
    prototypes: Floats,
    shape: tuple[int, int],
    scale: float,
    top: int,
    left: int,
) -> Floats:
    """Return mask probabilities [n, height, width] at image size, resized bilinearly."""
    members, rows, columns = prototypes.shape
    logits = coefficients @ prototypes.reshape(members, -1)
    grids = (1.0 / (1.0 + np.exp(-logits))).reshape(-1, rows, columns).astype(np.float32)
    # Image pixel centre x lies at (x + 0.5) * scale + left in the input, a cell is 4 input pixels.
    step = scale / 4.0
    matrix = np.array(
        [
            [step, 0.0, 0.5 * step + left / 4.0 - 0.5],
            [0.0, step, 0.5 * step + top / 4.0 - 0.5],
        ]
    )
    height, width = shape
    return np.stack(
        [
            cv2.warpAffine(
                grid,
                matrix,
                (width, height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for grid in grids
        ]
    ).astype(np.float32)


def detect(
    session: onnxruntime.InferenceSession, image: NDArray[np.uint8]
) -> tuple[Floats, Floats, NDArray[np.int64], NDArray[np.uint8]]:
    """Return boxes x1 y1 x2 y2 in image pixels [n, 4], scores [n], labels [n], masks [n, h, w]."""
    height, width = image.shape[:2]
    canvas, scale, top, left = letterbox(image)
    tensor = canvas[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255.0)
    table, prototypes = (output[0] for output in session.run(None, {"images": tensor}))
    classes = len(CLASS_NAMES)
    above = table[4 : 4 + classes] > SCORE_THRESHOLD
    column, label = (axis.astype(np.int64) for axis in above.T.nonzero())
    score = table[4 + label, column]
    centre, half = table[:2, column].T, table[2:4, column].T / 2
    corners = np.concatenate((centre - half, centre + half), axis=1, dtype=np.float32)
    kept = suppress(corners, score, label)
    boxes = (corners[kept] - np.array([left, top, left, top], np.float32)) / np.float32(scale)
    boxes = np.clip(boxes, 0, np.array([width, height] * 2)).astype(np.float32)
    if not kept:
        return boxes, score[kept], label[kept], np.zeros((0, height, width), np.uint8)
    chances = masks_of(
        table[4 + classes :, column[kept]].T, prototypes, (height, width), scale, top, left
    )
    xs, ys = np.arange(width), np.arange(height)
    across = (xs >= boxes[:, 0:1]) & (xs < boxes[:, 2:3])
    down = (ys >= boxes[:, 1:2]) & (ys < boxes[:, 3:4])
    masks = (chances > 0.5) & across[:, None, :] & down[:, :, None]
    return boxes, score[kept], label[kept], masks.astype(np.uint8)


def evaluate(model: Path, count: int = 200, seed: int = EVALUATION_SEED) -> dict[str, float]:
    """Return and print AP 0.50:0.95 of masks and boxes over `count` scenes of the series `seed`."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        folder = Path(name)
        instances = write_annotations(folder / "i.json", write_scenes(folder, seed, count))
        truth = COCO(str(folder / "i.json"))
        results: list[dict[str, Any]] = []
        for entry in truth.loadImgs(truth.getImgIds()):
            image = np.asarray(cv2.imread(str(folder / entry["file_name"])), np.uint8)
            for box, score, label, mask in zip(*detect(session, image), strict=True):
                x1, y1, x2, y2 = (float(edge) for edge in box)
                results.append(
                    {
                        "image_id": entry["id"],
                        "category_id": int(label) + 1,
                        "score": float(score),
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "segmentation": coco_mask.encode(np.asfortranarray(mask)),
                    }
                )
        found = truth.loadRes(results)
        figures: dict[str, float] = {}
        for kind, noun in (("segm", "mask"), ("bbox", "box")):
            scorer = COCOeval(truth, found, kind)
            scorer.evaluate()
            scorer.accumulate()
            scorer.summarize()
            figures[f"{noun} AP"] = float(scorer.stats[0])
            figures[f"{noun} AP50"] = float(scorer.stats[1])
            if kind == "segm":
                # precision is [thresholds, recalls, classes, areas, detections].
                each = scorer.eval["precision"][:, :, :, 0, -1].mean(axis=(0, 1))
                figures |= {
                    f"mask AP {n}": float(v) for n, v in zip(CLASS_NAMES, each, strict=True)
                }
    print(f"{count} scenes of series {seed}, {instances} animals")
    for name, value in figures.items():
        print(f"{name}: {value:.4f}")
    return figures
