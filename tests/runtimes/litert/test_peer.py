"""Our int8 beside ai-edge-quantizer's, with the same ranges, in the same engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeq.calibration import statistics
from edgeq.calibration.inputs import tensors
from edgeq.graph.load import load
from edgeq.graph.tail import find_tail
from edgeq.quantization.decide import resolve_choices
from edgeq.quantization.planner import make_plan
from edgeq.runtimes import runtime
from edgeq.runtimes.litert.writer import write_tflite
from edgeq.spec import target as targets
from edgeq.spec.image_list import image_files
from edgeq.spec.images import Image, images_of
from edgeq.spec.quantize import Quantize
from edgeq.spec.recipe import Preprocess
from tests.runtimes.builds import run, snr_db

from .engines import run_tflite
from .peer import quantized_by_peer

Floats = NDArray[np.float32]

# With no warning of this, tensors are kept for its calibration; and numpy 2 deprecates its shapes.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")


def compare(model_file: Path, size: int, images: Sequence[Image], calibrator: str) -> None:
    model = load(model_file)
    preprocess = Preprocess(size=(size, size))
    tail = find_tail(model)
    wanted = statistics.wanted_tensors(model, tail.nodes)
    seen = statistics.gather(model, wanted, images, preprocess, threads=2)
    quantize = Quantize.model_validate({"activations": {"calibrator": calibrator}})
    placement, _ = runtime("litert").placement(targets.load("arm-cpu-tflite"), None)
    plan = make_plan(model, seen, tail, resolve_choices(model, quantize), placement)
    fed = next(iter(model.inputs))
    inputs = list(tensors(images, preprocess))
    channels_last = [np.ascontiguousarray(np.moveaxis(x, 1, -1)) for x in inputs[:2]]

    ours = write_tflite(model, plan).content
    theirs = quantized_by_peer(model, plan, channels_last)

    reference = [run(model.proto.SerializeToString(), x) for x in inputs]
    for name in model.outputs:
        expected = [outputs[name] for outputs in reference]
        ratios = [
            _snr_db(expected, [run_tflite(content, {fed: x})[name] for x in inputs])
            for content in (ours, theirs)
        ]
        assert ratios[1] > 10  # the peer did its work
        assert ratios[0] >= ratios[1] - 1


def _snr_db(expected: Sequence[Floats], found: Sequence[Floats]) -> float:
    """Over all images together."""
    return snr_db(np.stack(expected), np.stack(found))


@pytest.mark.parametrize("calibrator", ["max", pytest.param("mse", marks=pytest.mark.long)])
def test_the_demo_model_is_as_exact_as_the_peers(calibrator: str, small_demo: Path) -> None:
    images = images_of(image_files(small_demo / "calibration", ""))
    compare(small_demo / "model.onnx", 256, images, calibrator)


@pytest.mark.real
@pytest.mark.parametrize("calibrator", ["max", pytest.param("mse", marks=pytest.mark.long)])
def test_yolov5n_seg_is_as_exact_as_the_peers(
    calibrator: str, real_data: Callable[[str], Path]
) -> None:
    images = images_of(image_files(real_data("coco-calib"), "")[:12])
    compare(real_data("models/yolov5n-seg-320.onnx"), 320, images, calibrator)
