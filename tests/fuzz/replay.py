"""A device that says what stands in a transcript, whatever it is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence

from edgeq.device.transport import ProcessEnd
from edgeq.records.accuracy import ImagePrediction, RunLength
from tests.device.hello import HELLO
from tests.report.reports import measurement

STATUS = {
    "current": "ab" * 32,
    "previous": None,
    "releases": [{"id": "ab" * 32, "bytes": 1000, "signed": False}],
    "used_bytes": 1000,
    "free_bytes": 10**9,
    "lock": {"who": "me"},
    "environment": None,
    "signed_only": False,
}
PROBE = {
    "arch": "aarch64",
    "python": {"version": "3.11.2", "executable": "/usr/bin/python3"},
    "cpu": {"model": "Cortex-A76", "flags": ["asimddp"], "cores_available": 4},
    "memory": {"total_bytes": 8 << 30},
    "board": "Raspberry Pi 5",
    "emulated": {"emulated": False, "reason": "it is not"},
    "packages": {"numpy": "2.0", "tensorrt": None},
    "not_readable": {"governors": "no file"},
}
IMAGE = ImagePrediction(
    id=1,
    height=20,
    width=30,
    boxes=((1.0, 2.0, 3.0, 4.0),),
    labels=(0,),
    scores=(0.5,),
    masks=(RunLength(size=(20, 30), counts="T35a0"),),
)
_FRAMES: tuple[dict[str, object], ...] = (
    HELLO,
    {"alive": 1},
    {"ok": STATUS},
    {"ok": PROBE},
    {"event": "progress", "stage": "bench", "done": 1, "total": 5},
    {"ok": json.loads(measurement().model_dump_json())},
    {"event": "image", **json.loads(IMAGE.model_dump_json())},
    {"ok": {}},
    {"ok": {}, "bytes": 5},
)
TRANSCRIPT = [json.dumps(frame).encode() for frame in _FRAMES]
"""What a device answers to `status`, `probe`, `bench`, `predict` and `get`."""
_STILL_S = 0.005


class Replay:
    """Transport and process in one: it goes on when it is written to, or nothing has come."""

    address = "board"
    python = "python3"

    def __init__(self, content: bytes) -> None:
        self._left = iter(_parts(content))
        self._asked = threading.Semaphore(1)

    def start(self, arguments: Sequence[str]) -> Replay:
        """Itself: whatever is started says the same."""
        del arguments
        return self

    def write(self, data: bytes | memoryview) -> None:
        """Taken, and not looked at."""
        del data
        self._asked.release()

    def read(self, timeout_s: float) -> bytes | None:
        """Up to the next answer, then the end."""
        self._asked.acquire(timeout=min(timeout_s, _STILL_S))
        return next(self._left, b"")

    def ended(self, timeout_s: float) -> ProcessEnd:
        """As a program ends that was killed."""
        del timeout_s
        return ProcessEnd(None, "")

    def close(self) -> None:
        """There is nothing to end."""


def _parts(content: bytes) -> list[bytes]:
    """A transcript in parts of which each ends with what looks like an answer."""
    parts = [b""]
    for line in content.splitlines(keepends=True):
        parts[-1] += line
        if any(word in line for word in (b'"ready"', b'"ok"', b'"error"')):
            parts.append(b"")
    return [part for part in parts if part]
