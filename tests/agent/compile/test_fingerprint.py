"""The fingerprint changes with everything that an engine depends on, and with nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeq.agent.compile.board import Board
from edgeq.agent.compile.fingerprint import board_fields, engine_fields, fingerprint
from edgeq.agent.wire.job import BuildJob

BOARD = Board(
    module="10.3.0",
    trtexec="/usr/src/tensorrt/bin/trtexec",
    cuda_runtime="12.6",
    gpu="Orin",
    sm_count=8,
    compute_capability="8.7",
    l4t_release="36.4.3",
    module_model="NVIDIA Jetson Orin Nano Developer Kit",
    power_mode="15W",
)
JOB = BuildJob(Path("r"), Path("s"), "int8", "weak", None, "tensorrt", 1 << 30, 3600.0, 0)


def key(
    board: Board = BOARD, job: BuildJob = JOB, version: str = "10.3.0", model: str = "m"
) -> str:
    return fingerprint({**engine_fields("a", model, job), **board_fields(board, version)})


@pytest.mark.parametrize(
    "changed",
    [
        {"cuda_runtime": "12.8"},
        {"gpu": "Orin Nano"},
        {"sm_count": 4},
        {"compute_capability": "7.2"},
        {"l4t_release": "36.4.4"},
        {"module_model": "NVIDIA Jetson AGX Orin"},
        {"power_mode": "MAXN"},
        {"power_mode": None},
    ],
)
def test_another_board_has_another_fingerprint(changed: Any) -> None:
    assert key(BOARD._replace(**changed)) != key()


@pytest.mark.parametrize(
    "changed",
    [
        {"precision": "fp16"},
        {"typing": "strong"},
        {"workspace_bytes": 1 << 29},
        {"module": "tensorrt_rtx"},
    ],
)
def test_other_settings_have_another_fingerprint(changed: Any) -> None:
    assert key(job=JOB._replace(**changed)) != key()


def test_another_model_and_version_have_another_fingerprint() -> None:
    assert len({key(), key(model="n"), key(version="10.3.1")}) == 3


def test_what_makes_no_difference_to_the_engine_is_left_out() -> None:
    assert key(BOARD._replace(trtexec=None, module=None)) == key()
    other = JOB._replace(release=Path("x"), root=Path("y"), timeout_s=1.0, reserve_bytes=5)
    assert key(job=other) == key()


def test_the_order_of_fields_makes_no_difference() -> None:
    assert fingerprint({"a": 1, "b": None}) == fingerprint({"b": None, "a": 1})
    assert len(fingerprint({})) == 64
