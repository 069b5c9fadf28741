"""Half precision made float32: int8 is made from that, and so are the figures it is held against.

Every value of float16 and bfloat16 is one of float32 as well, so no weight changes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgeq.graph.model import Model, inner_graphs

_HALF: dict[int, str] = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16"}
_TYPE_ATTRIBUTES = ("to", "dtype", "output_datatype", "stash_type")
"""Attributes that name an element type, such as Cast's."""


def widen(proto: onnx.ModelProto) -> str:
    """Make all that is half precision in a model float32; a note on what was, '' if nothing."""
    found: set[int] = set()
    inputs = [value.name for value in proto.graph.input if _element(value.type) in _HALF]
    weights = _graph(proto.graph, found)
    for function in proto.functions:
        weights += _nodes(function.node, found)
        _values(function.value_info, found)
    if not found:
        return ""
    types = " and ".join(sorted(_HALF[kind] for kind in found))
    what = [f"{weights} constants"] if weights else []
    what += [f"input '{name}'" for name in inputs]
    held = f" ({', '.join(what)})" if what else ""
    return f"the model is partly {types}{held}; edgeq made that float32, and int8 is made from it"


def drop_casts(model: Model) -> None:
    """Take out the Casts in front of outputs that nothing is left to do for, in place."""
    graph = model.proto.graph
    for index in reversed(range(len(graph.node))):
        node = graph.node[index]
        if node.op_type != "Cast" or node.output[0] not in model.outputs:
            continue
        source, made = node.input[0], node.output[0]
        maker, readers = model.producers.get(source), model.consumers.get(source, [])
        inside = any(inner_graphs(reader) for reader in readers)
        if maker is None or inside or source in model.outputs or not model.is_float(source):
            continue
        for reader in readers:
            reader.input[:] = [made if name == source else name for name in reader.input]
        maker.output[:] = [made if name == source else name for name in maker.output]
        del graph.node[index]


def _graph(graph: onnx.GraphProto, found: set[int]) -> int:
    """Widen a graph and those inside it; the number of constants that were half precision."""
    _values((*graph.input, *graph.output, *graph.value_info), found)
    widened = sum(_tensor(tensor, found) for tensor in graph.initializer)
    widened += sum(_tensor(tensor.values, found) for tensor in graph.sparse_initializer)
    return widened + _nodes(graph.node, found)


def _nodes(nodes: Iterable[onnx.NodeProto], found: set[int]) -> int:
    widened = 0
    for node in nodes:
        for attribute in node.attribute:
            if attribute.name in _TYPE_ATTRIBUTES and attribute.i in _HALF:
                found.add(attribute.i)
                attribute.i = TensorProto.FLOAT
            tensors = [attribute.t] if attribute.HasField("t") else []
            widened += sum(_tensor(tensor, found) for tensor in (*tensors, *attribute.tensors))
        widened += sum(_graph(graph, found) for graph in inner_graphs(node))
    return widened


def _tensor(tensor: onnx.TensorProto, found: set[int]) -> bool:
    if tensor.data_type not in _HALF:
        return False
    found.add(tensor.data_type)
    values = np.asarray(numpy_helper.to_array(tensor)).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return True


def _values(values: Iterable[onnx.ValueInfoProto], found: set[int]) -> None:
    for value in values:
        _type(value.type, found)


def _type(kind: onnx.TypeProto, found: set[int]) -> None:
    if kind.HasField("sequence_type"):
        _type(kind.sequence_type.elem_type, found)
    elif kind.HasField("optional_type"):
        _type(kind.optional_type.elem_type, found)
    elif _element(kind) in _HALF:
        found.add(_element(kind))
        kind.tensor_type.elem_type = TensorProto.FLOAT


def _element(kind: onnx.TypeProto) -> int:
    return int(kind.tensor_type.elem_type) if kind.HasField("tensor_type") else 0
