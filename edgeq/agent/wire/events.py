"""JSON lines out: the events that the host reads from the agent's standard output."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, BinaryIO

PROGRESS_INTERVAL_S = 0.2


class Events:
    """Writes one JSON object a line, each flushed at once."""

    _next_progress_s = 0.0

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def progress(self, stage: str, done: int, total: int) -> None:
        """Say how far `stage` is; at most five a second, but the last one (done = total) always."""
        now_s = time.monotonic()
        if now_s >= self._next_progress_s or done == total:
            self._next_progress_s = now_s + PROGRESS_INTERVAL_S
            self._send({"event": "progress", "stage": stage, "done": done, "total": total})

    def image(self, fields: dict[str, Any]) -> None:
        """Send what was found in one image."""
        self._send({"event": "image", **fields})

    def sample(self, fields: dict[str, Any]) -> None:
        """Send what one step of a private verb came to, to the process that started it."""
        self._send({"event": "sample", **fields})

    def result(self, fields: dict[str, Any]) -> None:
        """Send the result, which ends the conversation."""
        self._send({"event": "result", **fields})

    def error(self, kind: str, message: str) -> None:
        """Send the error, which ends the conversation."""
        self._send({"event": "error", "kind": kind, "message": message})

    def _send(self, event: dict[str, Any]) -> None:
        # JSON has no NaN, and readers in other languages refuse the one Python would write.
        line = json.dumps(event, allow_nan=False, separators=(",", ":"))
        self._stream.write(line.encode("ascii") + b"\n")
        self._stream.flush()


def claim_stdout() -> Events:
    """Events on the process's standard output, which nothing else can write to from now on.

    Vendor libraries print to file descriptor 1 from C; they reach standard error instead.
    """
    sys.stdout.flush()
    protocol_fd = os.dup(1)
    os.dup2(2, 1)
    return Events(os.fdopen(protocol_fd, "wb"))
