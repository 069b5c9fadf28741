"""The extents of a model's inputs made static: one image of three channels, of one size."""

from __future__ import annotations

import re
from pathlib import Path

import onnx

from edgeq.errors import InputError, raise_all

_LEAST_SIDE = 16


def _is_channels_last(shape: list[int]) -> bool:
    """Whether height, width and three channels, in this order; an open extent is 0.

    A feature map may have three columns: no image has as few rows as that.
    """
    *sides, channels = shape
    return channels == 3 and all(side == 0 or side >= _LEAST_SIDE for side in sides)


def _channels_last(value: onnx.ValueInfoProto, path: Path) -> InputError:
    dims = value.type.tensor_type.shape.dim
    shape = ", ".join(str(dim.dim_value or dim.dim_param or "?") for dim in dims)
    what = f"input '{value.name}' [{shape}] takes an image with its channels last (NHWC)"
    remedy = f"export it with channels first (tf2onnx: --inputs-as-nchw {value.name})"
    return InputError(str(path), what, remedy)


def fix_extents(proto: onnx.ModelProto, path: Path, size: tuple[int, int] | None) -> None:
    """Give every open extent of an input its number; InputError(s) where that is not known.

    `size` is (height, width) in pixels. Shapes that were inferred before are dropped.
    """
    initializers = {tensor.name for tensor in proto.graph.initializer}
    problems = []
    for value in proto.graph.input:
        if value.name in initializers:
            continue
        if not value.type.tensor_type.HasField("shape"):
            what = f"input '{value.name}' has no shape"
            problems.append(InputError(str(path), what, "export it with the shapes of its inputs"))
        dims = value.type.tensor_type.shape.dim
        rank = len(dims)
        if rank in (3, 4) and _is_channels_last([dim.dim_value for dim in dims][-3:]):
            problems.append(_channels_last(value, path))
            continue
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
