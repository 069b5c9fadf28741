from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx.external_data_helper import convert_model_to_external_data, set_external_data

from edgeq.errors import InputError
from edgeq.graph.load import load

from .nets import (
    Array,
    branching_net,
    conv_net,
    floats,
    head_with_shape_chain,
    loaded,
    net,
    node,
    run,
)


def refused(path: Path, match: str, size: tuple[int, int] | None = None) -> None:
    with pytest.raises(InputError, match=match) as caught:
        load(path, size)
    assert str(caught.value).startswith(str(path))


# What comes out: simple, static, named, and the same function.


def test_batchnorm_is_folded_and_names_are_kept(tmp_path: Path) -> None:
    model = loaded(conv_net(), tmp_path)
    assert [n.name for n in model.nodes] == ["stem/Conv", "stem/Relu", "branch/Conv", "Add"]
    assert model.names["stem/BatchNormalization"] == "BatchNormalization"
    assert model.inputs == {"x": (1, 3, 8, 10)}
    assert model.outputs == {"y": (1, 5, 8, 10)}


def test_exporters_shape_chain_is_gone(tmp_path: Path) -> None:
    model = loaded(head_with_shape_chain(), tmp_path, (6, 8))
    assert [n.op_type for n in model.nodes] == ["Conv", "Reshape", "Sigmoid"]
    assert model.outputs == {"y": (1, 4 * 6 * 8)}


def test_every_tensor_has_a_static_shape_and_a_type(tmp_path: Path) -> None:
    model = loaded(conv_net(("batch", 3, "h", "w")), tmp_path, (16, 24))
    for name in (n for made in model.nodes for n in made.output):
        assert model.shapes[name] == (1, 5, 16, 24)
        assert model.is_float(name)


def products() -> onnx.ModelProto:
    """Gemms between the transposes and sums that optimizers like to merge into them."""
    constants: dict[str, Array] = {
        "w": floats(8, 6),
        "b": floats(4, 6),
        "n": np.ones(6, np.float32),
    }
    nodes = [
        node("Transpose", ["x"], ["t"], name="Transpose", perm=[1, 0]),
        node("Gemm", ["t", "w"], ["g"], name="Gemm"),
        node("Sum", ["g", "b"], ["s"], name="Sum"),
        node("MatMul", ["t", "w"], ["m"], name="MatMul"),
        node("BatchNormalization", ["m", "n", "n", "n", "n"], ["k"], name="BatchNormalization"),
        node("Add", ["s", "k"], ["y"], name="Add"),
    ]
    return net(nodes, {"x": [8, 4]}, {"y": [4, 6]}, constants)


@pytest.mark.parametrize(
    "proto",
    [conv_net(), head_with_shape_chain((1, 3, 8, 8)), branching_net(), products()],
    ids=["conv", "shape-chain", "if", "products"],
)
def test_loaded_model_computes_the_same(proto: onnx.ModelProto, tmp_path: Path) -> None:
    model = loaded(proto, tmp_path)
    for seed in (1, 2):
        feeds = {name: floats(*shape, seed=seed) for name, shape in model.inputs.items()}
        for before, after in zip(run(proto, feeds), run(model.proto, feeds), strict=True):
            np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


STEPS = st.sampled_from(["Conv", "BatchNormalization", "Relu", "Sigmoid", "Add", "Mul", "MaxPool"])


def chain(steps: list[str]) -> onnx.ModelProto:
    constants: dict[str, Array] = {}
    nodes, x = [], "x"
    for i, step in enumerate(steps):
        inputs = [x]
        attributes: dict[str, Any] = {}
        if step == "Conv":
            constants[f"w{i}"] = floats(3, 3, 3, 3, seed=i, scale=0.3)
            inputs, attributes = [x, f"w{i}"], {"pads": [1, 1, 1, 1]}
        elif step == "BatchNormalization":
            for name in ("gamma", "beta", "mean", "var"):
                constants[f"{name}{i}"] = np.abs(floats(3, seed=i)) + np.float32(0.5)
                inputs.append(f"{name}{i}")
        elif step in ("Add", "Mul"):
            constants[f"k{i}"] = floats(3, 1, 1, seed=i)
            inputs = [x, f"k{i}"]
        elif step == "MaxPool":
            attributes = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        nodes.append(node(step, inputs, [f"t{i}"], name=f"{i}/{step}", **attributes))
        x = f"t{i}"
    nodes.append(node("Relu", [x], ["y"], name="last"))
    return net(nodes, {"x": [1, 3, 6, 6]}, {"y": [1, 3, 6, 6]}, constants)


