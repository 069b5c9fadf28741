"""Per-tensor weights with wide channels: they collapse, and training brings them back.

A pattern of Wu et al. 2020 (arXiv 2004.09602): folded BatchNorm leaves channels of one weight far
apart, which one scale cannot hold. Activations are float here, as they have one scale, too.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import numpy_helper

from edgeq.graph.model import Model
from edgeq.progress import silent
from edgeq.quantization.plan import Plan
from edgeq.repair.constants import with_constants
from edgeq.repair.refinement import plan_for
from edgeq.runtimes.qdq import write_qdq
from edgeq.spec.quantize import Quantize
from edgeq.spec.repair import Reconstruct

from ...nets import Net, loaded
from ...runtimes.builds import placement, plan_of, run
from .nets import images

pytest.importorskip("torch")

from edgeq.repair.reconstruction.reconstruct import Subject, reconstruct

SIDE, CHANNELS = 16, 16
APART = np.geomspace(0.1, 10.0, CHANNELS).astype(np.float32)


def net() -> Net:
    made = Net(3, SIDE)
    x = made.node("Relu", [made.conv("x", "first", (CHANNELS, 3, 3, 3))], "a")
    x = made.node("Relu", [made.conv(x, "second", (CHANNELS, CHANNELS, 3, 3))], "b")
    made.conv(x, "last", (4, CHANNELS, 1, 1))
    return made


def widened() -> Net:
    """The same function: what a channel is larger by, the layer behind a ReLU is smaller by."""
    made = net()
    for index, tensor in enumerate(made.constants):
        value = numpy_helper.to_array(tensor)
        by = APART.reshape(-1, 1, 1, 1) if value.ndim > 1 else APART
        if tensor.name in ("second.w", "second.b"):
            value = value * by
        if tensor.name == "last.w":
            value = value / APART.reshape(1, -1, 1, 1)
        made.constants[index] = numpy_helper.from_array(value, tensor.name)
    return made


def weights_alone(model: Model, granularity: str) -> Plan:
    weights = {"granularity": granularity}
    quantize = Quantize.model_validate({"head": "quantize", "weights": weights})
    plan = plan_of(model, quantize, [x[np.newaxis] for x in images(4, SIDE)], placement(bits=8))
    return replace(plan, tensors={}, reads={}, integers=(), quantized_bias=False)


def error(model: Model, plan: Plan, exact: Model) -> float:
    """Squared error of the output to its variance, on images that were not trained on."""
    found, wanted = (
        np.stack([run(content, x[np.newaxis])["last"] for x in images(8, SIDE, seed=1)])
        for content in (write_qdq(model, plan), exact.proto.SerializeToString())
    )
    return float(np.square(found - wanted).mean() / wanted.var(axis=(0, 3, 4)).mean())


@pytest.mark.usefixtures("edgeq_home")
def test_per_tensor_weights_with_wide_channels_collapse_and_are_brought_back(
    tmp_path: Path,
) -> None:
    even, wide = (loaded(made.proto(["last"]), tmp_path) for made in (net(), widened()))
    plan = weights_alone(wide, "per-tensor")
    assert error(even, weights_alone(even, "per-tensor"), even) < 0.01
    assert error(wide, weights_alone(wide, "per-channel"), wide) < 0.02
    collapsed = error(wide, plan, wide)
    assert collapsed > 0.15
    subject = Subject(wide, plan, images(16, SIDE), rigid=False)
    found = reconstruct(subject, Reconstruct(iterations=60), 0, "key", write_qdq, 1, silent)
    made = with_constants(wide, found.constants, "")
    assert error(made, plan_for(made, plan), wide) < 0.5 * collapsed
