"""The second way to an engine: NVIDIA's program trtexec, where the Python module is missing."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ENGINE, MISSING_ENGINE, AgentError
from .builder import FLAGS

if TYPE_CHECKING:
    from pathlib import Path

    from ..wire.job import EngineJob

_TIMEOUT_S = 60.0


class Trtexec(NamedTuple):
    """The program, TensorRT's version as it tells it (8502, 100300), and the options it knows."""

    path: str
    version: str | None
    options: frozenset[str]


def examine(path: str) -> Trtexec:
    """Ask the program what it can do; AgentError (missing-engine) when it does not run."""
    try:
        done = subprocess.run(
            [path, "--help"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        remedy = "install TensorRT again: sudo apt install --reinstall libnvinfer-bin"
        raise AgentError(MISSING_ENGINE, path, f"does not run ({exc})", remedy) from exc
    return parse_help(path, done.stdout.decode("utf-8", "replace"))


def parse_help(path: str, text: str) -> Trtexec:
    """Version and options in what `trtexec --help` prints."""
    version = re.search(r"\[TensorRT v(\d+)\]", text)
    options = re.findall(r"^\s+(--\w+)", text, re.M)
    return Trtexec(path, version.group(1) if version else None, frozenset(options))


def flags(program: Trtexec, job: EngineJob) -> list[str]:
    """The options for precision and typing; AgentError (engine) where it has none for them."""
    precisions = [f"--{name.lower()}" for name in FLAGS[job.precision]]
    if job.typing == "weak":
        if not program.options.issuperset(precisions):
            what = f"this trtexec knows no {' and '.join(precisions)}"
            remedy = "build with typing 'strong', from a model whose tensors have their types"
            raise AgentError(ENGINE, program.path, what, remedy)
        return precisions
    if "--stronglyTyped" in program.options:
        return ["--stronglyTyped"]
    if "--fp16" in program.options:
        what = "this trtexec knows no --stronglyTyped"
        raise AgentError(ENGINE, program.path, what, "build with typing 'weak'")
    # Without flags for precision there is nothing else than strong typing.
    return []


def command(program: Trtexec, job: EngineJob, layers: Path) -> list[str]:
    """The whole command; the engine goes to `job.plan`, what its layers became to `layers`."""
    # 8.5 has --buildOnly, 10 the other.
    without_run = [o for o in ("--skipInference", "--buildOnly") if o in program.options]
    return [
        program.path,
        f"--onnx={job.model}",
        f"--saveEngine={job.plan}",
        *flags(program, job),
        f"--memPoolSize=workspace:{job.workspace_bytes >> 20}",
        "--profilingVerbosity=detailed",
        f"--timingCacheFile={job.timing_cache}",
        f"--exportLayerInfo={layers}",
        *without_run[:1],
    ]
