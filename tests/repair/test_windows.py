"""A layer as a matrix product, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeq.repair.windows import windows_of

from ..nets import Net
from ..runtimes.builds import inputs_of, run


@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ((6, 4, 3, 3), {}),
        ((6, 4, 1, 1), {}),
        ((6, 4, 3, 2), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
        ((6, 4, 3, 3), {"dilations": [2, 1], "strides": [1, 3]}),
        ((6, 2, 3, 3), {"group": 2}),
        ((4, 1, 3, 3), {"group": 4, "strides": [2, 2]}),
    ],
)
def test_windows_times_weight_is_the_convolution(
    tmp_path: Path, shape: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    net = Net(channels=4, side=9)
    model = net.model(tmp_path, [net.conv("x", "conv", shape, bias=False, **attributes)])
    [node], [x] = model.nodes, inputs_of(model, 1)
    weight = np.asarray(model.constant(node.input[1]), np.float32)
    expected = run(model.proto.SerializeToString(), x)["conv"]
    windows = windows_of(node, weight.shape)
    assert windows is not None
    places = np.arange(windows.places(expected.shape))[::2]
    matrix = windows.matrix(weight)
    product = matrix @ windows.inputs(x, expected.shape, places).transpose(0, 2, 1)
    np.testing.assert_allclose(product, windows.outputs(expected, places), atol=1e-5)
    assert (windows.weight(matrix, weight) == weight).all()


@pytest.mark.parametrize("transposed", [0, 1])
def test_rows_times_weight_is_the_gemm(tmp_path: Path, transposed: int) -> None:
    net = Net(channels=4, side=3)
    flat = net.node("Flatten", ["x"], "flat")
    values = net.rng.standard_normal((5, 36) if transposed else (36, 5)).astype(np.float32)
    made = net.node("Gemm", [flat, net.constant("w", values)], "gemm", transB=transposed)
    model = net.model(tmp_path, [made, flat])
    [x] = inputs_of(model, 1)
    found = run(model.proto.SerializeToString(), x)
    windows = windows_of(model.nodes[-1], values.shape)
    assert windows is not None
    places = np.arange(windows.places(found["gemm"].shape))
    matrix = windows.matrix(values)
    product = matrix @ windows.inputs(found["flat"], (1, 5), places).transpose(0, 2, 1)
    np.testing.assert_allclose(product, windows.outputs(found["gemm"], places), atol=1e-5)
    assert (windows.weight(matrix, values) == values).all()


def test_transposed_convolution_is_no_such_product(tmp_path: Path) -> None:
    net = Net(channels=4)
    weight = net.constant("w", net.rng.standard_normal((4, 2, 2, 2)).astype(np.float32))
    made = net.node("ConvTranspose", ["x", weight], "up", strides=[2, 2])
    assert windows_of(net.model(tmp_path, [made]).nodes[0], (4, 2, 2, 2)) is None
