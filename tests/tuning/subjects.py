"""Small networks as prepared builds, and images to run them on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from edgeq.calibration.inputs import placed
from edgeq.graph.model import Model
from edgeq.graph.tail import find_tail
from edgeq.quantization.decide import resolve_choices
from edgeq.quantization.plan import Plan
from edgeq.runtimes import runtime
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec import recipe as recipes
from edgeq.spec import target as targets
from edgeq.spec.images import Image, image_of
from edgeq.spec.quantize import Quantize
from edgeq.spec.recipe import Recipe
from edgeq.stages.prepare import Prepared
from tests.nets import Net

SIDE = 16
ENGINES = ("onnxruntime", "tensorrt", "litert")
TARGETS = {
    "onnxruntime": "arm-cpu-ort",
    "tensorrt": "jetson-orin",
    "litert": "arm-cpu-tflite",
}

Floats = NDArray[np.float32]


def branches(folder: Path) -> Model:
    """SiLU, a residual block, two Concats, upsampling, and outputs of two depths."""
    net = Net(side=SIDE)
    x = net.silu(net.conv("x", "stem", (16, 3, 3, 3)), "stem.act")
    left = net.silu(net.conv(x, "left", (16, 16, 3, 3)), "left.act")
    right = net.node("Relu", [net.conv(left, "right", (16, 16, 3, 3))], "right.act")
    block = net.node("Add", [x, right], "sum")
    pooled = net.node("MaxPool", [block], "pool", kernel_shape=[2, 2], strides=[2, 2])
    deep = net.silu(net.conv(pooled, "deep", (16, 16, 1, 1)), "deep.act")
    scales = net.constant("scales", np.array([1, 1, 2, 2], np.float32))
    up = net.node("Resize", [deep, "", scales], "up", mode="nearest")
    joined = net.node("Concat", [up, left, block], "join", axis=1)
    first = net.conv(joined, "first", (16, 48, 1, 1))
    second = net.node("Sigmoid", [net.conv(deep, "second", (20, 16, 3, 3))], "second.act")
    return net.model(folder, [first, second])


def depthwise(folder: Path) -> Model:
    """Depthwise convolution, HardSwish, squeeze and excitation, a matrix product at the end."""
    net = Net(side=SIDE, seed=3)
    x = net.node("HardSwish", [net.conv("x", "stem", (16, 3, 3, 3))], "stem.act")
    x = net.node("Clip", [net.conv(x, "depth", (16, 1, 3, 3), group=16), *_six(net)], "depth.act")
    pooled = net.node("GlobalAveragePool", [x], "squeeze")
    gate = net.node("Sigmoid", [net.conv(pooled, "excite", (16, 16, 1, 1))], "gate")
    x = net.node("Mul", [x, gate], "scaled")
    side = net.conv(x, "map", (24, 16, 1, 1), bias=False)
    flat = net.node("Flatten", [net.node("GlobalAveragePool", [side], "mean")], "flat")
    weight = net.rng.standard_normal((24, 16)).astype(np.float32)
    end = net.node("Gemm", [flat, net.constant("fc.w", weight)], "fc")
    return net.model(folder, [side, end])


def _six(net: Net) -> list[str]:
    return [net.constant(f"b{v}", np.array(v, np.float32)) for v in (0, 6)]


NETS: tuple[Callable[[Path], Model], ...] = (branches, depthwise)


def images(folder: Path, count: int, seed: int = 0) -> list[Image]:
    """Noise, coarse enough to pass through a few convolutions."""
    rng = np.random.default_rng(seed)
    files = []
    for i in range(count):
        coarse = rng.integers(0, 256, (4, 4, 3), np.uint8)
        file = folder / f"{seed}-{i}.png"
        cv2.imwrite(str(file), cv2.resize(coarse, (SIDE, SIDE)))
        files.append(image_of(file))
    return files


def prepared(
    model: Model, files: Sequence[Image], engine: str, quantize: Quantize | None = None
) -> Prepared:
    """As `prepare` gives it, for a model that no decoder reads."""
    listed = model.path.parent / "images.txt"
    listed.write_text("\n".join(str(image.path) for image in files))
    recipe = Recipe(
        model=model.path,
        task=recipes.Task(decoder="yolov8-seg", classes=("thing",)),
        preprocess=recipes.Preprocess(size=(SIDE, SIDE)),
        calibration=recipes.Calibration(images=listed),
        quantize=quantize or Quantize(),
    )
    target = targets.load(TARGETS[engine])
    placement, _ = runtime(engine).placement(target, None)
    choices = resolve_choices(model, recipe.quantize)
    return Prepared(recipe, target, model, find_tail(model), choices, placement, tuple(files), ())


def outputs(content: bytes, start: Prepared, files: Sequence[Image]) -> list[list[Floats]]:
    """What a graph makes of images, run for itself and with nothing optimized."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    preprocess = start.recipe.preprocess
    return [session.run(None, {name: placed(file, preprocess)[0]}) for file in files]


def quantized_outputs(start: Prepared, plan: Plan, files: Sequence[Image]) -> list[list[Floats]]:
    """What a plan makes of images: one whole Q/DQ graph, as a deploy simulates it."""
    return outputs(write_qdq(start.model, plan), start, files)


def float_outputs(start: Prepared, files: Sequence[Image]) -> list[list[Floats]]:
    """What the float model makes of images."""
    return outputs(start.model.proto.SerializeToString(), start, files)
