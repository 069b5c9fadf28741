"""An ONNX file as a Model: checked, external data inlined, shapes fixed, simplified, named."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data

from edgeq.errors import InputError, raise_all
from edgeq.graph.model import Model
from edgeq.graph.simplify import simplify

MINIMUM_OPSET = 13
"""Per-channel QuantizeLinear and DequantizeLinear exist since opset 13."""
MAXIMUM_BYTES = 2**31 - 1
"""A protobuf message, and so an ONNX graph with its weights inlined, ends here."""


def load(path: Path, size: tuple[int, int] | None = None) -> Model:
    """Load a model and make it static and simple.

    `size` (height, width) fixes the spatial extents of an image input whose shape is dynamic.
    Raises InputError(s): no file, truncated or no ONNX, over 2 GiB, opset below 13, external data
    that is missing, cut short or outside the folder, dynamic shapes without a size.
    """
    proto = _parse(path)
    digest = hashlib.sha256(path.read_bytes())
    _inline(proto, path, digest)
    _check_opset(proto, path)
    _name_nodes(proto)
    _fix_shapes(proto, path, size)
    names = {node.name: node.op_type for node in proto.graph.node}
    try:
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as exc:
        raise InputError(str(path), f"is no valid ONNX model: {_first_line(exc)}", "") from exc
    simplified = simplify(proto, str(path))
    _name_nodes(simplified)
    return Model(path, simplified, digest.hexdigest(), names)


def _first_line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]


def _parse(path: Path) -> onnx.ModelProto:
    where = str(path)
    if not path.is_file():
        raise InputError(where, "does not exist", "check 'model:'")
    size = path.stat().st_size
    if size == 0:
        raise InputError(where, "is empty", "export the model again")
    if size > MAXIMUM_BYTES:
        what = f"has {size / 2**30:.1f} GiB; ONNX files end at 2 GiB"
        raise InputError(where, what, "quantize a smaller model")
    try:
        proto = onnx.load(where, load_external_data=False)
    except (DecodeError, ValueError, UnicodeDecodeError) as exc:
        what = f"is truncated or no ONNX file ({size} bytes)"
        raise InputError(where, what, "copy or export it again") from exc
    if not proto.graph.node:
        raise InputError(where, "holds no nodes", "is this an ONNX model? export it again")
    return proto


def _inline(proto: onnx.ModelProto, path: Path, digest: hashlib._Hash) -> None:
    folder = path.parent.resolve()
    problems: dict[str, InputError] = {}
    total = path.stat().st_size
    files: set[Path] = set()
    external = [tensor for tensor in _tensors(proto.graph) if uses_external_data(tensor)]
    for tensor in external:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        file = (folder / location).resolve()
        where = f"{path}: tensor '{tensor.name}'"
        if not location or not file.is_relative_to(folder) or file == folder:
            what = f"external data '{location}' leaves the folder of the model"
            problems[location] = InputError(where, what, "export it again, with data beside it")
        elif not file.is_file():
            what = f"external data '{location}' is missing"
            problems[location] = InputError(where, what, f"copy {location} beside {path.name}")
        else:
            files.add(file)
            end = int(entries.get("offset", 0)) + int(entries.get("length", 0))
            total += int(entries.get("length", 0)) or file.stat().st_size
            if end > file.stat().st_size:
                what = f"external data '{location}' ends at {file.stat().st_size} of {end} bytes"
                problems[location] = InputError(where, what, "it was cut short; copy it again")
    raise_all(list(problems.values()))
    if total > MAXIMUM_BYTES:
        what = f"has {total / 2**30:.1f} GiB with its external data; 2 GiB can be inlined"
        raise InputError(str(path), what, "quantize a smaller model")
    for file in sorted(files):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    for tensor in external:
        load_external_data_for_tensor(tensor, str(folder))
        tensor.data_location = onnx.TensorProto.DEFAULT
        del tensor.external_data[:]


def _tensors(graph: onnx.GraphProto) -> list[onnx.TensorProto]:
    found = list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            found += [attribute.t] if attribute.HasField("t") else []
            found += attribute.tensors
            found += _tensors(attribute.g) if attribute.HasField("g") else []
    return found


def _check_opset(proto: onnx.ModelProto, path: Path) -> None:
    opset = next((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), 0)
    if opset < MINIMUM_OPSET:
        what = f"has opset {opset}; quantization needs {MINIMUM_OPSET} or later"
        raise InputError(str(path), what, "export it with a later opset, such as 17")


def _name_nodes(proto: onnx.ModelProto) -> None:
    """Give a name to nodes without one, and make repeated names differ."""
    seen: set[str] = set()
    for index, node in enumerate(proto.graph.node):
        name = node.name or f"{node.op_type}_{index}"
        while name in seen:
            name = f"{name}_{index}"
        seen.add(name)
        node.name = name


def _fix_shapes(proto: onnx.ModelProto, path: Path, size: tuple[int, int] | None) -> None:
    initializers = {tensor.name for tensor in proto.graph.initializer}
    problems = []
    for value in proto.graph.input:
        if value.name in initializers:
            continue
        dims = value.type.tensor_type.shape.dim
        rank = len(dims)
        wanted: dict[int, int] = {0: 1} if rank == 4 else {}
        if rank in (3, 4):
            wanted[rank - 3] = wanted.get(rank - 3, 3)
            wanted |= {rank - 2: size[0], rank - 1: size[1]} if size else {}
        for axis, dim in enumerate(dims):
            if dim.HasField("dim_value") and dim.dim_value > 0:
                fixed = wanted.get(axis)
                if size and axis >= rank - 2 >= 1 and fixed and fixed != dim.dim_value:
                    what = f"input '{value.name}' takes {dim.dim_value} px on axis {axis}"
                    problems.append(
                        InputError(str(path), what, f"but 'preprocess: size' says {fixed}")
                    )
            elif axis in wanted:
                dim.dim_value = wanted[axis]
            else:
                what = f"input '{value.name}' has a dynamic extent on axis {axis}"
                problems.append(InputError(str(path), what, "say the size, such as 640x640"))
    raise_all(problems)
    for output in proto.graph.output:  # stale symbols; inferred again from the fixed input
        for dim in output.type.tensor_type.shape.dim:
            if re.search(r"\D", dim.dim_param or ""):
                dim.ClearField("value")
    del proto.graph.value_info[:]
