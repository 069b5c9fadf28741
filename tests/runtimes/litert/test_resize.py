"""Resize in float against ONNX Runtime, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.sampling import examples

from .drawing import layouts_of
from .engines import Graph, assert_same

TRANSFORMS = (
    *("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"),
    *("align_corners", "asymmetric"),
)
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@given(st.data())
@examples(100)
def test_a_resize_is_that_of_onnx(mode: str, data: st.DataObject) -> None:
    attributes: dict[str, Any] = {"mode": mode}
    attributes["coordinate_transformation_mode"] = data.draw(st.sampled_from(TRANSFORMS))
    if mode == "nearest":
        attributes["nearest_mode"] = data.draw(st.sampled_from(NEAREST))
    graph = Graph(data.draw(st.integers(0, 99)))
    rank = data.draw(st.sampled_from([3, 4, 4, 4, 5] if mode == "nearest" else [3, 4]))
    shape = [data.draw(st.integers(1, n)) for n in (2, 3, 7, 7, 3)[:rank]]
    x = graph.feed(graph.floats(*shape), layout=data.draw(layouts_of(rank)))
    factors = [1.0, 1.0]
    kinds = [1.0, 2.0, 3.0, 4.0, 0.5, 1.5, 2.5, 1.3, 0.7, 2.001]
    factors += [data.draw(st.sampled_from(kinds)) for _ in range(rank - 2)]
    sizes = [int(np.floor(np.float32(f) * n)) for f, n in zip(factors, shape, strict=True)]
    # ONNX Runtime copies where no extent changes, whatever the scales are.
    assume(all(sizes) and (sizes != shape or factors == [1.0] * rank))
    if data.draw(st.booleans()):
        attributes["axes"] = list(range(2, rank))
        factors, sizes = factors[2:], sizes[2:]
    if data.draw(st.booleans()):
        scales = graph.constant("scales", np.array(factors, np.float32))
        graph.node("Resize", [x, "", scales], "y", **attributes)
    else:
        wanted = graph.constant("sizes", np.array(sizes, np.int64))
        graph.node("Resize", [x, "", "", wanted], "y", **attributes)
    assert_same(graph, ["y"], opset=19, delegates=data.draw(st.booleans()))
