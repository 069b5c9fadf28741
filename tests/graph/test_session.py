from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import edgeq
from edgeq.errors import InputError
from edgeq.graph.session import Optimization, errors_at, open_session


def graph(*nodes: onnx.NodeProto, constants: dict[str, NDArray[Any]] | None = None) -> bytes:
    """A model from `x`, four floats, to `y`."""
    tensors = [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
    made = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(made, opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString())


def doubled() -> bytes:
    return graph(
        helper.make_node("Identity", ["x"], ["same"]), helper.make_node("Add", ["same", "x"], ["y"])
    )


@pytest.mark.parametrize("threads", [0, 1, 2])
@pytest.mark.parametrize("optimization", ["all", "basic", "disabled"])
def test_graph_computes_whatever_the_options(threads: int, optimization: Optimization) -> None:
    session = open_session(doubled(), "here", threads, optimization)
    [found] = session.run(["y"], {"x": np.arange(4, dtype=np.float32)})
    assert found.tolist() == [0, 2, 4, 6]


def test_file_may_go_once_it_is_open(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(doubled())
    session = open_session(file, "here", 1)
    file.unlink()
    assert session.run(["y"], {"x": np.ones(4, np.float32)})[0].tolist() == [2] * 4


def test_optimized_graph_is_written_without_what_is_left_out(tmp_path: Path) -> None:
    both, one = tmp_path / "both.onnx", tmp_path / "one.onnx"
    open_session(doubled(), "here", 1, "basic", optimized=both)
    left_out = ["EliminateIdentity"]
    open_session(doubled(), "here", 1, "basic", optimized=one, left_out=left_out)
    types = [[node.op_type for node in onnx.load(str(file)).graph.node] for file in (both, one)]
    assert types == [["Add"], ["Identity", "Add"]]


def test_unfused_pairs_are_computed_as_they_are_written() -> None:
    """A pair that rounds to a tenth, before and after an op that int8 kernels would take over."""
    constants: dict[str, NDArray[Any]] = {
        "s": np.array(0.1, np.float32),
        "z": np.array(0, np.int8),
    }
    pair = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("Sigmoid", ["d"], ["y"]),
    ]
    x = np.array([0.04, 0.06, 0.26, -0.14], np.float32)
    session = open_session(graph(*pair, constants=constants), "here", 1, fuse_qdq=False)
    expected = 1 / (1 + np.exp(-np.round(x / 0.1) * 0.1))
    np.testing.assert_allclose(session.run(["y"], {"x": x})[0], expected, rtol=1e-6)


@pytest.mark.parametrize("model", [b"", b"no model", graph(helper.make_node("Nope", ["x"], ["y"]))])
def test_what_it_refuses_is_an_input_error_at_its_place(model: bytes) -> None:
    with pytest.raises(InputError, match=r"^model\.onnx: ONNX Runtime cannot load it: ") as caught:
        open_session(model, "model.onnx")
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


def test_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot load it"):
        open_session(tmp_path / "gone.onnx", "gone.onnx")


def test_what_fails_in_a_run_is_an_input_error_at_its_place() -> None:
    session = open_session(doubled(), "here", 1)
    with pytest.raises(InputError, match=r"^here: ONNX Runtime cannot run it: "), errors_at("here"):
        session.run(["y"], {"x": np.ones(5, np.float32)})


def test_error_without_words_is_named_by_its_type() -> None:
    with pytest.raises(InputError, match="cannot run it: MemoryError"), errors_at("here"):
        raise MemoryError


def test_nothing_is_reported_to_the_vendor() -> None:
    open_session(doubled(), "here")
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_it_is_the_only_place_on_the_host_that_opens_one() -> None:
    package = Path(edgeq.__file__).parent
    found = [f for f in package.rglob("*.py") if "InferenceSession(" in f.read_text("utf-8")]
    here = [file.relative_to(package) for file in found if "agent" not in file.parts]
    assert here == [Path("graph/session.py")]
