"""A program that says whether the next wave may begin."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from edgeq.records.rollout import RolloutStatus


def refusal(command: Sequence[str], status: RolloutStatus) -> str:
    """Why it does not say yes; empty where it does. It gets the status as JSON on its input."""
    told = status.model_dump_json()
    try:
        done = subprocess.run(list(command), input=told, text=True, check=False)
    except OSError as exc:
        return f"{command[0]} cannot be started: {exc.strerror}"
    return f"{command[0]} ended with {done.returncode}" if done.returncode else ""
