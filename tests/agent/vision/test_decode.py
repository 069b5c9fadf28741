"""Choosing a decoder, and refusing outputs that do not fit it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeq.agent.errors import AgentError
from edgeq.agent.vision.decode import DECODERS, decode, decoder_for
from edgeq.agent.vision.detections import Output

from .tasks import UNSCALED, task

FITTING = {
    "yolov5-seg": [(1, 30, 5 + 2 + 3), (1, 3, 16, 16)],
    "yolov8-seg": [(1, 4 + 2 + 3, 30), (1, 3, 16, 16)],
    "end2end-seg": [(1, 30, 6 + 3), (1, 3, 16, 16)],
}


def arrays(shapes: Any) -> Any:
    return [Output(f"o{i}", np.zeros(shape, np.float32)) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize("name", FITTING)
def test_each_layout_fits_its_decoder_only(name: str) -> None:
    fitting = [n for n in DECODERS if decoder_for(task(decoder=n)).fits(arrays(FITTING[name]))]
    assert fitting == [name]


@pytest.mark.parametrize("wrong", FITTING)
@pytest.mark.parametrize("right", FITTING)
def test_a_misfit_says_what_was_found_and_which_decoder_fits(wrong: str, right: str) -> None:
    if wrong == right:
        return
    with pytest.raises(AgentError) as caught:
        decode(task(decoder=wrong), arrays(FITTING[right]), UNSCALED)
    assert caught.value.kind == "bad-artifact"
    assert str(list(FITTING[right][0])) in caught.value.message
    assert f"for decoder '{wrong}'" in caught.value.message
    assert f"set the task's decoder to '{right}'" in caught.value.message


def test_outputs_that_fit_nothing_point_at_the_task() -> None:
    with pytest.raises(AgentError, match="number of classes"):
        decode(task(), arrays([(1, 30, 99), (1, 3, 16, 16)]), UNSCALED)


@pytest.mark.parametrize("shapes", [[], [(1, 30, 10)], [(2, 30, 10), (2, 3, 16, 16)]])
def test_wrong_ranks_and_batches_are_refused(shapes: Any) -> None:
    with pytest.raises(AgentError, match="expected predictions"):
        decode(task(), arrays(shapes), UNSCALED)


def test_an_unknown_decoder_lists_the_known_ones() -> None:
    with pytest.raises(AgentError, match=f"use one of: {', '.join(DECODERS)}"):
        decoder_for(task(decoder="yolov9"))
