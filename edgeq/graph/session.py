"""Running a graph in ONNX Runtime on this machine: one set of options, one conversion of errors.

What runs here is looked at tensor by tensor, with numpy at work between two runs. The agent, which
measures, opens its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from edgeq.errors import InputError, require

Optimization = Literal["all", "basic", "disabled"]

_LEVELS = {"all": "ORT_ENABLE_ALL", "basic": "ORT_ENABLE_BASIC", "disabled": "ORT_DISABLE_ALL"}
_SILENT = 4
"""Log nothing but the end of the process: what goes wrong is raised."""


def open_session(
    model: Path | bytes,
    where: str,
    threads: int = 0,
    optimization: Optimization = "all",
    *,
    fuse_qdq: bool = True,
    left_out: Sequence[str] = (),
    optimized: Path | None = None,
) -> Any:
    """An `onnxruntime.InferenceSession` on the CPU.

    A file is needed no longer when this returns. `threads` 0 is one a core. Without `fuse_qdq`
    Q/DQ pairs are computed as they are written, in float. `left_out` names optimizations that are
    not made, `optimized` a file for the graph as it came out of them. Raises InputError at `where`
    for what ONNX Runtime refuses.
    """
    ort = require("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = threads
    options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, _LEVELS[optimization])
    # A pattern would reserve the sum of all intermediates at once, a sixth of the whole memory.
    options.enable_mem_pattern = False
    # Threads that wait for work at full speed would compete with what is computed between two runs.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if not fuse_qdq:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    with errors_at(where, "load"):
        return ort.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=list(left_out),
        )


@contextmanager
def errors_at(where: str, verb: Literal["load", "run"] = "run") -> Iterator[None]:
    """Whatever ONNX Runtime raises in the block, as an InputError at `where` with its first line.

    The block should hold nothing but the call.
    """
    try:
        yield
    except Exception as exc:  # ONNX Runtime raises a dozen types of its own
        reason = next(iter(str(exc).strip().splitlines()), type(exc).__name__)
        raise InputError(where, f"ONNX Runtime cannot {verb} it: {reason}", "") from exc
