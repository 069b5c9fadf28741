"""An ONNX file as a Model: checked, external data inlined, shapes fixed, simplified, named."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import onnx
from google.protobuf.message import DecodeError
from onnx.external_data_helper import uses_external_data

from edgeq import reading
from edgeq.errors import InputError, Problems, raise_all
from edgeq.graph.extents import fix_extents
from edgeq.graph.model import Model, outer_names
from edgeq.graph.order import sort_nodes
from edgeq.graph.simplify import simplify
from edgeq.graph.widening import drop_casts, widen

MINIMUM_OPSET = 13
"""Per-channel QuantizeLinear and DequantizeLinear exist since opset 13."""
MAXIMUM_BYTES = 2**31 - 1
"""A protobuf message, and so an ONNX graph with its weights inlined, ends here."""


_QUANTIZED = re.compile(
    "QuantizeLinear|DequantizeLinear|DynamicQuantize|^QLinear|^QGemm$|^QAttention$|^QMoE$"
    "|^QEmbedLayer|Integer|NBits$|^QOrdered|FakeQuant"
)
"""Operators, ONNX's own and ONNX Runtime's, of what was quantized already."""


def load(path: Path, size: tuple[int, int] | None = None, without: Collection[str] = ()) -> Model:
    """Load a model and make it static and simple.

    `size` (height, width) fixes the spatial extents of an image input whose shape is dynamic, and
    `without` names outputs that are left out with all that leads to them alone. Raises
    InputError(s): no file, truncated or no ONNX, over 2 GiB, opset below 13, external data that is
    missing, cut short or outside the folder, dynamic shapes without a size, quantized already.
    """
    content = _content(path)
    digest = hashlib.sha256(content)
    proto = _parse(content, path)
    _inline(proto, path, digest)
    _check_data(proto.graph, path)
    _check_opset(proto, path)
    _name_nodes(proto)
    sort_nodes(proto.graph)
    _leave_out(proto, without)
    fix_extents(proto, path, size)
    names = {node.name: node.op_type for node in proto.graph.node}
    _check(proto, path)
    _fix_constants(proto)
    note = widen(proto)
    simplified = simplify(proto, str(path))
    _refuse_quantized(simplified, path)
    _name_nodes(simplified)
    model = Model(path, simplified, digest.hexdigest(), names, (note,) if note else ())
    if note:
        drop_casts(model)
        model = replace(model)  # nothing that was looked up before
    return model


def _check(proto: onnx.ModelProto, path: Path) -> None:
    """InputError for what ONNX's checker refuses, but for outputs that do not say their shape."""
    outputs = [onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in proto.graph.output]
    shaped = [output for output in outputs if output.type.tensor_type.HasField("shape")]
    del proto.graph.output[:]
    proto.graph.output.extend(shaped)
    try:
        onnx.checker.check_model(proto)
    except (onnx.checker.ValidationError, UnicodeDecodeError) as exc:
        raise InputError(str(path), f"is no valid ONNX model: {_first_line(exc)}", "") from exc
    del proto.graph.output[:]
    proto.graph.output.extend(outputs)


def _leave_out(proto: onnx.ModelProto, without: Collection[str]) -> None:
    for index in reversed(range(len(proto.graph.output))):
        if proto.graph.output[index].name in without:
            del proto.graph.output[index]
    wanted = {output.name for output in proto.graph.output}
    for index in reversed(range(len(proto.graph.node) if without else 0)):
        node = proto.graph.node[index]
        if wanted.isdisjoint(node.output):
            del proto.graph.node[index]
        else:
            wanted.update(node.input, outer_names(node))


