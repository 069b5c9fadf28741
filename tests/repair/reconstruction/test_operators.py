"""Every operator in PyTorch against ONNX Runtime, over drawn shapes and attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgeq.errors import InputError
from edgeq.graph.session import open_session
from edgeq.repair.reconstruction.moving import PLACES, ROUNDINGS
from edgeq.repair.reconstruction.network import Network
from edgeq.repair.reconstruction.operators import OPERATORS

torch = pytest.importorskip("torch")

Array = NDArray[Any]
Case = tuple[dict[str, Any], list[Array | None]]
"""Attributes, and the inputs: the first is computed, the others are constants."""
Draw = Callable[[np.random.Generator], Case]


def floats(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)


def image(rng: np.random.Generator) -> Array:
    return floats(rng, *rng.integers(1, 3, 1), *rng.integers(2, 5, 1), *rng.integers(5, 9, 2))


def integers(*values: int) -> Array:
    return np.array(values, np.int64)


def alone(**attributes: Any) -> Draw:
    return lambda rng: (attributes, [image(rng)])


def positive(rng: np.random.Generator) -> Case:
    return {}, [np.abs(image(rng)) + np.float32(0.1)]


def beside(least: float = -2.0) -> Draw:
    def draw(rng: np.random.Generator) -> Case:
        x = image(rng)
        shape = [(), (*x.shape[1:2], 1, 1), x.shape][rng.integers(3)]
        other = rng.uniform(max(least, -2.0), 2.0, shape).astype(np.float32)
        return {}, [np.abs(x) + np.float32(0.1) if least > 0 else x, other]

    return draw


def padding(rng: np.random.Generator) -> dict[str, Any]:
    mode = ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"][rng.integers(4)]
    if mode != "NOTSET":
        return {"auto_pad": mode}
    return {"pads": [int(n) for n in rng.integers(0, 2, 4)]}


def convolution(rng: np.random.Generator) -> Case:
    groups, kernel = int(rng.integers(1, 3)), [int(n) for n in rng.integers(1, 4, 2)]
    x = floats(rng, 2, 2 * groups, *rng.integers(6, 9, 2))
    weight, bias = floats(rng, 3 * groups, 2, *kernel), floats(rng, 3 * groups)
    attributes = {
        "group": groups,
        "strides": [int(n) for n in rng.integers(1, 3, 2)],
        **padding(rng),
    }
    if "pads" in attributes:
        attributes["dilations"] = [int(n) for n in rng.integers(1, 3, 2)]
    return attributes, [x, weight, *([bias] if rng.random() < 0.5 else [])]


def transposed(rng: np.random.Generator) -> Case:
    groups, stride = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    x = floats(rng, 2, 2 * groups, *rng.integers(4, 6, 2))
    weight, bias = floats(rng, 2 * groups, 3, 3, 3), floats(rng, 3 * groups)
    more = int(rng.integers(stride))
    attributes = {
        "group": groups,
        "strides": [stride, stride],
        "pads": [int(n) for n in rng.integers(0, 2, 4)],
        "output_padding": [more, more],
    }
    return attributes, [x, weight, *([bias] if rng.random() < 0.5 else [])]


def product(rng: np.random.Generator) -> Case:
    a, b = (bool(rng.integers(2)) for _ in "ab")
    x, weight = floats(rng, *((4, 3) if a else (3, 4))), floats(rng, *((5, 4) if b else (4, 5)))
    attributes = {"transA": int(a), "transB": int(b), "alpha": 0.5, "beta": 2.0}
    return attributes, [x, weight, *([floats(rng, 5)] if rng.random() < 0.5 else [])]


def pool(counted: bool) -> Draw:
    def draw(rng: np.random.Generator) -> Case:
        attributes = {
            "kernel_shape": [3, 2],
            "strides": [int(n) for n in rng.integers(1, 3, 2)],
            **padding(rng),
        }
        if counted:
            attributes["count_include_pad"] = int(rng.integers(2))
        return attributes, [image(rng)]

    return draw


def resize(rng: np.random.Generator) -> Case:
    x = image(rng)
    linear = rng.random() < 0.3
    modes = ["half_pixel", "align_corners"] if linear else list(PLACES)
    attributes = {
        "mode": "linear" if linear else "nearest",
        "coordinate_transformation_mode": modes[rng.integers(len(modes))],
    }
    if not linear:
        attributes["nearest_mode"] = list(ROUNDINGS)[rng.integers(len(ROUNDINGS))]
    if rng.random() < 0.5 and not linear:
        return attributes, [x, None, np.array([1, 1, *rng.integers(1, 4, 2)], np.float32)]
    # Sizes of which 11 to 15 is none that its quotient gives back.
    sizes = [*x.shape[:2], *(int(n) for n in rng.integers(3, 16, 2))]
    return attributes, [x, None, None, integers(*sizes)]


def sliced(rng: np.random.Generator) -> Case:
    return {}, [image(rng), integers(1, -1), integers(4, -9), integers(2, 3), integers(1, -2)]


def padded(rng: np.random.Generator) -> Case:
    mode = ["constant", "reflect", "edge"][rng.integers(3)]
    return {"mode": mode}, [image(rng), integers(0, 0, 1, 2, 0, 0, 2, 1)]


def reduced(rng: np.random.Generator) -> Case:
    return {"axes": [1, -1], "keepdims": int(rng.integers(2))}, [image(rng)]


def summed(rng: np.random.Generator) -> Case:
    return {"keepdims": int(rng.integers(2))}, [image(rng), integers(2, 3)]


def normalized(rng: np.random.Generator) -> Case:
    x = image(rng)
    return {}, [x, *(np.abs(floats(rng, x.shape[1])) + np.float32(0.1) for _ in range(4))]


def reshaped(rng: np.random.Generator) -> Case:
    return {}, [image(rng), integers(0, -1, 1)]


CASES: dict[str, Draw] = {
    "Abs": alone(),
    "Add": beside(),
    "AveragePool": pool(counted=True),
    "BatchNormalization": normalized,
    "Clip": lambda rng: ({}, [image(rng), np.array(-0.5, np.float32), np.array(1, np.float32)]),
    "Concat": lambda rng: ({"axis": 1}, [x := image(rng), x[:, :1] + np.float32(1)]),
    "Conv": convolution,
    "ConvTranspose": transposed,
    "Div": beside(0.5),
    "Dropout": alone(),
    "Elu": alone(alpha=0.7),
    "Erf": alone(),
    "Exp": alone(),
    "Flatten": alone(axis=2),
    "Gather": lambda rng: ({"axis": -1}, [image(rng), np.array([[0, -1], [2, 1]], np.int64)]),
    "Gelu": lambda rng: ({"approximate": ["none", "tanh"][rng.integers(2)]}, [image(rng)]),
    "Gemm": product,
    "GlobalAveragePool": alone(),
    "GlobalMaxPool": alone(),
    "HardSigmoid": alone(alpha=0.3, beta=0.4),
    "HardSwish": alone(),
    "Identity": alone(),
    "LeakyRelu": alone(alpha=0.1),
    "Log": positive,
    "MatMul": lambda rng: ({}, [x := image(rng), floats(rng, x.shape[-1], 3)]),
    "Max": beside(),
    "MaxPool": pool(counted=False),
    "Min": beside(),
    "Mul": beside(),
    "Neg": alone(),
    "PRelu": lambda rng: ({}, [x := image(rng), floats(rng, x.shape[1], 1, 1)]),
    "Pad": padded,
    "Pow": beside(0.5),
    "Reciprocal": positive,
    "ReduceMax": reduced,
    "ReduceMean": reduced,
    "ReduceMin": reduced,
    "ReduceSum": summed,
    "Relu": alone(),
    "Reshape": reshaped,
    "Resize": resize,
    "Sigmoid": alone(),
    "Slice": sliced,
    "Softmax": alone(axis=1),
    "Softplus": alone(),
    "Split": lambda rng: ({"axis": 2}, [x := image(rng), integers(2, x.shape[2] - 2)]),
    "Sqrt": positive,
    "Squeeze": lambda rng: ({}, [image(rng)[:, :1], integers(1)]),
    "Sub": beside(),
    "Sum": beside(),
    "Tanh": alone(),
    "Transpose": alone(perm=[0, 2, 3, 1]),
    "Unsqueeze": lambda rng: ({}, [image(rng), integers(1, -1)]),
}


def of_one(op_type: str, case: Case) -> onnx.ModelProto:
    attributes, inputs = case
    first, *others = inputs
    assert first is not None
    names = ["x", *("" if value is None else f"c{i}" for i, value in enumerate(others))]
    opset = 20 if op_type == "Gelu" else 17
    outputs = ["y", "z"] if op_type == "Split" else ["y"]
    graph = helper.make_graph(
        [helper.make_node(op_type, names, outputs, name="node", **attributes)],
        "one",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, first.shape)],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs],
        [
            numpy_helper.from_array(np.asarray(value), f"c{i}")
            for i, value in enumerate(others)
            if value is not None
        ],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def both(proto: onnx.ModelProto, x: Array) -> Iterator[tuple[Array, Array]]:
    names = [value.name for value in proto.graph.output]
    expected = open_session(proto.SerializeToString(), "one", 1, "disabled").run(names, {"x": x})
    found = Network(proto).run(proto.graph.node, {"x": torch.from_numpy(x.copy())}, names)
    return ((found[name].numpy(), value) for name, value in zip(names, expected, strict=True))


def test_every_operator_is_drawn() -> None:
    assert CASES.keys() == OPERATORS.keys()


@pytest.mark.parametrize("op_type", CASES)
def test_operator_computes_what_onnx_runtime_does(op_type: str) -> None:
    @settings(max_examples=12, deadline=None)
    @given(seed=st.integers(0, 10**6))
    def agrees(seed: int) -> None:
        case = CASES[op_type](np.random.default_rng(seed))
        [x, *_] = case[1]
        assert x is not None
        for found, expected in both(of_one(op_type, case), x):
            assert found.shape == expected.shape
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)

    agrees()


def test_operator_that_is_not_trained_through_is_named() -> None:
    proto = of_one("Sigmoid", ({}, [np.zeros((1, 2, 3, 3), np.float32)]))
    proto.graph.node[0].op_type = "TopK"
    with pytest.raises(InputError, match="'TopK' is none of the operators"):
        Network(proto).run(proto.graph.node, {"x": torch.zeros(1, 2, 3, 3)}, ["y"])
