"""A device that speaks the protocol, and lies where it is told to.

It answers every request as an agent would that ran a small model on the images asked for. A lie
takes the place of one answer: a value at a path of its JSON, or whole lines of it.
"""

from __future__ import annotations

import copy
import io
import json
import queue
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgeq.agent.vision import rle
from edgeq.device.transport import ProcessEnd

from ..report.reports import measurement
from .hello import HELLO

Frames = list[dict[str, Any] | bytes]
"""What is said to one request: frames, and raw bytes."""
Lie = Callable[[Frames], Frames]

FINGERPRINT = "e" * 64
STATUS = {
    "current": "a" * 64,
    "previous": None,
    "releases": [{"id": "a" * 64, "bytes": 5, "signed": False}],
    "used_bytes": 5,
    "free_bytes": 1 << 30,
    "lock": None,
    "environment": None,
    "signed_only": False,
}
PROBE = {
    "arch": "aarch64",
    "python": {"version": "3.11.2"},
    "cpu": {"flags": ["asimddp"], "cores_available": 4},
    "memory": {"total_bytes": 4 << 30},
    "board": "a board",
    "emulated": {"emulated": False},
    "packages": {"onnxruntime": "1.20.0", "numpy": "2.0.0", "cv2": "4.10.0"},
    "not_readable": {},
}
BENCH = {**measurement().model_dump(mode="json"), "release": "a" * 64}
ENGINE = {"path": "/nowhere/engine.plan", "fingerprint": FINGERPRINT, "built": True, "layers": []}


def outputs(arrays: dict[str, Any]) -> bytes:
    """An .npz as the agent writes it."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    return content.getvalue()


OUTPUTS = outputs({"1/output0": np.zeros((1, 3), np.float32)})


def image(id_: int) -> dict[str, Any]:
    """What was found in an image of 4 x 6 pixels: one instance."""
    mask = np.zeros((4, 6), np.uint8)
    mask[1:3, 2:4] = 1
    found: dict[str, Any] = {"boxes": [[2.0, 1.0, 2.0, 2.0]], "labels": [1], "scores": [0.9]}
    return {
        "event": "image",
        "id": id_,
        "height": 4,
        "width": 6,
        **found,
        "masks": [rle.encode(mask)],
    }


def honest(op: str, fields: dict[str, Any]) -> Frames:
    """What an agent says."""
    if op == "job":
        job, verb = fields["job"], fields["verb"]
        if verb == "predict":
            found = [image(asked["id"]) for asked in job["images"]]
            step = {"event": "progress", "stage": "predict", "done": 1, "total": len(found)}
            return [step, *found, {"ok": {"images": len(found)}}]
        if verb == "build" and job.get("only_find"):
            return [{"ok": {**ENGINE, "path": None}}]
        if verb == "lend":
            lent = {"fields": {}, "plan": "c" * 64, "golden": "d" * 64, "build_s": 1.0}
            return [{"ok": lent}]
        return [{"ok": {"bench": BENCH, "probe": PROBE, "build": ENGINE}.get(verb, {})}]
    if op == "get":
        return [{"ok": {}, "bytes": len(OUTPUTS)}, OUTPUTS]
    said = {"status": STATUS, "have": {"missing": [], "partial": {}}, "release": {"new": False}}
    return [{"ok": said.get(op, {})}]


class Liar:
    """A transport to it: `lie` changes what it says to `to`, an operation or a verb of a job.

    `meanwhile` is what it says ten times a second when nothing else is to be said.
    """

    python = "python3"
    address = "barn7"

    def __init__(
        self, to: str = "", lie: Lie = lambda frames: frames, meanwhile: bytes | None = None
    ) -> None:
        self.to = to
        self.lie = lie
        self.meanwhile = meanwhile

    def start(self, arguments: Sequence[str]) -> LiarProcess:
        """See `Transport.start`."""
        del arguments
        return LiarProcess(self)

    def close(self) -> None:
        """See `Transport.close`."""

    def answer(self, op: str, fields: dict[str, Any]) -> list[bytes]:
        """What it says to a request, as it goes over the wire."""
        told = [HELLO] if op == "hello" else honest(op, fields)
        frames: Frames = copy.deepcopy(list(told))
        if self.to in (op, fields.get("verb")):
            frames = self.lie(frames)
        return [f if isinstance(f, bytes) else json.dumps(f).encode() + b"\n" for f in frames]


class LiarProcess:
    """See `Process`; it answers while it is written to."""

    def __init__(self, liar: Liar) -> None:
        self._liar = liar
        self._said: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._heard = bytearray()
        self._raw_left = 0
        self._say("hello", {})

    def write(self, data: bytes | memoryview) -> None:
        """See `Process.write`."""
        self._heard += data
        while self._heard:
            if self._raw_left:
                taken = min(self._raw_left, len(self._heard))
                del self._heard[:taken]
                self._raw_left -= taken
                continue
            line, newline, rest = bytes(self._heard).partition(b"\n")
            if not newline:
                return
            self._heard = bytearray(rest)
            request = json.loads(line)
            self._raw_left = request.get("bytes", 0) if request["op"] == "put" else 0
            if request["op"] != "alive":
                self._say(request["op"], request)

    def read(self, timeout_s: float) -> bytes | None:
        """See `Process.read`."""
        try:
            return self._said.get(timeout=min(timeout_s, 0.1))
        except queue.Empty:
            return self._liar.meanwhile

    def ended(self, timeout_s: float) -> ProcessEnd:
        """See `Process.ended`."""
        del timeout_s
        return ProcessEnd(0, "")

    def close(self) -> None:
        """See `Process.close`."""
        self._said.put(b"")

    def _say(self, op: str, fields: dict[str, Any]) -> None:
        for piece in self._liar.answer(op, fields):
            self._said.put(piece)


def says(value: Any, *path: Any, at: int = -1) -> Lie:
    """Another value at a path of one of the frames, by default of the last."""

    def lie(frames: Frames) -> Frames:
        inner: Any = frames[at]
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value
        return frames

    return lie


def says_lines(*lines: bytes) -> Lie:
    """Other bytes instead of all that is said."""
    return lambda _: list(lines)
