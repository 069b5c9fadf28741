"""A measurement in a process of its own: CPU time, elapsed time, peak memory and its answer."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.inputs import ROOT


class ChildError(Exception):
    """A child ended with another status than 0; its last words are the message."""


@dataclass(frozen=True)
class Finished:
    """What a process cost from its start to its end, imports included, and what it answered.

    `peak_rss_bytes` is the kernel's VmHWM, which the process reads as its last act.
    """

    cpu_s: float
    wall_s: float
    peak_rss_bytes: int
    answer: dict[str, Any]


def run(
    process: str,
    arguments: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    python: str | Path = sys.executable,
) -> Finished:
    """Run `benchmarks.processes.PROCESS` with JSON arguments; ChildError when it fails."""
    command = [str(python), "-m", f"benchmarks.processes.{process}", json.dumps(dict(arguments))]
    variables = {**os.environ, **(environment or {})}
    started, used = time.perf_counter(), _children_cpu_s()
    child = subprocess.run(
        command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    wall_s, cpu_s = time.perf_counter() - started, _children_cpu_s() - used
    if child.returncode != 0:
        words = child.stderr.strip().splitlines()
        raise ChildError(f"{process}: {words[-1] if words else f'status {child.returncode}'}")
    answer = json.loads(child.stdout.strip().splitlines()[-1])
    return Finished(cpu_s, wall_s, answer.pop("peak_rss_bytes"), answer)


def _children_cpu_s() -> float:
    """User and system time of all children so far; they run one after the other."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
