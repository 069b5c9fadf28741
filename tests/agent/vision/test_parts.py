"""Every decoder tells apart what its outputs hold: the parts are the outputs, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeq.agent.vision.decode import DECODERS, decoder_for
from edgeq.agent.vision.detections import PARTS, Output, Parts

from .tasks import task

ROWS = 12
RNG = np.random.default_rng(0)


def drawn(*shape: int) -> Any:
    return RNG.uniform(0.3, 1, shape).astype(np.float32)


def rows_chosen() -> Any:
    table = drawn(1, ROWS, 9)
    table[..., 5] = np.arange(ROWS) % 2
    return table


OUTPUTS = {
    "yolov5-seg": [("a", drawn(1, ROWS, 5 + 2 + 3)), ("b", drawn(1, 3, 8, 8))],
    "yolov8-seg": [("a", drawn(1, 4 + 2 + 3, ROWS)), ("b", drawn(1, 3, 8, 8))],
    "end2end-seg": [("a", rows_chosen()), ("b", drawn(1, 3, 8, 8))],
    "mask-rcnn": [
        ("a", drawn(ROWS, 4)),
        ("b", np.ones(ROWS, np.int64)),
        ("c", drawn(ROWS)),
        ("d", drawn(ROWS, 1, 8, 8)),
    ],
}
"""A model's outputs for each decoder there is."""


def parts_of(name: str, outputs: Any) -> Parts:
    return decoder_for(task(decoder=name)).parts([Output(*pair) for pair in outputs])


@pytest.mark.parametrize("name", DECODERS)
def test_every_decoder_says_its_parts(name: str) -> None:
    found = parts_of(name, OUTPUTS[name])
    assert {*found.rows, *found.whole} <= set(PARTS)
    assert {"boxes", "scores"} <= set(found.rows)
    assert {len(array) for array in found.rows.values()} == {ROWS}
    assert found.rows["boxes"].shape == (ROWS, 4)
    chosen = decoder_for(task(decoder=name)).selected
    assert (found.labels is not None) == chosen
    assert found.labels is None or len(found.labels) == ROWS


@pytest.mark.parametrize("name", DECODERS)
def test_no_number_of_the_outputs_is_in_no_part(name: str) -> None:
    before = parts_of(name, OUTPUTS[name])
    for index, (output, array) in enumerate(OUTPUTS[name]):
        for place in np.random.default_rng(1).integers(array.size, size=40):
            changed = array.copy()
            changed.reshape(-1)[place] += 1
            others = list(OUTPUTS[name])
            others[index] = (output, changed)
            after = parts_of(name, others)
            assert not same(before, after), (output, place)


def same(one: Parts, other: Parts) -> bool:
    arrays: list[dict[str, Any]] = [
        {**side.rows, **side.whole, "labels": side.labels} for side in (one, other)
    ]
    return all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])


@pytest.mark.parametrize("name", ["end2end-seg", "mask-rcnn"])
def test_rows_that_decode_passes_over_are_no_part(name: str) -> None:
    outputs = [(output, array.copy()) for output, array in OUTPUTS[name]]
    if name == "end2end-seg":
        outputs[0][1][0, :5, 4] = 0.1
    else:
        outputs[2][1][:5] = 0.1
    assert len(parts_of(name, outputs).rows["boxes"]) == ROWS - 5
