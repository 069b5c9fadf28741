"""NVIDIA's parser and builder take what the writer makes, over a matrix of recipes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeq import building, places
from edgeq.calibration import statistics
from edgeq.calibration.images import choose
from edgeq.calibration.statistics import Statistics
from edgeq.graph.load import load
from edgeq.graph.model import Model
from edgeq.graph.tail import find_tail
from edgeq.images import images_of
from edgeq.listing import image_files
from edgeq.quantization.decide import resolve_choices
from edgeq.quantization.planner import make_plan
from edgeq.recipe import Preprocess, Quantize
from edgeq.runtimes.tensorrt import RUNTIME
from tests.nets import Net

from .builds import inputs_of, statistics_of
from .test_tensorrt import VERSIONS, blocks, rules
from .trt import built

CALIBRATORS: dict[str, dict[str, Any]] = {
    "max": {"calibrator": "max"},
    "entropy": {"calibrator": "entropy"},
    "percentile": {"calibrator": "percentile", "percentile": 99.99},
}
RECIPES = list(itertools.product(("per-tensor", "per-channel"), CALIBRATORS, (False, True)))
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


def check(seen: Seen, version: str, recipe: tuple[str, str, bool]) -> None:
    model, counted = seen
    choices = resolve_choices(model, quantize(*recipe, model))
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


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_minimal_network(recipe: tuple[str, str, bool], version: str, small: Seen) -> None:
    check(small, version, recipe)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    model = load(places.builtin("demo") / "model.onnx")
    return model, statistics_of(model, inputs_of(model, 1))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_demo_model(recipe: tuple[str, str, bool], version: str, demo: Seen) -> None:
    check(demo, version, recipe)


@pytest.mark.real
@pytest.mark.parametrize("version", VERSIONS)
def test_yolov5n_seg(version: str, real_data: Callable[[str], Path]) -> None:
    model = load(real_data("models/yolov5n-seg-320.onnx"))
    files = images_of(choose(image_files(real_data("coco-calib"), ""), 8))
    wanted = statistics.wanted_tensors(model, find_tail(model).nodes)
    counted = statistics.gather(
        model, wanted, files, Preprocess(size=(320, 320)), building.threads()
    )
    for recipe in RECIPES:
        check((model, counted), version, recipe)