@settings(deadline=None, max_examples=40)
@given(st.lists(STEPS, min_size=1, max_size=7))
def test_any_chain_computes_the_same_under_its_own_names(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    proto = chain(steps)
    model = loaded(proto, tmp_path_factory.mktemp("chain"))
    feeds = {"x": floats(1, 3, 6, 6, seed=99)}
    before, after = run(proto, feeds)[0], run(model.proto, feeds)[0]
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4 * np.abs(before).max())
    assert {n.name for n in model.nodes} <= set(model.names)


def test_products_keep_their_names(tmp_path: Path) -> None:
    names = {n.name for n in loaded(products(), tmp_path).nodes}
    assert {"Gemm", "Sum", "MatMul"} <= names


def test_same_file_gives_the_same_model(tmp_path: Path) -> None:
    first, second = loaded(conv_net(), tmp_path), load(tmp_path / "model.onnx")
    assert first.sha256 == second.sha256
    assert first.proto.SerializeToString(deterministic=True) == second.proto.SerializeToString(
        deterministic=True
    )


def test_unnamed_and_repeated_names_are_made_unique(tmp_path: Path) -> None:
    names = ["", "Relu_0", "twice", "twice", "", "twice_3"]
    tensors = ["x", *(f"t{i}" for i in range(5)), "y"]
    ops = ["Relu", "Sigmoid", "Tanh", "Softplus", "Exp", "Sqrt"]
    nodes = [node(ops[i], [tensors[i]], [tensors[i + 1]], name=names[i]) for i in range(6)]
    model = loaded(net(nodes, {"x": [1, 4]}, {"y": [1, 4]}), tmp_path)
    assert list(model.names.items()) == [
        ("Relu_0_0", "Relu"),
        ("Relu_0", "Sigmoid"),  # what the file names keeps its name
        ("twice", "Tanh"),
        ("twice_3_3", "Softplus"),
        ("Exp_4", "Exp"),
        ("twice_3", "Sqrt"),
    ]
    assert [n.name for n in model.nodes] == list(model.names)


def test_consumers_count_what_subgraphs_read(tmp_path: Path) -> None:
    model = loaded(branching_net(), tmp_path)
    assert [n.name for n in model.consumers["c"]] == ["If"]
    assert sorted(n.name for n in model.consumers["x"]) == ["Conv", "ReduceSum"]


def test_two_inputs_are_both_inputs(tmp_path: Path) -> None:
    proto = net(
        [node("Add", ["a", "b"], ["y"], name="Add")],
        {"a": [1, 3, 8, 8], "b": [1, 3, 8, 8]},
        {"y": [1, 3, 8, 8]},
    )
    assert loaded(proto, tmp_path).inputs == {"a": (1, 3, 8, 8), "b": (1, 3, 8, 8)}


def test_initializer_that_is_listed_as_input_is_none(tmp_path: Path) -> None:
    proto = conv_net()
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [5, 3, 3, 3]))
    assert list(loaded(proto, tmp_path).inputs) == ["x"]


# Shapes.


def test_size_fixes_a_dynamic_image(tmp_path: Path) -> None:
    model = loaded(conv_net(("batch", 3, "h", "w")), tmp_path, (32, 48))
    assert (model.inputs, model.outputs) == ({"x": (1, 3, 32, 48)}, {"y": (1, 5, 32, 48)})


def test_dynamic_extents_without_a_size_are_refused(tmp_path: Path) -> None:
    onnx.save(conv_net(("batch", 3, "h", "w")), tmp_path / "model.onnx")
    refused(tmp_path / "model.onnx", r"input 'x' has a dynamic extent on axis 2; say the size")


def test_dynamic_batch_alone_needs_no_size(tmp_path: Path) -> None:
    assert loaded(conv_net(("batch", 3, 8, 8)), tmp_path).inputs == {"x": (1, 3, 8, 8)}


def test_size_that_contradicts_a_static_input_is_refused(tmp_path: Path) -> None:
    onnx.save(conv_net((1, 3, 8, 10)), tmp_path / "model.onnx")
    refused(
        tmp_path / "model.onnx",
        r"input 'x' takes 10 px on axis 3; but 'preprocess: size' says 8",
        (8, 8),
    )


def test_size_of_a_static_input_may_be_repeated(tmp_path: Path) -> None:
    assert loaded(conv_net((1, 3, 8, 10)), tmp_path, (8, 10)).inputs == {"x": (1, 3, 8, 10)}


