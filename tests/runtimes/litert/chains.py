"""Small graphs of operators of all kinds, with branches, on images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from edgeq.graph.model import shape_of

from .drawing import layouts_of
from .engines import Graph

Shape = tuple[int, ...]
Step = Callable[["Chain", st.DrawFn, str], str]


class Chain(Graph):
    """A graph that numbers its nodes and knows its shapes."""

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        return self.node(op, list(inputs), f"{op}{len(self.nodes)}", outputs, **attributes)

    def number(self, value: object, kind: type[np.generic] = np.int64) -> str:
        return self.constant(f"c{len(self.constants)}", np.array(value, kind))

    def shape_of(self, name: str) -> Shape:
        if name in self.feeds:
            return tuple(self.feeds[name].shape)
        return shape_of(self.proto([name]).graph.output[0])


def convolved(chain: Chain, draw: st.DrawFn, x: str) -> str:
    side, stride = draw(st.sampled_from([1, 3])), draw(st.integers(1, 2))
    channels, depthwise = chain.shape_of(x)[1], draw(st.integers(0, 3)) == 0
    outer = channels if depthwise else draw(st.sampled_from([2, 4, 6]))
    shape = (outer, 1 if depthwise else channels, side, side)
    name = f"Conv{len(chain.nodes)}"
    group = channels if depthwise else 1
    return chain.conv(x, name, shape, strides=[stride] * 2, group=group)


def activated(chain: Chain, draw: st.DrawFn, x: str) -> str:
    op = draw(
        st.sampled_from(["Relu", "LeakyRelu", "HardSwish", "Tanh", "SiLU", "Clip", "Softmax"])
    )
    if op == "SiLU":
        return chain.add("Mul", x, chain.add("Sigmoid", x))
    if op == "Clip":
        return chain.add(op, x, chain.number(0, np.float32), chain.number(6, np.float32))
    return chain.add(op, x, **({"axis": draw(st.integers(1, 3))} if op == "Softmax" else {}))


def combined(chain: Chain, draw: st.DrawFn, x: str) -> str:
    """With a branch of its own, or a constant, stretched or not."""
    op, shape = draw(st.sampled_from(["Add", "Mul", "Sub"])), chain.shape_of(x)
    kind = draw(st.sampled_from(["branch", "channel", "lower", "pooled"]))
    if kind == "branch":
        weights = (shape[1], shape[1], 1, 1)
        other = chain.conv(x, f"Conv{len(chain.nodes)}", weights)
    elif kind == "pooled":
        other = chain.add("GlobalAveragePool", x)
    else:
        extents = (shape[1], 1, 1) if kind == "channel" else shape[2:]
        other = chain.number(chain.floats(*extents), np.float32)
    return chain.add(op, *draw(st.permutations([x, other])))


def pooled(chain: Chain, draw: st.DrawFn, x: str) -> str:
    if min(chain.shape_of(x)[2:]) < 2:
        return x
    op = draw(st.sampled_from(["MaxPool", "AveragePool"]))
    stride, pad = draw(st.integers(1, 2)), draw(st.integers(0, 1))
    sides: dict[str, Any] = {"kernel_shape": [2, 2], "strides": [stride] * 2, "pads": [pad] * 4}
    return chain.add(op, x, **sides)


def resized(chain: Chain, draw: st.DrawFn, x: str) -> str:
    mode = draw(st.sampled_from(["nearest", "linear"]))
    factors = chain.number([1, 1, 2, 2], np.float32)
    transform = "asymmetric" if mode == "nearest" else "half_pixel"
    rounding: dict[str, Any] = {"nearest_mode": "floor"} if mode == "nearest" else {}
    coordinates: dict[str, Any] = {"coordinate_transformation_mode": transform}
    return chain.add("Resize", x, "", factors, mode=mode, **coordinates, **rounding)


def regrouped(chain: Chain, draw: st.DrawFn, x: str) -> str:
    """Behind a convolution, as heads and attention do it."""
    n, channels, height, width = chain.shape_of(x)
    flat = chain.add("Reshape", x, chain.number([n, channels, height * width]))
    rows = chain.add("Transpose", flat, perm=[0, 2, 1])
    kind = draw(st.sampled_from(["back", "product", "attention", "shuffle"]))
    if kind == "product":
        weights = chain.number(chain.floats(channels, 4) / 2, np.float32)
        rows = chain.add("MatMul", rows, weights)
        flat, channels = chain.add("Transpose", rows, perm=[0, 2, 1]), 4
    elif kind == "attention":
        scores = chain.add("Softmax", chain.add("MatMul", rows, flat), axis=-1)
        flat = chain.add("MatMul", flat, chain.add("Transpose", scores, perm=[0, 2, 1]))
    elif kind == "shuffle" and channels % 2 == 0:
        apart = chain.number([n, 2, channels // 2, height, width])
        turned = chain.add("Transpose", chain.add("Reshape", x, apart), perm=[0, 2, 1, 3, 4])
        flat = chain.add("Reshape", turned, chain.number([n, channels, height * width]))
    return chain.add("Reshape", flat, chain.number([n, channels, height, width]))


def rearranged(chain: Chain, draw: st.DrawFn, x: str) -> str:
    shape = chain.shape_of(x)
    kind = draw(st.sampled_from(["Transpose", "Concat", "Split", "Slice", "Pad", "SpaceToDepth"]))
    if kind == "Transpose":
        return chain.add(kind, x, perm=[0, *(1 + axis for axis in draw(layouts_of(3)))])
    if kind == "Concat":
        return chain.add(kind, x, activated(chain, draw, x), axis=draw(st.integers(1, 3)))
    if kind == "Split" and shape[1] % 2 == 0:
        first = chain.add(kind, x, outputs=2, axis=1)
        second = first.replace(".0", ".1")
        return chain.add("Add", first, activated(chain, draw, second))
    if kind == "Slice" and shape[3] > 2:
        bounds = [chain.number([n]) for n in (1, shape[3], 3, draw(st.integers(1, 2)))]
        return chain.add(kind, x, *bounds)
    if kind == "Pad":
        return chain.add(kind, x, chain.number([0, 0, 1, 0, 0, 0, 0, 1]), mode="constant")
    if kind == "SpaceToDepth" and shape[2] % 2 == shape[3] % 2 == 0:
        return chain.add(kind, x, blocksize=2)
    return x


STEPS: tuple[Step, ...] = (
    *(convolved, convolved, activated, combined, pooled),
    *(resized, regrouped, rearranged, rearranged),
)


@st.composite
def chains(draw: st.DrawFn, most: int = 5) -> tuple[Chain, list[str]]:
    """A graph and its outputs: the end, and with luck something on the way."""
    chain = Chain(draw(st.integers(0, 99)))
    channels = draw(st.sampled_from([2, 3, 4]))
    x = chain.feed(chain.floats(1, channels, 2 * draw(st.integers(2, 4)), 6))
    made = [convolved(chain, draw, x) if draw(st.booleans()) else activated(chain, draw, x)]
    for _ in range(draw(st.integers(2, most))):
        step = draw(st.sampled_from(STEPS))
        made.append(step(chain, draw, made[-1]))
    outputs = {made[-1]: None}
    if draw(st.booleans()):
        outputs[draw(st.sampled_from(made))] = None
    return chain, list(outputs)
