"""The reason why a layer stays float is the true one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeq.graph.model import Model
from edgeq.quantization.weightless import why_weightless

from ..nets import Net


def attention() -> Net:
    net = Net()
    a, b = net.conv("x", "a", (8, 3, 1, 1)), net.conv("x", "b", (8, 3, 1, 1))
    net.node("MatMul", [a, b], "layer")
    return net


def constant_first() -> Net:
    net = Net()
    net.node("MatMul", [net.constant("k", np.ones((8, 8), np.float32)), "x"], "layer")
    return net


def kernel_from_the_image() -> Net:
    net = Net()
    pooled = net.node("GlobalAveragePool", ["x"], "pool")
    shape = net.constant("s", np.array([1, 3, 1, 1], np.int64))
    net.node("Conv", ["x", net.node("Reshape", [pooled, shape], "kernel")], "layer")
    return net


def drawn() -> Net:
    net = Net()
    kernel = net.node("RandomNormal", [], "kernel", shape=[4, 3, 1, 1])
    net.node("Conv", ["x", kernel], "layer")
    return net


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (attention, "both inputs of this MatMul are computed, as in attention"),
        (constant_first, "its constant is the first operand; int8 forms of MatMul take the second"),
        (kernel_from_the_image, "its weight is computed from the image, by Reshape 'kernel'"),
        (drawn, "its weight is made by RandomNormal 'kernel', which cannot be folded"),
    ],
)
def test_reason_is_what_makes_the_weight(
    make: Callable[[], Any], reason: str, tmp_path: Path
) -> None:
    model: Model = make().model(tmp_path, ["layer"])
    assert why_weightless(model, model.nodes[-1]) == reason