def test_input_without_a_shape_is_refused(tmp_path: Path) -> None:
    proto = net([node("Relu", ["x"], ["y"], name="Relu")], {"x": None}, {"y": None})
    onnx.save(proto, tmp_path / "model.onnx")
    refused(tmp_path / "model.onnx", "input 'x' has no shape")


# Files that are wrong.


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "model.onnx", "does not exist")
    refused(tmp_path, "is a folder")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "is empty"),
        (np.random.default_rng(0).bytes(5000), "truncated or no ONNX file|holds no nodes"),
        (b"<html>not found</html>", "truncated or no ONNX file|holds no nodes"),
        (conv_net().SerializeToString()[:-40], r"is truncated or no ONNX file \(\d+ bytes\)"),
    ],
    ids=["empty", "random", "html", "truncated"],
)
@pytest.mark.parametrize("name", ["model.onnx", "model.json", "model.txt"])
def test_broken_file_is_refused(tmp_path: Path, name: str, content: bytes, match: str) -> None:
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, match)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 255), st.booleans())
def test_damaged_file_is_loaded_or_refused(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, cut: bool
) -> None:
    content = bytearray(conv_net().SerializeToString())
    place %= len(content)
    content[place] = value
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(content[:place] if cut else content)
    try:
        assert load(path).nodes
    except InputError as exc:
        assert str(exc).startswith(str(path))


def test_file_beyond_protobuf_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.touch()
    os.truncate(path, 3 * 2**30)
    start = time.process_time()
    refused(path, r"has 3\.0 GiB; ONNX files end at 2 GiB")
    assert time.process_time() - start < 0.2


def test_graph_without_nodes_is_refused(tmp_path: Path) -> None:
    onnx.save(net([], {"x": [1]}, {"x": [1]}), tmp_path / "model.onnx")
    refused(tmp_path / "model.onnx", "holds no nodes")


def test_invalid_graph_is_refused(tmp_path: Path) -> None:
    proto = net([node("Conv", ["nowhere", "w"], ["y"], name="c")], {"x": [1]}, {"y": [1]})
    onnx.save(proto, tmp_path / "model.onnx")
    refused(tmp_path / "model.onnx", "is no valid ONNX model")


def test_graph_that_the_runtime_cannot_load_is_refused(tmp_path: Path) -> None:
    proto = conv_net()
    proto.graph.node[0].domain = "org.example"
    proto.opset_import.append(helper.make_opsetid("org.example", 1))
    onnx.save(proto, tmp_path / "model.onnx")
    refused(tmp_path / "model.onnx", "ONNX Runtime cannot load it")


def test_old_opset_is_refused(tmp_path: Path) -> None:
    proto = net([node("Relu", ["x"], ["y"], name="r")], {"x": [1]}, {"y": [1]}, opset=12)
    onnx.save(proto, tmp_path / "model.onnx")
    refused(tmp_path / "model.onnx", "has opset 12; quantization needs 13 or later")


# External data.


@pytest.fixture
def external(tmp_path: Path) -> Path:
    """conv_net with its weights in weights.data beside it."""
    proto = conv_net()
    convert_model_to_external_data(proto, location="weights.data", size_threshold=0)
    path = tmp_path / "model" / "model.onnx"
    path.parent.mkdir()
    onnx.save(proto, path)
    return path


def relocated(path: Path, location: str) -> None:
    proto = onnx.load(path, load_external_data=False)
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(proto.SerializeToString())


def test_external_data_is_inlined(external: Path) -> None:
    model = load(external)
    feeds = {"x": floats(1, 3, 8, 10)}
    np.testing.assert_allclose(
        run(model.proto, feeds)[0], run(conv_net(), feeds)[0], rtol=1e-4, atol=1e-5
    )


def test_data_of_constants_inside_nodes_is_inlined(tmp_path: Path) -> None:
    value = floats(4)
    constant = node("Constant", [], ["k"], name="Constant")
    tensor = onnx.numpy_helper.from_array(value, "k")
    set_external_data(tensor, "k.data")
    tensor.ClearField("raw_data")
    (tmp_path / "k.data").write_bytes(value.tobytes())
    constant.attribute.append(helper.make_attribute("value", tensor))
    proto = net([constant, node("Add", ["x", "k"], ["y"], name="A")], {"x": [4]}, {"y": [4]})
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    feeds = {"x": np.zeros(4, np.float32)}
    np.testing.assert_array_equal(run(load(tmp_path / "model.onnx").proto, feeds)[0], value)


