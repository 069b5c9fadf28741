"""The vendor's module and program: finding them, and what they say while they work.

TensorRT 8.5 to 11.4 are told apart by what they have, never by their version.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import sys
from typing import Any

from ...errors import ENGINE, MISSING_ENGINE, OUT_OF_MEMORY, AgentError

INSTALL = (
    "install it: sudo apt install nvidia-jetpack (python3-libnvinfer has the module alone); an "
    "environment must see the system's packages (include-system-site-packages = true)"
)
_TRTEXEC = "/usr/src/tensorrt/bin/trtexec"
_KEPT = 20
_NO_MEMORY = ("out of memory", "outofmemory", "bad_alloc", "insufficient memory")


class Messages:
    """The last errors and warnings that TensorRT logged, and the node that it parsed last."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.node = ""

    def add(self, severity: str, text: str) -> None:
        """Take a message of the severity that TensorRT names."""
        node = re.match(r"Parsing node: (.+?) \[\w+\]", text)
        if node is not None:
            self.node = node.group(1)
        if severity in ("INTERNAL_ERROR", "ERROR", "WARNING"):
            print(f"[{severity}] {text}", file=sys.stderr, flush=True)
        if severity in ("INTERNAL_ERROR", "ERROR"):
            self.kept = [*self.kept, " ".join(text.split())][-_KEPT:]

    def last(self, count: int = 3) -> str:
        """The last errors in one line."""
        return " | ".join(self.kept[-count:]) or "TensorRT gave no reason"


def import_module(name: str) -> Any:
    """TensorRT's module; AgentError (missing-engine) with the package that brings it."""
    try:
        return importlib.import_module(name)
    except ImportError as exc:
        raise AgentError(MISSING_ENGINE, name, f"cannot be imported ({exc})", INSTALL) from exc


def make_log(trt: Any, messages: Messages) -> Any:
    """A logger of the module's own kind that adds to `messages`; whoever uses it keeps it."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            messages.add(severity.name, text)

    return Log()


def members(enumeration: Any) -> dict[str, Any]:
    """What an enumeration of the module has in this version, by name."""
    return dict(enumeration.__members__)


def find_trtexec() -> str | None:
    """The path of trtexec, which JetPack does not put on PATH; None where there is none."""
    return _TRTEXEC if os.access(_TRTEXEC, os.X_OK) else shutil.which("trtexec")


def converted(where: str, what: str, reason: str) -> AgentError:
    """An error of TensorRT, by its own words: engine or out-of-memory."""
    if any(sign in reason.lower() for sign in _NO_MEMORY):
        remedy = "free memory, or lower limits.workspace_bytes in the target"
        return AgentError(OUT_OF_MEMORY, where, f"{what}: {reason}", remedy)
    remedy = "check that this TensorRT can run the model; look into its messages on stderr"
    return AgentError(ENGINE, where, f"{what}: {reason}", remedy)
