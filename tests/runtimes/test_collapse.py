"""The head's policy on the real model: why the tail stays float."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeq.calibration.inputs import tensors
from edgeq.calibration.statistics import gather, wanted_tensors
from edgeq.graph.load import load
from edgeq.graph.tail import find_tail
from edgeq.quantization.decide import resolve_choices
from edgeq.quantization.planner import make_plan
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec.images import images_of
from edgeq.spec.quantize import HeadPolicy, Quantize
from edgeq.spec.recipe import Preprocess

from .builds import placement, run, snr_db

PREPROCESS = Preprocess(size=(320, 320))
CLASSES = slice(5, 85)

RealData = Callable[[str], Path]


def class_snr_db(real_data: RealData, head: HeadPolicy) -> float:
    """How far the class scores of one image stand above the noise of quantization."""
    model = load(real_data("models/yolov5n-seg-320.onnx"), PREPROCESS.size)
    files = images_of(sorted(real_data("coco-calib").glob("*.jpg"))[:5])
    statistics = gather(model, wanted_tensors(model), files[:4], PREPROCESS, threads=1)
    choices = resolve_choices(model, Quantize(head=head))
    plan = make_plan(model, statistics, find_tail(model), choices, placement(bits=8))
    (unseen,) = tensors(files[4:], PREPROCESS)
    exact = run(model.proto.SerializeToString(), unseen)["output0"]
    found = run(write_qdq(model, plan), unseen)["output0"]
    return snr_db(exact[..., CLASSES], found[..., CLASSES])


@pytest.mark.real
def test_class_scores_collapse_when_the_tail_is_quantized(real_data: RealData) -> None:
    assert class_snr_db(real_data, "quantize") < 3


@pytest.mark.real
@pytest.mark.parametrize("head", ["float-tail", "float-head"])
def test_class_scores_survive_with_a_float_tail(head: HeadPolicy, real_data: RealData) -> None:
    assert class_snr_db(real_data, head) > 8