def test_hash_covers_the_external_data(external: Path) -> None:
    before = load(external).sha256
    data = external.with_name("weights.data")
    content = bytearray(data.read_bytes())
    content[3] ^= 1
    data.write_bytes(content)
    assert load(external).sha256 != before


def test_missing_data_is_refused_once(external: Path) -> None:
    external.with_name("weights.data").unlink()
    refused(external, r"^[^\n]*external data 'weights\.data' is missing; copy[^\n]*$")


def test_data_that_was_cut_short_is_refused(external: Path) -> None:
    data = external.with_name("weights.data")
    os.truncate(data, data.stat().st_size - 4)
    refused(external, r"external data 'weights\.data' has \d+ bytes.* it was cut short")


@pytest.mark.parametrize("location", ["../outside.data", "{}/outside.data", "link.data", ".", ""])
def test_data_outside_the_folder_is_refused(external: Path, location: str) -> None:
    outside = external.parent.parent / "outside.data"
    external.with_name("weights.data").rename(outside)
    external.with_name("link.data").symlink_to(outside)
    relocated(external, location.format(outside.parent))
    refused(external, "leaves the folder of the model")


@pytest.mark.parametrize(("key", "value"), [("offset", "x"), ("length", "-4"), ("offset", "1e3")])
def test_nonsense_in_a_data_entry_is_refused(external: Path, key: str, value: str) -> None:
    proto = onnx.load(external, load_external_data=False)
    for entry in proto.graph.initializer[0].external_data:
        if entry.key == key:
            entry.value = value
    external.write_bytes(proto.SerializeToString())
    refused(external, "external data 'weights.data'")


def test_data_of_the_wrong_length_is_refused(external: Path) -> None:
    proto = onnx.load(external, load_external_data=False)
    for entry in proto.graph.initializer[0].external_data:
        if entry.key == "length":
            entry.value = "8"
    external.write_bytes(proto.SerializeToString())
    refused(external, "its data does not fit its shape")


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    proto = conv_net()
    proto.graph.node[0].name = "abcdef"
    (tmp_path / "model.onnx").write_bytes(
        proto.SerializeToString().replace(b"abcdef", b"abc\xe1ef")
    )
    refused(tmp_path / "model.onnx", r"has a name that is not UTF-8 text: b'abc\\xe1ef'")


def test_external_data_that_is_no_file_is_refused(external: Path) -> None:
    external.with_name("weights.data").unlink()
    os.mkfifo(external.with_name("weights.data"))
    refused(external, r"external data 'weights\.data' is no regular file; copy weights")


@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.FLOAT16, 99])
def test_constant_whose_bytes_are_not_as_many_as_it_says_is_refused(
    tmp_path: Path, kind: int
) -> None:
    proto = conv_net()
    weights = proto.graph.initializer[0]
    weights.data_type, weights.raw_data = kind, weights.raw_data[:-3]
    (tmp_path / "model.onnx").write_bytes(proto.SerializeToString())
    refused(tmp_path / "model.onnx", r"tensor 'w': its data does not fit its shape \[5, 3, 3, 3\]")


def test_sparse_data_beyond_protobuf_is_refused_unread(external: Path) -> None:
    proto = onnx.load(external, load_external_data=False)
    for entry in proto.graph.initializer[0].external_data:
        if entry.key == "length":
            entry.value = str(3 * 2**30)
    external.write_bytes(proto.SerializeToString())
    os.truncate(external.with_name("weights.data"), 4 * 2**30)
    start = time.process_time()
    refused(external, r"has 3\.0 GiB with its external data; 2 GiB can be inlined")
    assert time.process_time() - start < 0.5


@pytest.mark.real
def test_real_model_computes_the_same(real_data: Callable[[str], Path]) -> None:
    path = real_data("models/yolov5n-seg-320.onnx")
    model = load(path, (320, 320))
    feeds = {"images": np.random.default_rng(0).random((1, 3, 320, 320), np.float32)}
    for before, after in zip(run(onnx.load(path), feeds), run(model.proto, feeds), strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3)


# Weights behind other nodes, and what is quantized already.


