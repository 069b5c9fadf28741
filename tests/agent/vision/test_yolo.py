"""YOLO decoders on outputs whose answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeq.agent.vision import rle
from edgeq.agent.vision.decode import decode
from edgeq.agent.vision.detections import Output
from edgeq.agent.vision.letterbox import geometry_of

from .tasks import UNSCALED, task

# cx, cy, w, h, two class scores, three coefficients.
ROWS = np.array(
    [
        [20, 20, 20, 10, 0.9, 0.6, 1, 0, 0],
        [21, 20, 20, 10, 0.8, 0.1, 1, 0, 0],
        [50, 50, 8, 8, 0.1, 0.7, 0, 1, 0],
        [30, 30, 8, 8, 0.2, 0.1, 0, 0, 1],
    ],
    np.float32,
)
PROTOTYPES = np.stack([np.full((16, 16), v, np.float32) for v in (5, -5, 5)])


def outputs(decoder: str, rows: Any = ROWS) -> Any:
    """The rows in a decoder's layout; objectness 0.5 doubles as a check that it counts."""
    if decoder == "yolov8-seg":
        predictions = rows.T[None]
    else:
        objectness = np.full((len(rows), 1), 0.5, np.float32)
        doubled = np.concatenate((rows[:, :4], objectness, rows[:, 4:]), axis=1)
        predictions = doubled[None]
    # The order and the names of outputs say nothing.
    return [Output("p", PROTOTYPES[None]), Output("x", predictions)]


def scores_of(decoder: str, *scores: float) -> Any:
    return pytest.approx([s * (0.5 if decoder == "yolov5-seg" else 1.0) for s in scores])


@pytest.fixture(params=["yolov5-seg", "yolov8-seg"])
def decoder(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_best_class_only(decoder: str) -> None:
    found = decode(task(decoder=decoder, score_threshold=0.3), outputs(decoder), UNSCALED)
    assert found.labels.tolist() == [0, 1]
    assert found.scores.tolist() == scores_of(decoder, 0.9, 0.7)
    assert found.boxes.tolist() == [[10, 15, 30, 25], [46, 46, 54, 54]]


def test_multi_label_reports_every_class_above_the_threshold(decoder: str) -> None:
    asked = task(decoder=decoder, score_threshold=0.25, multi_label=True)
    found = decode(asked, outputs(decoder), UNSCALED)
    assert found.labels.tolist() == [0, 1, 1]
    assert found.scores.tolist() == scores_of(decoder, 0.9, 0.7, 0.6)


def test_masks_fill_their_boxes_where_prototypes_are_positive(decoder: str) -> None:
    found = decode(task(decoder=decoder, score_threshold=0.3), outputs(decoder), UNSCALED)
    assert [rle.area(mask) for mask in found.masks] == [20 * 10, 0]
    assert rle.decode(found.masks[0])[15:25, 10:30].all()


def test_at_most_max_detections(decoder: str) -> None:
    found = decode(task(decoder=decoder, max_detections=1), outputs(decoder), UNSCALED)
    assert len(found.boxes) == len(found.labels) == len(found.scores) == len(found.masks) == 1


@pytest.mark.parametrize("multi_label", [True, False])
def test_nothing_above_the_threshold(decoder: str, multi_label: bool) -> None:
    asked = task(decoder=decoder, score_threshold=0.95, multi_label=multi_label)
    found = decode(asked, outputs(decoder), UNSCALED)
    assert found.boxes.shape == (0, 4)
    assert (len(found.labels), len(found.scores), found.masks) == (0, 0, [])


def test_positions_are_those_of_the_image(decoder: str) -> None:
    geometry = geometry_of(64, 128, 64, 64, letterbox=True)
    found = decode(task(decoder=decoder, score_threshold=0.3), outputs(decoder), geometry)
    assert found.boxes[0].tolist() == [20, 0, 60, 18]  # (15 - 16) * 2 lies above the image.
    assert found.masks[0]["size"] == [64, 128]


def test_rows_that_are_not_numbers_are_left_out(decoder: str) -> None:
    for column in (0, 4, 6):
        rows = ROWS.copy()
        rows[0, column] = np.nan
        found = decode(task(decoder=decoder, score_threshold=0.3), outputs(decoder, rows), UNSCALED)
        assert np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()
        assert len(found.boxes) == 2
