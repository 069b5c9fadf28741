"""Graphs with their feeds, run by ONNX Runtime and, once written, by LiteRT."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from hypothesis import currently_in_test_context, note
from numpy.typing import NDArray
from onnx import helper

from edgeq.errors import InputError, InputErrors
from edgeq.graph.model import Model
from edgeq.runtimes.litert.writer import refuse_unsupported, write_tflite
from tests.nets import Net, loaded
from tests.runtimes import builds

Array = NDArray[Any]
ONNX_TYPES = {
    "float32": onnx.TensorProto.FLOAT,
    "int32": onnx.TensorProto.INT32,
    "int64": onnx.TensorProto.INT64,
    "bool": onnx.TensorProto.BOOL,
}


class Graph(Net):
    """Nodes one after another, and what they are fed."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.feeds: dict[str, Array] = {}

    def floats(self, *shape: int) -> NDArray[np.float32]:
        return self.rng.standard_normal(shape).astype(np.float32)

    def feed(self, value: Array, name: str = "x", layout: Sequence[int] | None = None) -> str:
        """An input; with a layout it comes in stored so, behind a Transpose that names the axes."""
        value = np.asarray(value)
        if layout is None or list(layout) == list(range(value.ndim)):
            self.feeds[name] = value
            return name
        self.feeds[f"{name}.fed"] = np.ascontiguousarray(value.transpose(layout))
        perm = [list(layout).index(axis) for axis in range(value.ndim)]
        return self.node("Transpose", [f"{name}.fed"], name, perm=perm)

    def proto(self, outputs: Sequence[str], opset: int = 17) -> onnx.ModelProto:
        fed = [
            helper.make_tensor_value_info(name, ONNX_TYPES[str(value.dtype)], value.shape)
            for name, value in self.feeds.items()
        ]
        made = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(self.nodes, "net", fed, made, self.constants)
        domains = {node.domain for node in self.nodes if node.domain}
        opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        return onnx.shape_inference.infer_shapes(model, data_prop=True)


def simplified(proto: onnx.ModelProto) -> Model:
    """Loaded as every model is."""
    with tempfile.TemporaryDirectory() as folder:
        return loaded(proto, Path(folder))


def as_built(proto: onnx.ModelProto) -> Model:
    """Every node where it was put: loading would fold some of them."""
    return Model(Path("net.onnx"), proto, "", {})


def run_onnx(content: bytes, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of ONNX Runtime with nothing optimized."""
    engine = builds.session(content, "none")
    names = [output.name for output in engine.get_outputs()]
    return dict(zip(names, engine.run(names, dict(feeds)), strict=True))


def interpreter(content: bytes, delegates: bool = True) -> Any:
    """LiteRT with the file loaded; without delegates its own kernels compute."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kind = OpResolverType.AUTO if delegates else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    found = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=kind)
    found.allocate_tensors()
    return found


def run_tflite(
    content: bytes, feeds: Mapping[str, Array], delegates: bool = True
) -> dict[str, Array]:
    """The outputs by ONNX's names; images are fed channels-last."""
    engine = interpreter(content, delegates)
    for detail in engine.get_input_details():
        value = feeds[detail["name"]]
        if value.shape[-3:-2] == (3,):
            value = np.moveaxis(value, -3, -1)
        engine.set_tensor(detail["index"], np.array(value, detail["dtype"], order="C"))
    engine.invoke()
    return {
        detail["name"]: engine.get_tensor(detail["index"]) for detail in engine.get_output_details()
    }


def assert_same(
    graph: Graph,
    outputs: Sequence[str],
    opset: int = 17,
    folded: bool = True,
    tolerance: float = 1e-5,
    delegates: bool = True,
) -> bytes:
    """The written file computes what ONNX Runtime computes; of floats, 100 dB below the largest.

    `folded` says whether the graph is simplified before it is written.
    """
    proto = graph.proto(outputs, opset)
    if currently_in_test_context():
        note(onnx.printer.to_text(proto.graph))
    wanted = run_onnx(proto.SerializeToString(), graph.feeds)
    model = simplified(proto) if folded else as_built(proto)
    content = write_tflite(model, None).content
    found = run_tflite(content, graph.feeds, delegates)
    assert list(found) == list(wanted)
    for name, expected in wanted.items():
        result = found[name]
        assert result.dtype == expected.dtype and result.shape == expected.shape
        if expected.dtype == np.float32:
            finite = expected[np.isfinite(expected)]
            limit = tolerance * max(1.0, float(np.abs(finite).max(initial=0.0)))
            np.testing.assert_allclose(result, expected, rtol=0, atol=limit)
        else:
            np.testing.assert_array_equal(result, expected)
    return content


def refusals(model: Model) -> list[str]:
    """What the writer says against a model, a line for each node; none if it takes it."""
    try:
        refuse_unsupported(model)
    except InputErrors as exc:
        return [str(problem) for problem in exc.problems]
    except InputError as exc:
        return [str(exc)]
    return []
