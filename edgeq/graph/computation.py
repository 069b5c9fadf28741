"""Running graphs with Q/DQ in float arithmetic: no pair is fused, all else is optimized."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.graph.merging import Merged
from edgeq.graph.session import errors_at, open_session


class Computation:
    """A session of a merged graph that hands out the given tensors, some perhaps repeatedly."""

    def __init__(self, merged: Merged, tensors: Sequence[str], threads: int) -> None:
        self._tensors = tuple(tensors)
        self._fetched = list(dict.fromkeys(tensors))
        self._where = str(merged.model.path)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "merged.onnx"
            onnx.save(merged.proto(self._fetched), str(file))
            # Q/DQ stay as they are written, and constants behind them are folded.
            self._session = open_session(file, self._where, threads, fuse_qdq=False)
        self._input = self._session.get_inputs()[0]

    def run(self, tensor: NDArray[np.float32]) -> list[NDArray[Any]]:
        """The tensors for one image."""
        fed = np.ascontiguousarray(tensor).reshape(self._input.shape)
        with errors_at(self._where):
            found = self._session.run(self._fetched, {self._input.name: fed})
        by_name: dict[str, NDArray[Any]] = dict(zip(self._fetched, found, strict=True))
        return [by_name[name] for name in self._tensors]
