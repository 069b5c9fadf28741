"""A Q/DQ graph run layer by layer over several images at once.

Each layer can be changed before what lies behind it is computed, so that all layers are corrected,
each for what the corrected ones before it leave, in one pass.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgeq.graph.model import outer_names
from edgeq.graph.session import errors_at, open_session

Floats = NDArray[np.float32]
Values = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Stop:
    """A layer whose inputs are known (one an image), with its constants as the graph has them."""

    node: onnx.NodeProto
    inputs: tuple[Floats, ...]
    weight: Floats
    bias: Floats | None


class Walk:
    """The way from layer to layer; what no layer depends on is not computed.

    At each stop the caller says with `go_on` what the layer makes of its inputs. Of every image
    the tensors are held that are still to be read. Raises InputError at `where` for a graph that
    ONNX Runtime refuses.
    """

    def __init__(
        self,
        content: bytes,
        where: str,
        layers: Collection[str],
        images: Sequence[Floats],
        threads: int,
    ) -> None:
        self._where = where
        self._proto = onnx.load_model_from_string(content)
        self._threads = threads
        self._layers = layers
        self._constants = {tensor.name: tensor for tensor in self._proto.graph.initializer}
        self._nodes = _needed(self._proto, layers)
        self._last_read = {
            name: index for index, node in enumerate(self._nodes) for name in _reads(node)
        }
        name = self._proto.graph.input[0].name
        self._images: list[Values] = [{name: image} for image in images]

    def __iter__(self) -> Iterator[Stop]:
        begin = 0
        for end, node in enumerate(self._nodes):
            if node.name in self._layers:
                self._advance(begin, end)
                yield self._stop(node)
                self._forget(end)
                begin = end + 1

    def outputs(self, stop: Stop, weight: Floats) -> Iterator[Floats]:
        """What a layer makes of its inputs with a weight, image by image."""
        node = onnx.NodeProto()
        node.CopyFrom(stop.node)
        constants = {"weight": weight} | ({} if stop.bias is None else {"bias": stop.bias})
        del node.input[:]
        node.input.extend(["input", *constants])
        session = self._session([node], {"input": stop.inputs[0], **constants}, node.output)
        for values in stop.inputs:
            feeds = {"input": values, **constants}
            with errors_at(self._where):
                [output] = session.run(None, feeds)
            yield output

    def go_on(self, stop: Stop, outputs: Sequence[Floats]) -> None:
        """Continue with these outputs of a layer."""
        for values, output in zip(self._images, outputs, strict=True):
            values[stop.node.output[0]] = output

    def _stop(self, node: onnx.NodeProto) -> Stop:
        inputs = tuple(values[node.input[0]] for values in self._images)
        has_bias = len(node.input) > 2 and bool(node.input[2])
        bias = self._constant(node.input[2]) if has_bias else None
        return Stop(node, inputs, self._constant(node.input[1]), bias)

    def _constant(self, name: str) -> Floats:
        if name in self._constants:
            return np.asarray(numpy_helper.to_array(self._constants[name]), np.float32)
        return np.asarray(self._images[0][name], np.float32)

    def _advance(self, begin: int, end: int) -> None:
        """Run the nodes up to the layer `end`."""
        nodes = self._nodes[begin:end]
        made = [name for node in nodes for name in node.output if name]
        wanted = [name for name in made if self._last_read.get(name, -1) >= end]
        if wanted:
            read = {name for node in nodes for name in _reads(node)} - {*made}
            fed = {name: self._images[0][name] for name in read if name in self._images[0]}
            session = self._session(nodes, fed, wanted)
            for values in self._images:
                feeds = {name: values[name] for name in fed}
                with errors_at(self._where):
                    found = session.run(wanted, feeds)
                values.update(zip(wanted, found, strict=True))
        self._forget(end - 1)

    def _forget(self, done: int) -> None:
        for values in self._images:
            for name in [name for name in values if self._last_read.get(name, -1) <= done]:
                del values[name]

    def _session(self, nodes: Sequence[onnx.NodeProto], fed: Values, outputs: Sequence[str]) -> Any:
        constants = {name for node in nodes for name in _reads(node)} & {*self._constants}
        graph = helper.make_graph(
            nodes,
            "part",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(v.dtype), None)
                for name, v in fed.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in outputs],
            [self._constants[name] for name in sorted(constants)],
        )
        part = helper.make_model(
            graph, opset_imports=self._proto.opset_import, ir_version=self._proto.ir_version
        )
        content = part.SerializeToString()
        # Disabled: what the plan means, not what kernels make of it.
        return open_session(content, self._where, self._threads, "disabled")


def _reads(node: onnx.NodeProto) -> list[str]:
    return [name for name in (*node.input, *outer_names(node)) if name]


def _needed(proto: onnx.ModelProto, layers: Collection[str]) -> list[onnx.NodeProto]:
    """The nodes that layers depend on, and these, in execution order."""
    found, wanted = [], set()
    for node in reversed(proto.graph.node):
        if node.name in layers or any(name in wanted for name in node.output):
            found.append(node)
            wanted.update(_reads(node))
    return found[::-1]
