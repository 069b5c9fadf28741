"""A small network under a plan of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeq.graph.model import Model
from edgeq.quantization.decide import resolve_choices
from edgeq.quantization.learnable import Learnable, learnable
from edgeq.quantization.plan import Plan
from edgeq.quantization.rules import Placement
from edgeq.spec.quantize import Quantize

from ...nets import Net
from ...runtimes.builds import placement, plan_of, statistics_of


def chain(folder: Path, depth: int = 3, channels: int = 8, side: int = 32) -> Model:
    """Convolutions with SiLU, and a sum that skips one of them."""
    net = Net(3, side)
    x = net.silu(net.conv("x", "first", (channels, 3, 3, 3)), "a0")
    for index in range(depth - 1):
        made = net.conv(x, f"conv{index}", (channels, channels, 3, 3))
        x = net.node("Add", [x, net.silu(made, f"a{index + 1}")], f"sum{index}")
    net.conv(x, "last", (4, channels, 1, 1), bias=False)
    return net.model(folder, ["last"])


def planned(model: Model, rules: Placement | None = None, **changes: Any) -> Plan:
    quantize = Quantize.model_validate({"head": "quantize", "activations": {"calibrator": "max"}})
    side = next(iter(model.inputs.values()))[-1]
    rules = replace(rules or placement(bits=8), **changes)
    return plan_of(model, quantize, [x[np.newaxis] for x in images(4, side)], rules)


def outlying(side: int = 32, times: float = 30.0) -> NDArray[np.float32]:
    """Four images, one of which has one pixel that is so many times as bright as any other."""
    found = images(4, side)
    found[0, :, side // 2, side // 2] = times
    return found


def learnables(
    model: Model, plan: Plan, seen: NDArray[np.float32], rules: Placement, **keys: Any
) -> dict[str, Learnable]:
    """What may be learned of a plan that was made from these images, by max unless keys say so."""
    keys = {"calibrator": "max", **keys}
    quantize = Quantize.model_validate({"head": "quantize", "activations": keys})
    choices = resolve_choices(model, quantize)
    statistics = statistics_of(model, [x[np.newaxis] for x in seen])
    return learnable(model, plan, choices, rules, statistics)


def images(count: int, side: int = 32, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, 3, side, side), dtype=np.float32)
