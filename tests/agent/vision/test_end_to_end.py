"""The decoder of heads without NMS."""

from __future__ import annotations

import numpy as np

from edgeq.agent.vision import rle
from edgeq.agent.vision.decode import decode
from edgeq.agent.vision.detections import Output

from .tasks import UNSCALED, task

# x1, y1, x2, y2, score, class, two coefficients.
ROWS = np.array(
    [
        [10, 10, 20, 30, 0.5, 1, 1, 0],
        [10, 10, 20, 30, 0.9, 0, 0, 1],
        [10, 10, 20, 30, 0.1, 0, 1, 0],
        [0, 0, 64, 64, 0.8, 7, 1, 0],  # A class that the task does not know.
        [0, 0, np.inf, 64, 0.8, 0, 1, 0],
    ],
    np.float32,
)
PROTOTYPES = np.stack([np.full((16, 16), v, np.float32) for v in (5, -5)])
OUTPUTS = [Output("dets", ROWS[None]), Output("protos", PROTOTYPES[None])]


def test_the_models_own_selection_stands_in_order_of_score() -> None:
    found = decode(task(decoder="end2end-seg"), OUTPUTS, UNSCALED)
    assert found.labels.tolist() == [0, 1]
    assert np.allclose(found.scores, [0.9, 0.5])
    assert found.boxes.tolist() == [[10, 10, 20, 30]] * 2
    assert [rle.area(mask) for mask in found.masks] == [0, 200]


def test_at_most_max_detections() -> None:
    found = decode(task(decoder="end2end-seg", max_detections=1), OUTPUTS, UNSCALED)
    assert found.labels.tolist() == [0]
