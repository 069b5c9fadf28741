"""Mask R-CNN against torchvision's own answer, and against masks drawn in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.agent.errors import AgentError
from edgeq.agent.manifest import ReleaseInput
from edgeq.agent.runtimes.base import fit_tensor
from edgeq.agent.runtimes.onnxruntime import load
from edgeq.agent.vision import rle
from edgeq.agent.vision.decode import decode
from edgeq.agent.vision.decoders.mask_rcnn import paste_from_input, paste_soft_mask
from edgeq.agent.vision.detections import Output
from edgeq.agent.vision.letterbox import Geometry, geometry_of, prepare

from .tasks import task

DATA = Path(__file__).parents[1] / "data"
TASK = task(decoder="mask-rcnn", classes=("a", "b", "c"), score_threshold=0.05)
PREPROCESS = ReleaseInput(
    (64, 96), True, 114, "rgb", 1 / 255, (0.0,) * 3, (1.0,) * 3, "nchw", "float32"
)


@pytest.fixture(scope="module")
def torchvisions() -> Dict[str, Any]:
    """What `make_mask_rcnn.py` kept: image, raw outputs, masks as torchvision pastes them."""
    with np.load(DATA / "mask_rcnn.npz") as kept:
        return {name: kept[name] for name in kept.files}


@pytest.mark.parametrize("model", ["mask_rcnn.onnx", "mask_rcnn_pasted.onnx"])
def test_exported_model_gives_torchvisions_masks(model: str, torchvisions: Dict[str, Any]) -> None:
    engine = load(DATA / model, 1, "all")
    tensor, geometry = prepare(np.ascontiguousarray(torchvisions["image"][..., ::-1]), PREPROCESS)
    assert len(engine.input.shape) == 3  # torchvision exports no batch axis.
    found = decode(TASK, engine.run(fit_tensor(tensor, engine.input)), geometry)
    assert np.allclose(found.boxes, torchvisions["boxes"], atol=1e-3)
    assert np.allclose(found.scores, torchvisions["scores"], atol=1e-5)
    assert found.labels.tolist() == (torchvisions["labels"] - 1).tolist()
    masks = np.stack([rle.decode(mask) for mask in found.masks])
    expected = np.unpackbits(torchvisions["pasted"])[: masks.size].reshape(masks.shape)
    # A value that is 0.5 up to rounding may fall on either side.
    assert (masks != expected).sum() <= 2


def drawn(mask: Any, box: Any, height: int, width: int) -> Any:
    """torchvision's paste_mask_in_image, with cv2.resize for torch's interpolate."""
    padded = np.pad(mask, 1)
    scale = np.float32(padded.shape[0] / mask.shape[0])
    half_w, half_h = (box[2] - box[0]) * np.float32(0.5), (box[3] - box[1]) * np.float32(0.5)
    x_c, y_c = (box[2] + box[0]) * np.float32(0.5), (box[3] + box[1]) * np.float32(0.5)
    x0, y0 = int(x_c - half_w * scale), int(y_c - half_h * scale)
    x1, y1 = int(x_c + half_w * scale), int(y_c + half_h * scale)
    w, h = max(x1 - x0 + 1, 1), max(y1 - y0 + 1, 1)
    resized = cv2.resize(padded, (w, h), interpolation=cv2.INTER_LINEAR)
    image = np.zeros((height, width), np.float32)
    left, right, top, bottom = max(x0, 0), min(x1 + 1, width), max(y0, 0), min(y1 + 1, height)
    if right > left and bottom > top:
        image[top:bottom, left:right] = resized[top - y0 : bottom - y0, left - x0 : right - x0]
    return image


@given(st.integers(0, 10_000), st.sampled_from([(60, 80), (33, 17)]))
@settings(deadline=None, max_examples=60)
def test_pasting_follows_the_published_rules(seed: int, image: Any) -> None:
    random = np.random.default_rng(seed)
    height, width = image
    mask: Any = cv2.resize(random.random((5, 5)).astype(np.float32), (28, 28))
    span = np.array([[width, height]])
    corners = np.sort(random.uniform(0, 1, (2, 2)), axis=0) * span
    box = corners.reshape(4).astype(np.float32)
    found = paste_soft_mask(
        mask, box, geometry_of(height, width, height, width, letterbox=True), 0.5
    )
    values = drawn(mask, box, height, width)
    differs = rle.decode(found) != (values >= 0.5)
    assert not (differs & (np.abs(values - 0.5) > 1e-4)).any()


def test_the_threshold_itself_is_inside() -> None:
    geometry = Geometry(8, 8, 8, 8, 0, 0, 8, 8)
    mask = np.full((8, 8), 0.5, np.float32)
    whole = np.array([0, 0, 8, 8], np.float32)
    assert rle.area(paste_from_input(mask, whole, geometry, 0.5)) == 64


def outputs(**changes: Any) -> Any:
    arrays = {
        "boxes": np.array([[16, 16, 32, 32]] * 3, np.float32),
        "labels": np.array([2, 0, 1]),
        "scores": np.array([0.4, 0.9, 0.8], np.float32),
        "masks": np.ones((3, 1, 28, 28), np.float32),
    }
    return [Output(name, array) for name, array in {**arrays, **changes}.items()]


def test_labels_start_at_one_and_background_is_left_out() -> None:
    found = decode(TASK, outputs(), geometry_of(64, 96, 64, 96, letterbox=True))
    assert found.labels.tolist() == [0, 1]
    assert np.allclose(found.scores, [0.8, 0.4])


def test_masks_pasted_at_input_size_are_mapped_back_to_the_image() -> None:
    pasted = np.zeros((3, 1, 64, 96), np.float32)
    pasted[:, :, 16:32, 16:32] = 1
    geometry = geometry_of(128, 256, 64, 96, letterbox=True)
    found = decode(TASK, outputs(masks=pasted), geometry)
    mask = rle.decode(found.masks[0])
    x1, y1, x2, y2 = found.boxes[0]
    assert mask.shape == (128, 256)
    assert rle.area(found.masks[0]) == pytest.approx((x2 - x1) * (y2 - y1), rel=0.1)
    assert mask[int(y1) + 2 : int(y2) - 2, int(x1) + 2 : int(x2) - 2].all()


def test_a_label_without_a_class_is_refused() -> None:
    with pytest.raises(AgentError, match="label 4 was found and the task names 3 classes"):
        decode(TASK, outputs(labels=np.array([1, 4, 1])), geometry_of(64, 96, 64, 96, True))
