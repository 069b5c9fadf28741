from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from benchmarks.network import yolov8n_seg
from edgeq.graph.load import load
from edgeq.graph.tail import Tail, find_tail

from .nets import Array, conv_net, floats, loaded, net, node


def names(tail: Tail) -> tuple[set[str], set[str]]:
    return set(tail.nodes), set(tail.feeders)


def v5_net() -> onnx.ModelProto:
    """Two detection levels as YOLOv5 exports them: Reshape to 5-D, Transpose, Sigmoid, Concat."""
    constants: dict[str, Array] = {
        "w": floats(16, 3, 3, 3),
        "w1": floats(16, 16, 3, 3),
        "d0": floats(18, 16, 1, 1),
        "d1": floats(18, 16, 1, 1),
        "s0": np.array([1, 3, 6, 32, 32], np.int64),
        "s1": np.array([1, 3, 6, 16, 16], np.int64),
        "flat": np.array([1, -1, 6], np.int64),
        "two": np.array(2, np.float32),
    }
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="stem", pads=[1] * 4),
        node("Conv", ["a", "w1"], ["b"], name="down", pads=[1] * 4, strides=[2, 2]),
    ]
    for level, feature in enumerate("ab"):
        i = str(level)
        nodes += [
            node("Conv", [feature, f"d{i}"], [f"c{i}"], name=f"detect{i}"),
            node("Reshape", [f"c{i}", f"s{i}"], [f"r{i}"], name=f"Reshape{i}"),
            node("Transpose", [f"r{i}"], [f"t{i}"], name=f"Transpose{i}", perm=[0, 1, 3, 4, 2]),
            node("Sigmoid", [f"t{i}"], [f"g{i}"], name=f"Sigmoid{i}"),
            node("Mul", [f"g{i}", "two"], [f"m{i}"], name=f"Mul{i}"),
            node("Reshape", [f"m{i}", "flat"], [f"f{i}"], name=f"Flat{i}"),
        ]
    nodes.append(node("Concat", ["f0", "f1"], ["y"], name="Concat", axis=1))
    count = 3 * (32 * 32 + 16 * 16)
    return net(nodes, {"x": [1, 3, 32, 32]}, {"y": [1, count, 6]}, constants)


def attention_net() -> onnx.ModelProto:
    """Position-sensitive attention as in YOLO11: flattened, multiplied, and a map again."""
    constants: dict[str, Array] = {
        "w": floats(8, 3, 3, 3),
        "q": floats(24, 8, 1, 1),
        "split": np.array([8, 8, 8], np.int64),
        "flat": np.array([1, 24, 64], np.int64),
        "map": np.array([1, 8, 8, 8], np.int64),
        "w2": floats(8, 8, 3, 3),
        "w3": floats(8, 8, 3, 3),
    }
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="stem", pads=[1] * 4),
        node("Conv", ["a", "q"], ["qkv"], name="qkv"),
        node("Reshape", ["qkv", "flat"], ["f"], name="to_rows"),
        node("Split", ["f", "split"], ["fq", "fk", "fv"], name="Split", axis=1),
        node("Transpose", ["fq"], ["tq"], name="Transpose", perm=[0, 2, 1]),
        node("MatMul", ["tq", "fk"], ["scores"], name="scores"),
        node("Softmax", ["scores"], ["soft"], name="Softmax", axis=-1),
        node("MatMul", ["fv", "soft"], ["mixed"], name="mix"),
        node("Reshape", ["mixed", "map"], ["m"], name="to_map"),
        node("Conv", ["m", "w2"], ["b"], name="after", pads=[1] * 4),
        node("Conv", ["b", "w3"], ["y"], name="last", pads=[1] * 4),
    ]
    return net(nodes, {"x": [1, 3, 8, 8]}, {"y": [1, 8, 8, 8]}, constants)


def test_tail_of_a_v5_head_begins_at_its_reshapes(tmp_path: Path) -> None:
    tail, feeders = names(find_tail(loaded(v5_net(), tmp_path)))
    steps = ("Reshape", "Transpose", "Sigmoid", "Mul", "Flat")
    assert tail == {f"{step}{i}" for step in steps for i in "01"} | {"Concat"}
    assert feeders == {"detect0", "detect1"}


def test_tail_of_a_v8_head_takes_the_concats_that_feed_it(tmp_path: Path) -> None:
    proto = yolov8n_seg(size=64)
    tail, feeders = names(find_tail(loaded(proto, tmp_path)))
    order = [n.name for n in proto.graph.node]
    expected = set(order[order.index("model.22/Concat_0") :])
    assert tail == expected
    assert feeders == {
        f"model.22.{kind}.{level}.2/Conv" for kind in ("box", "cls", "coef") for level in range(3)
    }


def test_prototypes_are_no_tail(tmp_path: Path) -> None:
    tail, feeders = names(find_tail(loaded(yolov8n_seg(size=64), tmp_path)))
    assert not any("proto" in name for name in tail | feeders)


def test_attention_inside_the_network_is_no_tail(tmp_path: Path) -> None:
    assert names(find_tail(loaded(attention_net(), tmp_path))) == (set(), set())


def test_network_without_a_reshape_has_no_tail(tmp_path: Path) -> None:
    assert names(find_tail(loaded(conv_net(), tmp_path))) == (set(), set())


@pytest.mark.real
def test_tail_of_the_real_model_holds_no_convolution(real_data: Callable[[str], Path]) -> None:
    model = load(real_data("models/yolov5n-seg-320.onnx"))
    tail = find_tail(model)
    types = {n.name: n.op_type for n in model.nodes}
    assert len(tail.feeders) == 3
    assert {types[name] for name in tail.feeders} == {"Conv"}
    assert "Conv" not in {types[name] for name in tail.nodes}
