"""Which packages the device's Python has, without importing the heavy ones into this process."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .reading import Reader


# A module may come from any of several distributions, or from the system without metadata.
DISTRIBUTIONS = {
    "numpy": ("numpy",),
    "cv2": (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python-headless",
        "opencv-contrib-python",
    ),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "tensorrt": ("tensorrt",),
    "ai_edge_litert": ("ai-edge-litert",),
    "tflite_runtime": ("tflite-runtime",),
}
_IMPORT_TIMEOUT_S = 120
_VERSION = "import importlib, sys; print(importlib.import_module(sys.argv[1]).__version__)"
_PROVIDERS = "import onnxruntime; print(' '.join(onnxruntime.get_available_providers()))"


def package_versions(reader: Reader) -> dict[str, str | None]:
    """The version of every package of interest; None for one that is not installed."""
    return {module: _version(module, reader) for module in DISTRIBUTIONS}


def onnxruntime_providers(reader: Reader) -> list[str] | None:
    """What the installed ONNX Runtime can run on; None (and a note) when it cannot be imported."""
    text = _ask("onnxruntime_providers", reader, _PROVIDERS)
    return None if text is None else text.split()


def _version(module: str, reader: Reader) -> str | None:
    try:
        if find_spec(module) is None:
            return None
    except (ImportError, ValueError):
        return None
    for distribution in DISTRIBUTIONS[module]:
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return _ask(f"packages.{module}", reader, _VERSION, module)


def _ask(name: str, reader: Reader, program: str, *arguments: str) -> str | None:
    # In a process of its own: some builds crash on import on CPUs they do not know. Without
    # telemetry, as in `engine_onnxruntime`.
    command = [sys.executable, "-c", program, *arguments]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=_IMPORT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        reader.note(name, f"importing it in a process of its own failed ({exc})")
        return None
    if done.returncode < 0:
        reader.note(name, f"importing it ended with signal {-done.returncode}")
        return None
    if done.returncode > 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        reader.note(name, f"importing it failed: {' '.join(last)}")
        return None
    # Libraries may greet on stdout; the answer is the last line.
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if not lines:
        reader.note(name, "importing it worked, but it had nothing to say")
        return None
    return lines[-1]
