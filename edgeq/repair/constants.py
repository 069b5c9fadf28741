"""A model with other constants: names of nodes and tensors and all shapes stay what they were."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgeq.graph.model import Model

Floats = NDArray[np.float32]
Constants = Mapping[tuple[str, int], Floats]
"""By node and index of its input; an input that the node does not have yet is added."""


def with_constants(model: Model, constants: Constants, reason: str) -> Model:
    """The model with these constants; its hash is made of the model's own and the reason.

    A constant that is read elsewhere too stays there what it was.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    nodes = {node.name: node for node in proto.graph.node}
    tensors = {tensor.name: tensor for tensor in proto.graph.initializer}
    taken = {*model.shapes, *model.producers, *model.consumers}
    for (name, index), value in constants.items():
        node = nodes[name]
        source = node.input[index] if len(node.input) > index else ""
        if source and is_own(model, source):
            tensors[source].CopyFrom(numpy_helper.from_array(value, source))
            continue
        added = f"{name}/{index}"
        while added in taken:
            added += "_"
        taken.add(added)
        node.input.extend([""] * (index + 1 - len(node.input)))
        node.input[index] = added
        proto.graph.initializer.append(numpy_helper.from_array(value, added))
    digest = hashlib.sha256(f"{model.sha256} {reason}".encode()).hexdigest()
    return replace(model, proto=proto, sha256=digest)


def is_own(model: Model, tensor: str) -> bool:
    """Whether a constant is read by one input of one node alone."""
    readers = model.consumers.get(tensor, [])
    reads = sum(name == tensor for node in readers for name in node.input)
    return len(readers) == 1 and reads == 1 and tensor not in model.outputs


def encoded(constants: Constants, about: Mapping[str, Any]) -> bytes:
    """Constants, and what is to be known of them, as they are kept."""
    described = json.dumps({"inputs": [list(key) for key in constants], "about": dict(about)})
    content = io.BytesIO()
    np.savez(content, np.array(described), *constants.values())
    return content.getvalue()


def decoded(content: bytes) -> tuple[dict[tuple[str, int], Floats], dict[str, Any]]:
    """What `encoded` was given."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        described = json.loads(str(stored["arr_0"]))
        keys = [(str(name), int(index)) for name, index in described["inputs"]]
        values = [np.asarray(stored[f"arr_{i + 1}"], np.float32) for i in range(len(keys))]
    return dict(zip(keys, values, strict=True)), described["about"]
