"""NVIDIA's parser and builder take what the writer makes, over a matrix of recipes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from edgeq import places
from edgeq.calibration import statistics
from edgeq.calibration.inputs import choose
from edgeq.calibration.statistics import Statistics
from edgeq.graph.load import load
from edgeq.graph.model import Model
from edgeq.graph.tail import find_tail
from edgeq.quantization.decide import resolve_choices
from edgeq.quantization.planner import make_plan
from edgeq.runtimes.tensorrt import RUNTIME
from edgeq.spec.image_list import image_files
from edgeq.spec.images import images_of
from edgeq.spec.quantize import Quantize
from edgeq.spec.recipe import Preprocess
from edgeq.stages.prepare import cores
from tests.nets import Net

from ..builds import inputs_of, statistics_of
from .test_tensorrt import VERSIONS, blocks, rules
from .trt import built

CALIBRATORS: dict[str, dict[str, Any]] = {
    "max": {"calibrator": "max"},
    "entropy": {"calibrator": "entropy"},
    "percentile": {"calibrator": "percentile", "percentile": 99.99},
}
AXES: dict[str, Iterable[str | bool]] = {
    "granularity": ("per-tensor", "per-channel"),
    "calibrator": CALIBRATORS,
    "excludes": (False, True),
    "version": VERSIONS,
}
Seen = tuple[Model, Statistics]


def quantize(granularity: str, calibrator: str, excludes: bool, model: Model) -> Quantize:
    convolutions = [node.name for node in model.nodes if node.op_type == "Conv"]
    return Quantize.model_validate(
        {
            "weights": {"granularity": granularity},
            "activations": CALIBRATORS[calibrator],
            "exclude": convolutions[1:3] if excludes else [],
        }
    )


def grid(test: Callable[..., None]) -> Callable[..., None]:
    """Every recipe for every version of TensorRT, or a sample of them."""
    for axis, values in AXES.items():
        test = pytest.mark.parametrize(axis, values)(test)
    marked: Callable[..., None] = pytest.mark.matrix(test)
    return marked


def check(seen: Seen, version: str, granularity: str, calibrator: str, excludes: bool) -> None:
    model, counted = seen
    choices = resolve_choices(model, quantize(granularity, calibrator, excludes, model))
    plan = make_plan(model, counted, find_tail(model), choices, rules(version))
    content = RUNTIME.write(model, plan)["model.onnx"]

    engine = built(content)

    assert isinstance(engine, bytes), engine
    assert len(engine) > 1000
    assert not [c for c in RUNTIME.lint(content) if c.severity == "error"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    net = Net(channels=16)
    model = net.model(tmp_path_factory.mktemp("small"), blocks(net))
    return model, statistics_of(model, inputs_of(model))


@grid
def test_minimal_network(
    granularity: str, calibrator: str, excludes: bool, version: str, small: Seen
) -> None:
    check(small, version, granularity, calibrator, excludes)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    model = load(places.builtin("demo") / "model.onnx")
    return model, statistics_of(model, inputs_of(model, 1))


@grid
def test_demo_model(
    granularity: str, calibrator: str, excludes: bool, version: str, demo: Seen
) -> None:
    check(demo, version, granularity, calibrator, excludes)


@pytest.fixture(scope="module")
def yolov5n(real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Seen:
    model = load(real_data("models/yolov5n-seg-320.onnx"))
    files = images_of(choose(image_files(real_data("coco-calib"), ""), 8))
    wanted = statistics.wanted_tensors(model, find_tail(model).nodes)
    preprocess = Preprocess(size=(320, 320))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(tmp_path_factory.mktemp("home")))
        return model, statistics.gather(model, wanted, files, preprocess, cores())


@pytest.mark.real
@grid
def test_yolov5n_seg(
    granularity: str, calibrator: str, excludes: bool, version: str, yolov5n: Seen
) -> None:
    check(yolov5n, version, granularity, calibrator, excludes)
