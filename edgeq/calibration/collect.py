"""The float pass: run the model over the images and count what its tensors hold."""

from __future__ import annotations

import contextlib
import ctypes
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.calibration.counting import Counter
from edgeq.errors import InputError
from edgeq.graph.model import Model
from edgeq.graph.session import errors_at, open_session

Floats = NDArray[np.float32]
Progress = Callable[[int], None]


class Tap:
    """A session of the model that stops at given tensors and hands them out.

    The tensors are written into buffers made once: ONNX Runtime's own results are copied on every
    run. Those whose shape only a run tells are such copies. What no given tensor depends on is not
    computed.
    """

    def __init__(self, model: Model, tensors: Sequence[str], threads: int) -> None:
        self._where = str(model.path)
        self._input, self._shape = next(iter(model.inputs.items()))
        self.names = [name for name in tensors if name != self._input]
        self._from_input = len(self.names) != len(tensors)
        static = [name for name in self.names if all(model.shapes[name])]
        self.buffers = {name: np.empty(model.shapes[name], np.float32) for name in static}
        self._open = [name for name in self.names if name not in self.buffers]
        if not self.names:
            return
        self._session = _session(model, self.names, threads)
        self._binding = self._session.io_binding()
        for name, buffer in self.buffers.items():
            address = buffer.ctypes.data
            self._binding.bind_output(name, "cpu", 0, np.float32, buffer.shape, address)

    def run(self, tensor: Floats) -> dict[str, Floats]:
        """The tensors' values for one input; the next run overwrites them."""
        tensor = np.ascontiguousarray(tensor).reshape(self._shape)
        if self.names:
            address = tensor.ctypes.data
            self._binding.bind_input(self._input, "cpu", 0, np.float32, tensor.shape, address)
            for name in self._open:  # the last run's would be too small for this one's
                self._binding.bind_output(name)
            with errors_at(self._where):
                self._session.run_with_iobinding(self._binding)
        found = {**self.buffers, **self._made()}
        return {**found, **({self._input: tensor} if self._from_input else {})}

    def _made(self) -> dict[str, Floats]:
        if not self._open:
            return {}
        made = self._binding.get_outputs()[len(self.buffers) :]
        return {name: value.numpy() for name, value in zip(self._open, made, strict=True)}


def count(
    model: Model,
    feeds_silu: dict[str, bool],
    images: Iterable[tuple[str, Floats]],
    threads: int,
    progress: Progress = lambda _: None,
) -> dict[str, Counter]:
    """Count the values of the tensors that `feeds_silu` names, over (name, input tensor) pairs.

    Raises InputError when a tensor holds NaN or infinity, with the image that made it.
    """
    counters = {name: Counter(watched) for name, watched in feeds_silu.items()}
    tap = Tap(model, list(counters), threads)
    for index, (image, tensor) in enumerate(images):
        for name, values in tap.run(tensor).items():
            if values.size and not counters[name].add(values):
                what = f"tensor '{name}' holds NaN or infinity"
                raise InputError(image, what, "the float model itself fails there; check it")
        progress(index + 1)
    del tap  # two thirds of the process, which what comes next need not be added to
    _release_heap()
    return counters


def extremes(
    model: Model, tensors: Sequence[str], images: Iterable[Floats], threads: int
) -> dict[str, tuple[float, float]]:
    """Minimum and maximum of tensors over some inputs."""
    found = dict.fromkeys(tensors, (np.inf, -np.inf))
    tap = Tap(model, tensors, threads)
    for tensor in images:
        for name, values in tap.run(tensor).items():
            low, high = found[name]
            if not values.size:
                continue
            found[name] = (min(low, float(values.min())), max(high, float(values.max())))
    return found


def _session(model: Model, outputs: Sequence[str], threads: int) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tapped.onnx"
        save_with(model, outputs, file)
        _release_heap()
        session = open_session(file, str(model.path), threads)
    _release_heap()
    return session


def save_with(model: Model, outputs: Sequence[str], file: Path) -> None:
    """Write the model with these tensors as its outputs, and its data in a file beside it."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    del proto.graph.output[:]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
    onnx.save(proto, str(file))


def _release_heap() -> None:
    """Give back what loading and optimizing left on the heap, where the C library can."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
