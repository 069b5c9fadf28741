"""Which packages the device's Python has, without importing the heavy ones into this process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Callable, Iterator, NamedTuple, Sequence, Union

if TYPE_CHECKING:
    from .reading import Reader
    from .trials import Trials


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
# What jobs import of each module at once; that files lie there says too little of them.
_TRIED = {
    "numpy": "numpy",
    "cv2": "cv2",
    "onnxruntime": "onnxruntime",
    "ai_edge_litert": "ai_edge_litert.interpreter",
    "tflite_runtime": "tflite_runtime.interpreter",
}
_IMPORT_TIMEOUT_S = 120
_VERSION = "import importlib, sys; print(importlib.import_module(sys.argv[1]).__version__)"
# Libraries may greet on stdout. A line a module, as the next one may crash all. The model is an
# empty one: tflite-runtime is imported with any numpy, and fails at the first model with a newer.
_TRY = """
import base64, importlib, json, os, sys
MODEL = (
    "GAAAAFRGTDMAAA4AFAAQAAwACAAAAAQADgAAABAAAAAcAAAAUAAAAAMAAAABAAAACAAAAAQABAAEAAAAAQAAABAAAAAM"
    "ABQAEAAMAAgABAAMAAAAEAAAABAAAAAQAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for name in sys.argv[1:]:
    try:
        part = importlib.import_module(name)
        module = sys.modules[name.split(".")[0]]
        found = {"version": getattr(module, "__version__", None)}
        if name == "onnxruntime":
            found["providers"] = list(module.get_available_providers())
        if name.endswith(".interpreter"):
            part.Interpreter(model_content=base64.b64decode(MODEL))
    except Exception as exc:
        # What the C code behind it raised.
        exc = (isinstance(exc, SystemError) and exc.__cause__) or exc
        found = {"problem": "%s: %s" % (type(exc).__name__, exc)}
    print(json.dumps([name, found], default=str), file=answers, flush=True)
"""


class Packages(NamedTuple):
    """Versions of modules, None (with a note) where they cannot be used; what ORT can run on."""

    versions: dict[str, str | None]
    providers: list[str] | None


@contextlib.contextmanager
def looked_for(
    modules: Sequence[str] = (), trials: Trials | None = None
) -> Iterator[Callable[[Reader], Packages]]:
    """Look for the packages that are asked for, or for every one that edgeq may use.

    What jobs import is tried, in another process, while this one does other work: importing takes
    a slow board seconds. What is given waits for it; the process does not outlive the block. What
    `trials` know is not tried again.
    """
    names = list(dict.fromkeys(modules)) or list(DISTRIBUTIONS)
    tried = [name for name in names if name in _TRIED or name not in DISTRIBUTIONS]
    there = [name for name in tried if _is_there(name)]
    kept = trials.of(there) if trials is not None else None
    known = kept.known() if kept is not None else None
    trial = _start_trial(there) if there and known is None else None

    def finish(reader: Reader) -> Packages:
        found = _imported(there, trial, reader) if known is None else known
        if kept is not None and known is None:
            kept.keep(found)
        versions = {name: _usable(name, found, reader) for name in names}
        providers = found.get("onnxruntime", {}).get("providers")
        return Packages(versions, None if providers is None else [str(name) for name in providers])

    try:
        yield finish
    finally:
        if trial is not None and not isinstance(trial, OSError) and trial.returncode is None:
            trial.kill()
            trial.communicate()


def package_version(module: str, reader: Reader) -> str | None:
    """The version of one package; None (and a note, if it is broken) where it cannot be used."""
    if not _is_there(module):
        return None
    return _version_of_files(module) or _ask(f"packages.{module}", reader, _VERSION, module)


def _usable(module: str, found: dict[str, dict[str, Any]], reader: Reader) -> str | None:
    """The version of a package, unless it was tried and cannot be imported."""
    if module in DISTRIBUTIONS and module not in _TRIED:
        return package_version(module, reader)
    if module not in found:
        return None
    version = _version_of_files(module) or found[module]["version"]
    if version is None:
        reader.note(f"packages.{module}", "importing it worked, but it does not tell its version")
    return None if version is None else str(version)


def _imported(
    modules: list[str], trial: _Started | None, reader: Reader
) -> dict[str, dict[str, Any]]:
    """What those that can be imported say of themselves; the others are noted."""
    found: dict[str, dict[str, Any]] = {}
    left = list(modules)
    while left:
        trial = trial or _start_trial(left)
        done = _finished(f"packages.{left[0]}", reader, trial, len(left))
        trial = None
        lines = [] if done is None else done.stdout.decode("utf-8", "replace").splitlines()
        for tried, answer in map(json.loads, lines):
            name = tried.split(".")[0]
            left.remove(name)
            if "problem" in answer:
                last = answer["problem"].strip().splitlines()[-1][:300]
                reader.note(f"packages.{name}", f"importing it failed: {last}")
            else:
                found[name] = answer
        if left:
            # It took the process with it; what comes behind it gets another.
            if done is not None:
                ended = done.returncode
                how = f"signal {-ended}" if ended < 0 else f"status {ended}"
                reader.note(f"packages.{left[0]}", f"importing it ended with {how}")
            del left[0]
    return found


def _start_trial(modules: Sequence[str]) -> _Started:
    return _start(_TRY, *(_TRIED.get(name, name) for name in modules))


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _version_of_files(module: str) -> str | None:
    """What the packages that bring a module say; None where the system has it without any."""
    from importlib import metadata  # takes long, and a trial may run meanwhile

    for distribution in DISTRIBUTIONS.get(module, (module,)):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


_Started = Union["subprocess.Popen[bytes]", OSError]


def _start(program: str, *arguments: str) -> _Started:
    """A process that imports, or why there is none."""
    # In a process of its own: some builds crash on import on CPUs they do not know. Without
    # telemetry, as in `runtimes/onnxruntime.py`.
    try:
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as exc:
        return exc


def _finished(
    name: str, reader: Reader, started: _Started, modules: int = 1
) -> subprocess.CompletedProcess[bytes] | None:
    """What a process said until its end; None, and a note, where it came to none."""
    problem: Exception
    if isinstance(started, OSError):
        problem = started
    else:
        try:
            output, errors = started.communicate(timeout=_IMPORT_TIMEOUT_S * modules)
            return subprocess.CompletedProcess(started.args, started.returncode, output, errors)
        except (OSError, subprocess.TimeoutExpired) as exc:
            started.kill()
            started.communicate()
            problem = exc
    reader.note(name, f"importing it in a process of its own failed ({problem})")
    return None


def _ask(name: str, reader: Reader, program: str, *arguments: str) -> str | None:
    done = _finished(name, reader, _start(program, *arguments))
    if done is None:
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
