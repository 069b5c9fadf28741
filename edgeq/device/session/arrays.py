"""Arrays in a file from a device, read by what is in it and never by what it announces."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeq.device.session.parsing import garbled

_MOST_MEMBERS = 10_000
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    EOFError,
    KeyError,
    OSError,
    NotImplementedError,
    RuntimeError,
)
"""What the readers of .npz raise for a file that is none."""


def parsed_arrays(content: bytes, name: str, where: str) -> dict[str, NDArray[Any]]:
    """The numeric arrays of an .npz; DeviceError (garbled) names the member that is none.

    No array is bigger than what came of it.
    """
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > _MOST_MEMBERS:
                raise garbled(where, f"{name} has {len(members)} members")
            for member in members:
                if member.compress_type != zipfile.ZIP_STORED or member.file_size > len(content):
                    raise garbled(where, f"{name}: member {member.filename[:60]!r} is packed")
                key = member.filename.removesuffix(".npy")
                arrays[key] = _array(archive.read(member), f"{name}: {key[:60]!r}", where)
    except _UNREADABLE as exc:
        what = f"{name} cannot be read: {type(exc).__name__}: {str(exc)[:200]}"
        raise garbled(where, what) from exc
    return arrays


def _array(content: bytes, name: str, where: str) -> NDArray[Any]:
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise garbled(where, f"{name} is of a form that is not known")
    shape, is_fortran, dtype = _HEADERS[version](stream)
    if dtype.kind not in "biuf":
        raise garbled(where, f"{name} has elements of type {dtype}, which are no numbers")
    there = len(content) - stream.tell()
    if any(side < 0 for side in shape) or math.prod(shape) * dtype.itemsize != there:
        raise garbled(where, f"{name} says shape {str(shape)[:80]} of {dtype} in {there} bytes")
    if not there:
        return np.empty(shape, dtype)
    return np.frombuffer(stream.read(), dtype).reshape(shape, order="F" if is_fortran else "C")
