"""A host for tests: starts a real `serve`, sends requests, reads answers."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

from edgeq.agent.serve import work_off
from edgeq.agent.store.session import AgentSession
from edgeq.agent.wire.frames import Gone, Wire

if TYPE_CHECKING:
    from pathlib import Path

Frame = Dict[str, Any]

MANIFEST: Frame = {
    "format": 1,
    "runtime": {"name": "onnxruntime", "model": "model.onnx"},
    "task": {
        "decoder": "yolov5-seg",
        "classes": ["cat", "dog"],
        "score_threshold": 0.1,
        "iou_threshold": 0.6,
        "max_detections": 10,
        "multi_label": False,
        "mask_threshold": 0.5,
    },
    "preprocess": {
        "size": [64, 64],
        "letterbox": True,
        "pad_value": 114,
        "color": "rgb",
        "scale": 1 / 255,
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
        "layout": "nchw",
        "dtype": "float32",
    },
}

SIGNER = "anna ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519" + bytes(36)).decode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def manifest_of(files: Dict[str, bytes], **changed: Any) -> bytes:
    """The manifest of a release of these files."""
    entries = {name: {"sha256": sha256(raw), "bytes": len(raw)} for name, raw in files.items()}
    return json.dumps({**MANIFEST, "files": entries, **changed}, sort_keys=True).encode()


def files_of(note: str) -> Dict[str, bytes]:
    """A model of its own and a file that all releases share."""
    return {"model.onnx": f"model {note} ".encode() * 500, "plan.json": b'{"shared": true}'}


class Conversation:
    """Requests out, answers in."""

    def __init__(self, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.events: List[Frame] = []

    def hang_up(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()

    def send(self, op: str, raw: Optional[bytes] = None, **fields: Any) -> None:
        if raw is not None:
            fields["bytes"] = len(raw)
        self.write(json.dumps({"op": op, **fields}).encode() + b"\n" + (raw or b""))

    def announce(self, op: str, raw_bytes: int, **fields: Any) -> None:
        """The line of a request whose raw bytes are written by and by."""
        self.send(op, **{**fields, "bytes": raw_bytes})

    def write(self, content: bytes) -> None:
        self.stdin.write(content)
        self.stdin.flush()

    def frame(self) -> Frame:
        line = self.stdout.readline()
        if not line:
            raise EOFError(self.last_words())
        frame: Frame = json.loads(line)
        if "bytes" in frame:
            frame["raw"] = self.stdout.read(frame["bytes"])
        return frame

    def last_words(self) -> str:
        return ""

    def answer(self) -> Frame:
        while True:
            frame = self.frame()
            if "ok" in frame or "error" in frame:
                return frame
            if "event" in frame:
                self.events.append(frame)

    def ask(self, op: str, raw: Optional[bytes] = None, **fields: Any) -> Frame:
        self.send(op, raw, **fields)
        return self.answer()

    def do(self, op: str, raw: Optional[bytes] = None, **fields: Any) -> Frame:
        """The ok of a request that must succeed."""
        answer = self.ask(op, raw, **fields)
        assert "ok" in answer, answer
        ok: Frame = answer["ok"]
        return ok

    def refused(self, op: str, raw: Optional[bytes] = None, **fields: Any) -> Tuple[str, str]:
        """Kind and message of a request that must fail."""
        answer = self.ask(op, raw, **fields)
        assert "error" in answer, answer
        message = answer["error"]["message"]
        where, _, rest = message.partition(": ")
        assert where and "; " in rest, f"not three parts: {message}"
        return answer["error"]["kind"], message

    def lock(self, shared: bool = False) -> None:
        self.do("lock", who="a test", what="testing", shared=shared, wait_s=5)

    def put(self, content: bytes, offset: int = 0) -> str:
        digest = sha256(content)
        self.do("put", content[offset:], hash=digest, size=len(content), offset=offset)
        return digest

    def push(self, note: str, signature: Optional[str] = None, **changed: Any) -> str:
        """Push a release of `files_of(note)`; its id."""
        files = files_of(note)
        for content in files.values():
            self.put(content)
        digest = self.put(manifest_of(files, **changed))
        self.do("release", id=digest, signature=signature)
        return digest

    def activate(self, digest: str, *signers: str) -> Frame:
        return self.do("activate", id=digest, signers=list(signers))


class Host(Conversation):
    """One session with a process; leaving the block ends it."""

    def __init__(self, command: List[str], **environ: str) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environ},
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        super().__init__(self.process.stdin, self.process.stdout)
        self.ready = self.frame()

    def __enter__(self) -> Host:  # noqa: PYI034  Python 3.8
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        try:
            self.process.wait(timeout=20)
        finally:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()

    def last_words(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()


class Inside(Conversation):
    """One session whose other side runs in a thread of this process."""

    def __init__(self, root: Path) -> None:
        their_input, stdin = os.pipe()
        stdout, their_output = os.pipe()
        super().__init__(os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb"))
        self._session = AgentSession(root, Wire(their_input, their_output))
        self._fds = (their_input, their_output)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Inside:  # noqa: PYI034  Python 3.8
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        self._thread.join()
        self.stdout.close()

    def _serve(self) -> None:
        try:
            with contextlib.suppress(Gone):
                work_off(self._session)
        finally:
            self._session.lock.release()
            for fd in self._fds:
                os.close(fd)


def command(pyz: Path, root: Path, python: str = sys.executable) -> List[str]:
    """How `serve` is started on a device, once its agent is there."""
    return [python, "-IS", str(pyz), "serve", str(root)]


def eventually(condition: Callable[[], bool], within_s: float = 5.0) -> bool:
    """Whether a condition comes true in time."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def current_of(root: Path) -> Optional[str]:
    """The id of the release that `current` leads to, once every file of it has its hash."""
    folder = root / "current"
    if not folder.exists():
        return None
    raw = (folder / "manifest.json").read_bytes()
    for name, entry in json.loads(raw.decode())["files"].items():
        assert sha256((folder / name).read_bytes()) == entry["sha256"], f"{name} is not whole"
    assert folder.resolve().name == sha256(raw)
    return sha256(raw)
