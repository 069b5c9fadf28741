"""The fingerprint of an engine: a hash over all that it was made from and for.

An engine fits no other GPU, TensorRT or release of the system; and the tactics in it were chosen
by measuring, so that another power mode asks for another engine.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..wire.job import BuildJob
    from .board import Board


def board_fields(board: Board, version: str) -> dict[str, Any]:
    """What the engine is made for; `version` is that of the TensorRT which builds it."""
    return {
        "tensorrt": version,
        "cuda_runtime": board.cuda_runtime,
        "l4t_release": board.l4t_release,
        "module_model": board.module_model,
        "gpu": board.gpu,
        "sm_count": board.sm_count,
        "compute_capability": board.compute_capability,
        "power_mode": board.power_mode,
    }


def engine_fields(artifact: str, model_sha256: str, job: BuildJob) -> dict[str, Any]:
    """What the engine is made from: the artifact's id, the model's hash, and the settings."""
    return {
        "artifact": artifact,
        "model_sha256": model_sha256,
        "precision": job.precision,
        "typing": job.typing,
        "builder": job.module,
        "workspace_bytes": job.workspace_bytes,
    }


def fingerprint(fields: dict[str, Any]) -> str:
    """The sha256 of the fields as JSON with sorted names."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
