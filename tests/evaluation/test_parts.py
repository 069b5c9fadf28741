"""Outputs are compared part by part, and chosen detections with their like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.agent.vision.decode import decoder_for
from edgeq.agent.vision.detections import Output
from edgeq.evaluation.divergence import WORST_DB, outputs_snr_db, snr_db
from edgeq.evaluation.parts import parts_divergence

from ..agent.vision.tasks import task

V8, CHOSEN = decoder_for(task(decoder="yolov8-seg")), decoder_for(task(decoder="end2end-seg"))


def test_pixels_do_not_hide_scores() -> None:
    rng = np.random.default_rng(0)
    table = rng.uniform(0, 1, (1, 9, 50))
    table[:, :4] *= 640
    noisy = table.copy()
    noisy[:, 4:6] += 0.3 * rng.standard_normal((1, 2, 50))
    prototypes = rng.standard_normal((1, 3, 8, 8))
    pair = [[Output("o", t), Output("p", prototypes)] for t in (table, noisy)]

    found = parts_divergence(V8, [(pair[0], pair[1])])

    whole_db = outputs_snr_db([({"o": table}, {"o": noisy})])["o"]
    assert whole_db is not None and whole_db > 50
    assert found.lacking is None
    assert (found.snr_db["boxes"], found.snr_db["coefficients"]) == (None, None)
    expected = snr_db(table[:, 4:6].astype(np.float32), noisy[:, 4:6].astype(np.float32))
    assert expected is not None and expected < 7
    assert found.snr_db["scores"] == pytest.approx(expected)


def detections(count: int, seed: int = 0) -> Any:
    """Rows of boxes that do not touch: x1, y1, x2, y2, score, class, three coefficients."""
    rng = np.random.default_rng(seed)
    corner = 20.0 * np.arange(count)[:, np.newaxis] + rng.uniform(0, 2, (count, 2))
    scores, classes = rng.uniform(0.3, 1, (count, 1)), rng.integers(0, 2, (count, 1))
    return np.hstack([corner, corner + 10, scores, classes, rng.standard_normal((count, 3))])


def outputs(rows: Any) -> list[Output]:
    return [Output("o", rows[np.newaxis]), Output("p", np.ones((1, 3, 8, 8)))]


@given(st.permutations(range(12)), st.floats(0.001, 0.05))
def test_rows_in_another_order_are_the_same_rows(order: list[int], noise: float) -> None:
    rows = detections(12)
    other = rows.copy()
    other[:, 6:] *= 1 + noise
    plain = parts_divergence(CHOSEN, [(outputs(rows), outputs(other))])
    mixed = parts_divergence(CHOSEN, [(outputs(rows), outputs(other[order]))])
    assert mixed.lacking == 0
    for name, ratio in plain.snr_db.items():
        assert mixed.snr_db[name] == (None if ratio is None else pytest.approx(ratio))


def test_what_only_one_side_found_is_counted_and_not_compared() -> None:
    rows = detections(10)
    found = parts_divergence(CHOSEN, [(outputs(rows), outputs(rows[:8]))])
    assert found.lacking == pytest.approx(2 / 18)
    assert found.snr_db["boxes"] is None
    # Of another class is not the same thing.
    other = rows.copy()
    other[0, 5] = 1 - other[0, 5]
    assert parts_divergence(CHOSEN, [(outputs(rows), outputs(other))]).lacking == pytest.approx(0.1)


def test_nothing_in_common_is_the_worst() -> None:
    far = detections(4)
    far[:, :4] += 1000
    found = parts_divergence(CHOSEN, [(outputs(detections(4)), outputs(far))])
    assert found.lacking == 1 and found.snr_db["boxes"] == WORST_DB
    assert found.snr_db["prototypes"] is None


def test_images_without_detections_are_equal() -> None:
    none = detections(4)[:0]
    found = parts_divergence(CHOSEN, [(outputs(none), outputs(none))])
    assert found.lacking == 0 and set(found.snr_db.values()) == {None}
