"""Decoder of torchvision's Mask R-CNN export, and torchvision's way of pasting its masks.

Source: torchvision `models/detection/roi_heads.py` (expand_masks, expand_boxes,
paste_mask_in_image).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Sequence

import numpy as np

from ...errors import BAD_ARTIFACT, AgentError
from ..detections import Detections, Output, Parts, mismatch
from ..letterbox import boxes_to_image
from ..masks import Axis, MaskWindow, axis_of, threshold_grid

if TYPE_CHECKING:
    from ...manifest import ReleaseTask
    from ..arrays import Array, Floats, Ints
    from ..letterbox import Geometry

_PADDING = 1


class RoiHeads(NamedTuple):
    """The four outputs, told apart by rank and dtype; masks [n,h,w] are probabilities."""

    boxes: Floats
    labels: Ints
    scores: Floats
    masks: Floats


class MaskRcnn:
    """Outputs boxes [n,4] x1,y1,x2,y2, labels [n], scores [n], masks [n,1,m,m] or [n,1,H,W].

    Labels start at 1 (0 is background): label - 1 is the index in the task's classes. Masks of the
    input's size are taken as already pasted, any others as soft masks of their boxes. The model has
    done its own NMS.
    """

    name = "mask-rcnn"
    selected = True
    expects = (
        "boxes [n,4], labels [n] int64, scores [n] float and masks [n,1,m,m] "
        "or [n,1,input height,input width]"
    )

    def __init__(self, task: ReleaseTask) -> None:
        self._task = task

    def fits(self, outputs: Sequence[Output]) -> bool:
        """See `Decoder`."""
        return _split(outputs) is not None

    def parts(self, outputs: Sequence[Output]) -> Parts:
        """See `Decoder`."""
        heads = _split(outputs)
        if heads is None:
            raise mismatch(outputs, self.expects)
        wanted = self._wanted(heads)
        rows = {"boxes": heads.boxes, "scores": heads.scores, "masks": heads.masks}
        chosen = {name: array[wanted] for name, array in rows.items()}
        return Parts(chosen, {}, heads.labels[wanted])

    def decode(self, outputs: Sequence[Output], geometry: Geometry) -> Detections:
        """See `Decoder`."""
        heads = _split(outputs)
        if heads is None:
            raise mismatch(outputs, self.expects)
        task = self._task
        wanted = self._wanted(heads)
        best = np.argsort(-heads.scores[wanted], kind="stable")[: task.max_detections]
        kept = wanted[best]
        labels = heads.labels[kept] - 1
        self._check(labels)
        pasted = heads.masks.shape[1:] == (geometry.input_height, geometry.input_width)
        # Pasting rounds to whole pixels, so it has to see the boxes as they lie in the image.
        unclipped = boxes_to_image(heads.boxes[kept], geometry, clip=False)
        boxes = boxes_to_image(heads.boxes[kept], geometry)
        paste = paste_from_input if pasted else paste_soft_mask
        masks = [
            paste(heads.masks[index], box, geometry, task.mask_threshold)
            for index, box in zip(kept, unclipped)
        ]
        return Detections(boxes, labels, heads.scores[kept], masks)

    def _wanted(self, heads: RoiHeads) -> Ints:
        return np.flatnonzero((heads.scores > self._task.score_threshold) & (heads.labels > 0))

    def _check(self, labels: Ints) -> None:
        classes = len(self._task.classes)
        if len(labels) and labels.max() >= classes:
            raise AgentError(
                BAD_ARTIFACT,
                "model outputs",
                f"label {labels.max() + 1} was found and the task names {classes} classes",
                "list a class for every label from 1 on (label 1 is the first of the classes)",
            )


def paste_soft_mask(
    mask: Floats, box: Floats, geometry: Geometry, threshold: float
) -> dict[str, Any]:
    """The RLE of a soft mask [m,m] stretched over its box [4] (image pixels), >= `threshold`."""
    padded = np.pad(mask, _PADDING, mode="constant")
    x1, y1, x2, y2 = expanded_box(box, padded.shape[0] / mask.shape[0])
    width, height = max(x2 - x1 + 1, 1), max(y2 - y1 + 1, 1)
    return threshold_grid(
        padded,
        _shifted(axis_of(height, padded.shape[0], 0.0), y1),
        _shifted(axis_of(width, padded.shape[1], 0.0), x1),
        _clipped(x1, y1, x2, y2, geometry),
        _just_below(threshold),
        geometry.image_height,
        geometry.image_width,
    )


def paste_from_input(
    mask: Floats, box: Floats, geometry: Geometry, threshold: float
) -> dict[str, Any]:
    """The RLE of a mask already pasted at input size [H,W], mapped to the image, >= `threshold`."""
    g = geometry
    # 28 cells and one of padding on either side, and a pixel for rounding in input and image each.
    x1, y1, x2, y2 = expanded_box(box, 30 / 28)
    return threshold_grid(
        mask,
        axis_of(g.image_height, g.resized_height, g.top),
        axis_of(g.image_width, g.resized_width, g.left),
        _clipped(x1 - 2, y1 - 2, x2 + 2, y2 + 2, geometry),
        _just_below(threshold),
        g.image_height,
        g.image_width,
    )


def expanded_box(box: Floats, scale: float) -> tuple[int, int, int, int]:
    """The box grown about its centre and cut to whole pixels (towards zero), last pixel included.

    Float32 as in torchvision: one rounding apart would be a pixel apart.
    """
    x1, y1, x2, y2 = box.astype(np.float32)
    half, grow = np.float32(0.5), np.float32(scale)
    center_x, center_y = (x2 + x1) * half, (y2 + y1) * half
    half_width, half_height = (x2 - x1) * half * grow, (y2 - y1) * half * grow
    return (
        int(center_x - half_width),
        int(center_y - half_height),
        int(center_x + half_width),
        int(center_y + half_height),
    )


def _shifted(axis: Axis, start: int) -> Axis:
    return Axis(axis.offset - axis.scale * start, axis.scale)


def _clipped(x1: int, y1: int, x2: int, y2: int, geometry: Geometry) -> MaskWindow:
    return MaskWindow(
        max(y1, 0),
        max(x1, 0),
        min(y2 + 1, geometry.image_height),
        min(x2 + 1, geometry.image_width),
    )


def _just_below(threshold: float) -> float:
    # The grid is compared with '>'; the rule here is '>='.
    return float(np.nextafter(np.float32(threshold), np.float32(-1)))


def _split(outputs: Sequence[Output]) -> RoiHeads | None:
    found: dict[str, Array] = {}
    for output in outputs:
        array = output.array
        integral = np.issubdtype(array.dtype, np.integer)
        role = {
            (2, False): "boxes",
            (1, True): "labels",
            (1, False): "scores",
            (4, False): "masks",
        }.get((array.ndim, bool(integral)))
        if role is None or role in found:
            return None
        found[role] = array
    if len(found) != 4 or found["boxes"].shape[1] != 4 or found["masks"].shape[1] != 1:
        return None
    if len({len(array) for array in found.values()}) != 1:
        return None
    return RoiHeads(
        found["boxes"].astype(np.float32, copy=False),
        found["labels"].astype(np.int64, copy=False),
        found["scores"].astype(np.float32, copy=False),
        found["masks"][:, 0].astype(np.float32, copy=False),
    )


DECODERS = (MaskRcnn,)
