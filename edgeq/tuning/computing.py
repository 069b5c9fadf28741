"""Running graphs with Q/DQ in float arithmetic: no pair is fused, all else is optimized."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeq.errors import require
from edgeq.tuning.merging import Merged


class Computation:
    """A session of a merged graph that hands out the given tensors, some perhaps repeatedly."""

    def __init__(self, merged: Merged, tensors: Sequence[str], threads: int) -> None:
        self._tensors = tuple(tensors)
        self._fetched = list(dict.fromkeys(tensors))
        ort = require("onnxruntime")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # Q/DQ stay as they are written, and constants behind them are folded.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        # What is scored between two runs would compete with threads that wait for work.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        # A pattern would reserve the sum of all intermediates at once.
        options.enable_mem_pattern = False
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "merged.onnx"
            onnx.save(merged.proto(self._fetched), str(file))
            self._session = ort.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        self._input = self._session.get_inputs()[0]

    def run(self, tensor: NDArray[np.float32]) -> list[NDArray[Any]]:
        """The tensors for one image."""
        fed = np.ascontiguousarray(tensor).reshape(self._input.shape)
        found = self._session.run(self._fetched, {self._input.name: fed})
        by_name: dict[str, NDArray[Any]] = dict(zip(self._fetched, found, strict=True))
        return [by_name[name] for name in self._tensors]