def _fix_constants(proto: onnx.ModelProto) -> None:
    """Weights that are listed as inputs might be fed; here they never are, and so can be folded."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    for index in reversed(range(len(proto.graph.input))):
        if proto.graph.input[index].name in constants:
            del proto.graph.input[index]


def _refuse_quantized(proto: onnx.ModelProto, path: Path) -> None:
    """InputError where there is more than weights, which were folded, that came as integers."""
    types = (node.op_type for node in proto.graph.node)
    found = Counter(name for name in types if _QUANTIZED.search(name))
    if found:
        counts = ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
        remedy = "name the float model that it was made from ('edgeq lint' reads this one)"
        raise InputError(str(path), f"is quantized already ({counts})", remedy)


def read(path: Path) -> onnx.ModelProto:
    """A model as it stands in its file, external data inlined. Raises InputError(s) as `load`."""
    proto = _parse(_content(path), path)
    _inline(proto, path, hashlib.sha256())
    _check_data(proto.graph, path)
    return proto


def _first_line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]


def _content(path: Path) -> bytes:
    where = str(path)
    if reason := reading.why_no_file(path):
        raise InputError(where, reason, "name an ONNX file")
    size = path.stat().st_size
    if size > MAXIMUM_BYTES:
        what = f"has {size / 2**30:.1f} GiB; ONNX files end at 2 GiB"
        raise InputError(where, what, "quantize a smaller model")
    content = reading.content(path, MAXIMUM_BYTES)
    if not content:
        raise InputError(where, "is empty", "export the model again")
    return content


def _parse(content: bytes, path: Path) -> onnx.ModelProto:
    try:
        proto = onnx.load_model_from_string(content)
    except (DecodeError, UnicodeDecodeError) as exc:
        what = f"is truncated or no ONNX file ({len(content)} bytes)"
        raise InputError(str(path), what, "copy or export it again") from exc
    if not proto.graph.node:
        raise InputError(str(path), "holds no nodes", "is this an ONNX model? export it again")
    _check_names(proto.graph, path)
    return proto


def _check_names(graph: onnx.GraphProto, path: Path) -> None:
    """InputError for names that are no text; protobuf gives them as bytes."""
    names = [named.name for named in (*graph.input, *graph.output, *graph.initializer)]
    for node in graph.node:
        names += [node.name, node.op_type, node.domain, *node.input, *node.output]
        for attribute in node.attribute:
            names.append(attribute.name)
            for subgraph in (attribute.g, *attribute.graphs):
                _check_names(subgraph, path)
    wrong = next((name for name in names if isinstance(name, bytes)), None)
    if wrong is not None:
        what = f"has a name that is not UTF-8 text: {wrong[:60]!r}"
        raise InputError(str(path), what, "export it again")


def _inline(proto: onnx.ModelProto, path: Path, digest: hashlib._Hash) -> None:
    external = [tensor for tensor in _tensors(proto.graph) if uses_external_data(tensor)]
    problems = Problems()
    pieces = [problems.attempt(partial(_piece, tensor, path)) for tensor in external]
    unique = {p.what: p for p in reversed(problems.found)}  # one file, one message
    raise_all(list(unique.values()))
    total = path.stat().st_size + sum(piece.length for piece in pieces if piece)
    if total > MAXIMUM_BYTES:
        what = f"has {total / 2**30:.1f} GiB with its external data; 2 GiB can be inlined"
        raise InputError(str(path), what, "quantize a smaller model")
    for file in sorted({piece.file for piece in pieces if piece}):
        content = memoryview(reading.content(file, MAXIMUM_BYTES))
        digest.update(hashlib.sha256(content).digest())
        for tensor, piece in zip(external, pieces, strict=True):
            if piece and piece.file == file:
                tensor.raw_data = bytes(content[piece.offset : piece.offset + piece.length])
    for tensor in external:
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


class _Piece(NamedTuple):
    """Where in which file the data of a tensor lies."""

    file: Path
    offset: int
    length: int


def _piece(tensor: onnx.TensorProto, path: Path) -> _Piece:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location, folder = entries.get("location", ""), path.parent.resolve()
    file = (folder / location.replace("\0", "")).resolve()
    where, named = f"{path}: tensor '{tensor.name}'", f"external data '{location}'"
    if not location or not file.is_relative_to(folder) or file == folder:
        what = f"{named} leaves the folder of the model"
        raise InputError(where, what, "export it again, with data beside it")
    if not file.is_file():
        lacking = "is no regular file" if file.exists() else "is missing"
        raise InputError(where, f"{named} {lacking}", f"copy {location} beside {path.name}")
    size = file.stat().st_size
    try:
        offset = int(entries.get("offset", 0))
        length = int(entries.get("length", size - offset))
    except ValueError as exc:
        what = f"{named} has an offset or a length that is no number"
        raise InputError(where, what, "export it again") from exc
    if offset < 0 or length < 0 or offset + length > size:
        what = f"{named} has {size} bytes, of which {offset} to {offset + length} are wanted"
        raise InputError(where, what, "it was cut short; copy it again")
    return _Piece(file, offset, length)


def _check_data(graph: onnx.GraphProto, path: Path) -> None:
    """InputError(s) for constants whose bytes are not as many as their shape and type say."""
    problems = []
    for tensor in _tensors(graph):
        try:
            onnx.numpy_helper.to_array(tensor)
        except (ValueError, TypeError, LookupError, ArithmeticError) as exc:
            what = f"its data does not fit its shape {list(tensor.dims)}: {_first_line(exc)}"
            where = f"{path}: tensor '{tensor.name}'"
            problems.append(InputError(where, what, "copy or export it again"))
    raise_all(problems)


def _tensors(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    found = list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            found += [attribute.t] if attribute.HasField("t") else []
            found += attribute.tensors
            for subgraph in (attribute.g, *attribute.graphs):
                found += _tensors(subgraph)
    return found


def _check_opset(proto: onnx.ModelProto, path: Path) -> None:
    opset = next((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), 0)
    if opset < MINIMUM_OPSET:
        what = f"has opset {opset}; quantization needs {MINIMUM_OPSET} or later"
        raise InputError(str(path), what, "export it with a later opset, such as 17")


def _name_nodes(proto: onnx.ModelProto) -> None:
    """Give a name to nodes without one, and make repeated names differ."""
    given = {node.name for node in proto.graph.node}
    seen: set[str] = set()
    for index, node in enumerate(proto.graph.node):
        if not node.name or node.name in seen:
            name = node.name or f"{node.op_type}_{index}"
            while name in given:
                name = f"{name}_{index}"
            node.name = name
            given.add(name)
        seen.add(node.name)