def behind(name: str, folder: Path) -> Any:
    """A convolution whose weight is made by other nodes, of constants alone."""
    weight, scale = floats(4, 3, 3, 3, scale=0.3), np.full(4, 0.01, np.float32)
    integers, zero = (weight * 100).astype(np.int8), np.zeros(4, np.int8)
    makers: dict[str, tuple[list[Any], dict[str, Array]]] = {
        "transposed": ([node("Transpose", ["k"], ["w"], perm=[0, 1, 3, 2])], {"k": weight}),
        "weight norm": (
            [
                node("ReduceL2", ["k"], ["n"], axes=[1, 2, 3]),
                node("Div", ["k", "n"], ["d"]),
                node("Mul", ["d", "g"], ["w"]),
            ],
            {"k": weight, "g": np.ones((4, 1, 1, 1), np.float32)},
        ),
        "half": ([node("Cast", ["k"], ["w"], to=1)], {"k": weight.astype(np.float16)}),
        "half, scaled": (
            [node("Mul", ["k", "g"], ["h"]), node("Cast", ["h"], ["w"], to=1)],
            {"k": weight.astype(np.float16), "g": np.ones((4, 1, 1, 1), np.float16)},
        ),
        "integers": (
            [node("DequantizeLinear", ["k", "s", "z"], ["w"], axis=0)],
            {"k": integers, "s": scale, "z": zero},
        ),
        "fake quantization": (
            [
                node("QuantizeLinear", ["k", "s", "z"], ["q"], axis=0),
                node("DequantizeLinear", ["q", "s", "z"], ["w"], axis=0),
            ],
            {"k": weight, "s": scale, "z": zero},
        ),
    }
    nodes, constants = makers[name]
    conv = node("Conv", ["x", "w"], ["y"], name="conv", pads=[1, 1, 1, 1])
    return net([*nodes, conv], {"x": [1, 3, 8, 8]}, {"y": [1, 4, 8, 8]}, constants)


BEHIND = ["transposed", "weight norm", "half", "half, scaled", "integers", "fake quantization"]


@pytest.mark.parametrize("listed", [False, True], ids=["", "listed as inputs"])
@pytest.mark.parametrize("name", BEHIND)
def test_weights_behind_other_nodes_are_folded(name: str, listed: bool, tmp_path: Path) -> None:
    proto = behind(name, tmp_path)
    for tensor in proto.graph.initializer if listed else ():
        given_ = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        proto.graph.input.append(given_)
    model = loaded(proto, tmp_path)
    assert [n.op_type for n in model.nodes] == ["Conv"]
    assert model.weight(model.nodes[0]) is not None and list(model.inputs) == ["x"]
    feeds = {"x": floats(1, 3, 8, 8, seed=7)}
    np.testing.assert_allclose(run(model.proto, feeds)[0], run(proto, feeds)[0], atol=2e-3)


QUANTIZED = {
    "Q/DQ": [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], name="q"),
        node("DequantizeLinear", ["q", "s", "z"], ["y"], name="d"),
    ],
    "dynamic": [
        node("DynamicQuantizeLinear", ["x"], ["q", "t", "u"], name="q"),
        node("DequantizeLinear", ["q", "t", "u"], ["y"], name="d"),
    ],
    "QLinear": [
        node("QuantizeLinear", ["x", "s", "z"], ["q"], name="q"),
        node("QLinearMatMul", ["q", "s", "z", "q", "s", "z", "s", "z"], ["p"], name="m"),
        node("DequantizeLinear", ["p", "s", "z"], ["y"], name="d"),
    ],
}


@pytest.mark.parametrize("name", QUANTIZED)
def test_what_is_quantized_already_is_refused_with_the_remedy(name: str, tmp_path: Path) -> None:
    constants: dict[str, Array] = {"s": np.array(0.1, np.float32), "z": np.array(0, np.uint8)}
    onnx.save(net(QUANTIZED[name], {"x": [4, 4]}, {"y": [4, 4]}, constants), tmp_path / "m.onnx")
    refused(
        tmp_path / "m.onnx",
        r"is quantized already \(1 \w+, 1 \w+.*\); name the float model that it was made from",
    )


def test_outputs_that_do_not_say_their_shape_get_it(tmp_path: Path) -> None:
    proto = conv_net()
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    assert loaded(proto, tmp_path).outputs == {"y": (1, 5, 8, 10)}


def test_outputs_can_be_left_out_with_what_leads_to_them(tmp_path: Path) -> None:
    proto = conv_net()
    proto.graph.output.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, [1, 5, 8, 10]))
    onnx.save(proto, tmp_path / "m.onnx")
    model = load(tmp_path / "m.onnx", without=["y"])
    assert list(model.outputs) == ["r"]
    assert [n.name for n in model.nodes] == ["stem/Conv", "stem/Relu"]
