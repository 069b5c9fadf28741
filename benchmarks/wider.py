"""Models that do the same and cost a little more: what a comparison has to find."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import ModelProto, numpy_helper


def widened(model: ModelProto, layer: str, channels: int) -> ModelProto:
    """A model whose convolution `layer` has more output channels, which nobody looks at.

    What reads it is widened by as many input channels of weight 0, so that all outputs stay.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    nodes = {node.name: node for node in graph.node}
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    first = nodes[layer]
    assert first.op_type == "Conv" and not any(
        a.name == "group" and a.i > 1 for a in first.attribute
    )
    weight = numpy_helper.to_array(tensors[first.input[1]])
    drawn = np.random.default_rng(0).standard_normal((channels, *weight.shape[1:]))
    more = drawn.astype(np.float32) * np.float32(np.abs(weight).mean() / 10)
    _replace(tensors[first.input[1]], np.concatenate([weight, more]))
    bias = numpy_helper.to_array(tensors[first.input[2]])
    _replace(tensors[first.input[2]], np.concatenate([bias, np.zeros(channels, np.float32)]))
    for reader in _readers(graph, first.output[0]):
        kernel = numpy_helper.to_array(tensors[reader.input[1]])
        shape = (kernel.shape[0], channels, *kernel.shape[2:])
        _replace(
            tensors[reader.input[1]],
            np.concatenate([kernel, np.zeros(shape, np.float32)], axis=1),
        )
    del graph.value_info[:]
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(changed, strict_mode=True))
    return changed


def _readers(graph: onnx.GraphProto, name: str) -> list[onnx.NodeProto]:
    """The convolutions that read a tensor, or its SiLU."""
    found = []
    for node in graph.node:
        if name not in node.input:
            continue
        if node.op_type == "Conv":
            assert node.input[0] == name
            found.append(node)
        else:
            assert node.op_type in ("Sigmoid", "Mul"), f"{node.name} reads the widened layer"
            found += [] if node.op_type == "Sigmoid" else _readers(graph, node.output[0])
    return found


def _replace(tensor: onnx.TensorProto, value: np.ndarray) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), tensor.name))
