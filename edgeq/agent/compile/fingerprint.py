"""The fingerprint of an engine: a hash over all that it was made from and for.

An engine fits no other GPU, TensorRT or release of the system; and the tactics in it were chosen
by measuring, so that another power mode asks for another engine.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from ..store.engines import ANEW

if TYPE_CHECKING:
    from ..wire.job import BuildJob
    from .board import Board


_OF_BOARD = (
    "cuda_runtime",
    "l4t_release",
    "module_model",
    "gpu",
    "sm_count",
    "compute_capability",
    "power_mode",
)


def board_fields(board: Board, version: str) -> dict[str, Any]:
    """What the engine is made for; `version` is that of the TensorRT which builds it."""
    return {"tensorrt": version, **{name: getattr(board, name) for name in _OF_BOARD}}


def timings_key(fields: dict[str, Any]) -> str:
    """What names the timing cache that an engine of these fields was built with.

    It is of the board and its TensorRT: what was measured serves every model.
    """
    return fingerprint({name: fields.get(name) for name in ("tensorrt", *_OF_BOARD)})


def engine_fields(artifact: str, model_sha256: str, job: BuildJob) -> dict[str, Any]:
    """What the engine is made from: the artifact's id, the model's hash, and the settings."""
    return {
        "artifact": artifact,
        "model_sha256": model_sha256,
        "precision": job.precision,
        "typing": job.typing,
        "builder": job.module,
        "workspace_bytes": job.workspace_bytes,
        **({ANEW: job.anew} if job.anew else {}),
    }


def fingerprint(fields: dict[str, Any]) -> str:
    """The sha256 of the fields as JSON with sorted names."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
