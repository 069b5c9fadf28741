"""Nodes that a file lists in any order load in execution order."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq.errors import InputError
from edgeq.graph.order import sort_nodes

from .nets import branching_net, conv_net, floats, head_with_shape_chain, loaded, net, node, run

GRAPHS = (conv_net, lambda: head_with_shape_chain((1, 3, 8, 8)), branching_net)


def shuffled(proto: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    nodes = list(proto.graph.node)
    random.Random(seed).shuffle(nodes)
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    return made


@given(st.sampled_from(GRAPHS), st.integers(0, 1000))
def test_any_order_is_brought_into_one_that_runs(
    make: Callable[[], onnx.ModelProto], seed: int
) -> None:
    proto = make()
    mixed = shuffled(proto, seed)
    sort_nodes(mixed.graph)

    assert sorted(n.name for n in mixed.graph.node) == sorted(n.name for n in proto.graph.node)
    known = {v.name for v in (*mixed.graph.input, *mixed.graph.initializer)}
    for made in mixed.graph.node:
        assert known.issuperset(filter(None, made.input))
        known.update(made.output)
    onnx.checker.check_model(mixed)


@pytest.mark.parametrize("make", GRAPHS)
def test_what_is_in_order_is_left_as_it_is(make: Callable[[], onnx.ModelProto]) -> None:
    proto = make()
    before = proto.SerializeToString(deterministic=True)
    sort_nodes(proto.graph)
    assert proto.SerializeToString(deterministic=True) == before


def test_shuffled_file_loads_and_computes_the_same(tmp_path: Path) -> None:
    feeds = {"x": floats(1, 3, 8, 10)}
    model = loaded(shuffled(conv_net(), 1), tmp_path)
    np.testing.assert_allclose(run(model.proto, feeds)[0], run(conv_net(), feeds)[0], atol=1e-5)


def test_ring_is_refused(tmp_path: Path) -> None:
    nodes = [node("Add", ["x", "b"], ["a"], name="A"), node("Relu", ["a"], ["b"], name="B")]
    with pytest.raises(InputError, match="is no valid ONNX model"):
        loaded(net(nodes, {"x": [1]}, {"b": [1]}), tmp_path)
