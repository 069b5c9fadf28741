from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeq.graph.layers import layers, multiply_adds
from edgeq.graph.load import load

from .nets import branching_net, conv_net, floats, loaded, net, node


def taps(size: int, kernel: int, stride: int, pad: int) -> tuple[int, int]:
    """Outputs along one axis, and how many of their taps there are, padding counted."""
    starts = range(-pad, size + pad - kernel + 1, stride)
    return len(starts), sum(1 for _ in starts for _ in range(kernel))


@settings(deadline=None, max_examples=30)
@given(
    size=st.tuples(st.integers(5, 12), st.integers(5, 12)),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    pad=st.integers(0, 2),
    groups=st.integers(1, 3),
    per_group=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    bias=st.booleans(),
)
def test_convolution_counts_every_tap(
    tmp_path_factory: pytest.TempPathFactory,
    size: tuple[int, int],
    kernel: int,
    stride: int,
    pad: int,
    groups: int,
    per_group: tuple[int, int],
    bias: bool,
) -> None:
    (rows, row_taps), (columns, column_taps) = (taps(s, kernel, stride, pad) for s in size)
    inputs, outputs = (n * groups for n in per_group)
    constants = {"w": floats(outputs, per_group[0], kernel, kernel)}
    constants |= {"b": floats(outputs)} if bias else {}
    conv = node(
        "Conv",
        ["x", *constants],
        ["y"],
        name="c",
        group=groups,
        strides=[stride] * 2,
        pads=[pad] * 4,
    )
    proto = net([conv], {"x": [1, inputs, *size]}, {"y": [1, outputs, rows, columns]}, constants)

    [layer] = layers(loaded(proto, tmp_path_factory.mktemp("conv")))

    assert layer.macs == row_taps * column_taps * outputs * per_group[0]
    assert layer.parameters == sum(value.size for value in constants.values())
    assert layer.output_shape == (1, outputs, rows, columns)
    values = inputs * size[0] * size[1] + layer.parameters + outputs * rows * columns
    assert layer.moved_bytes == 4 * values
    assert layer.intensity == 2 * layer.macs / layer.moved_bytes


@settings(deadline=None, max_examples=20)
@given(
    size=st.tuples(st.integers(2, 6), st.integers(2, 6)),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    groups=st.integers(1, 2),
    per_group=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_transposed_convolution_scatters_the_kernel_from_every_input(
    tmp_path_factory: pytest.TempPathFactory,
    size: tuple[int, int],
    kernel: int,
    stride: int,
    groups: int,
    per_group: tuple[int, int],
) -> None:
    inputs, outputs = (n * groups for n in per_group)
    extents = [(s - 1) * stride + kernel for s in size]
    weight = floats(inputs, per_group[1], kernel, kernel)
    conv = node("ConvTranspose", ["x", "w"], ["y"], name="c", group=groups, strides=[stride] * 2)
    proto = net([conv], {"x": [1, inputs, *size]}, {"y": [1, outputs, *extents]}, {"w": weight})

    [layer] = layers(loaded(proto, tmp_path_factory.mktemp("conv")))

    count = 0
    for _position in np.ndindex(*size):
        for _channel in range(inputs):
            count += per_group[1] * kernel * kernel
    assert layer.macs == count
    assert layer.parameters == weight.size


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
def test_gemm_is_rows_by_inner_by_columns(tmp_path: Path, trans_a: int, trans_b: int) -> None:
    rows, inner, columns = 2, 5, 7
    constants = {"w": floats(*((columns, inner) if trans_b else (inner, columns))), "b": floats(7)}
    gemm = node("Gemm", ["x", "w", "b"], ["y"], name="g", transA=trans_a, transB=trans_b)
    shape = [inner, rows] if trans_a else [rows, inner]
    [layer] = layers(loaded(net([gemm], {"x": shape}, {"y": [2, 7]}, constants), tmp_path))
    assert layer.macs == rows * inner * columns
    assert layer.parameters == inner * columns + columns
    assert layer.weight == "w"


def test_matmul_of_two_activations_has_no_parameters(tmp_path: Path) -> None:
    matmul = node("MatMul", ["a", "b"], ["y"], name="m")
    proto = net([matmul], {"a": [3, 4, 5], "b": [3, 5, 6]}, {"y": [3, 4, 6]})
    [layer] = layers(loaded(proto, tmp_path))
    assert (layer.macs, layer.parameters, layer.weight) == (3 * 4 * 5 * 6, 0, None)
    assert layer.moved_bytes == 4 * (60 + 90 + 72)


def test_layers_are_the_heavy_nodes_in_order(tmp_path: Path) -> None:
    model = loaded(conv_net(), tmp_path)
    assert [layer.name for layer in layers(model)] == ["stem/Conv", "branch/Conv"]
    assert multiply_adds(model, model.nodes[1]) == 0


def test_layers_inside_control_flow_are_not_counted(tmp_path: Path) -> None:
    assert [layer.op_type for layer in layers(loaded(branching_net(), tmp_path))] == ["Conv"]


@pytest.mark.real
def test_real_model_has_the_published_cost(real_data: Callable[[str], Path]) -> None:
    """YOLOv5n-seg: 2.0 M parameters and 7.1 GFLOP at 640 px, as Ultralytics publishes it."""
    path = real_data("models/yolov5n-seg.onnx")
    found = layers(load(path))
    assert sum(layer.parameters for layer in found) == pytest.approx(2.0e6, rel=0.03)
    assert 2 * sum(layer.macs or 0 for layer in found) == pytest.approx(7.1e9, rel=0.03)
    stored = sum(np.prod(t.dims) for t in onnx.load(path).graph.initializer if len(t.dims) == 4)
    assert sum(layer.parameters for layer in found) >= stored
