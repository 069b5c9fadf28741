"""Frames: JSON lines, some with raw bytes behind them, between the host and `serve`."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import threading
import time
from collections import deque
from typing import Any, Dict, Iterable, Iterator, NamedTuple, Sequence

MAX_LINE_BYTES = 16 << 20
PIECE_BYTES = 1 << 20
PATIENCE_S = 30.0

_F_SETPIPE_SZ = 1031


class Gone(Exception):
    """The host hung up, fell silent or reads no more: the session is over."""


class Request(NamedTuple):
    """One request; `problem` says what is wrong with a line that is none."""

    op: str
    fields: Dict[str, Any]
    raw_bytes: int = 0
    problem: str = ""


class Wire:
    """Both directions of one session. Reading belongs to one thread, sending to all."""

    def __init__(self, input_fd: int, output_fd: int) -> None:
        self.patience_s = PATIENCE_S
        self.patience_changed = threading.Event()
        self.heard_s = time.monotonic()
        self.is_waiting = False
        self._input = input_fd
        self._output = output_fd
        self._buffer = bytearray()
        self._scratch = memoryview(bytearray(PIECE_BYTES))
        self._queue: deque[Request] = deque()
        self._raw_left = 0
        self._is_skipping = False
        self._sending = threading.Lock()
        # sshd may give one socket for both; no wait on either must be without end.
        for descriptor in (input_fd, output_fd):
            os.set_blocking(descriptor, False)
        _widen(input_fd)

    def request(self) -> Request | None:
        """The next request, None at the end of input; raises Gone after `patience_s` of silence."""
        self.drain()
        while True:
            self._parse()
            if self._queue:
                request = self._queue.popleft()
                self._raw_left = request.raw_bytes
                return request
            count = self._read(self._scratch)
            if count == 0:
                return None
            self._buffer += self._scratch[:count]

    def raw(self) -> Iterator[memoryview]:
        """The raw bytes of the request as they come in; each piece is valid until the next."""
        while self._raw_left:
            piece = self._scratch[: min(self._raw_left, PIECE_BYTES)]
            if self._buffer:
                count = min(len(piece), len(self._buffer))
                piece[:count] = self._buffer[:count]
                del self._buffer[:count]
            else:
                count = self._read(piece)
                if count == 0:
                    raise Gone("the host hung up in the middle of a file")
            self._raw_left -= count
            yield piece[:count]

    def drain(self) -> None:
        """Read what is left of the raw bytes, for nothing."""
        for _ in self.raw():
            pass

    def watch(self, descriptors: Sequence[int], timeout_s: float) -> set[int]:
        """Those of `descriptors` that can be read; meanwhile hear what the host says.

        Raises Gone when it hung up or says nothing for `patience_s`.
        """
        self._parse()
        # A file that waits behind other requests stays in the pipe, and so does what follows it.
        is_full = len(self._buffer) >= PIECE_BYTES or self._is_raw_next()
        poller = select.poll()
        poller.register(self._input, select.POLLRDHUP | (0 if is_full else select.POLLIN))
        for descriptor in descriptors:
            poller.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poller.poll(max(0, round(timeout_s * 1000)))}
        if self._input in ready:
            ready.remove(self._input)
            count = 0 if is_full else self._read(self._scratch)
            if count == 0:
                raise Gone("the host hung up")
            self._buffer += self._scratch[:count]
            self._parse()
        if not is_full and time.monotonic() - self.heard_s > self.patience_s:
            raise Gone("the host is silent")
        return ready

    def send(self, frame: Dict[str, Any], content: Iterable[bytes] = ()) -> None:
        """Send one frame and the raw bytes that it announces; raises Gone where nobody reads."""
        line = json.dumps(frame, allow_nan=False, separators=(",", ":"))
        self.send_line(line.encode("ascii"), content)

    def send_line(self, line: bytes, content: Iterable[bytes] = ()) -> None:
        """Send a frame that is encoded already."""
        with self._sending:
            self._write(line + b"\n")
            for piece in content:
                self._write(piece)

    def _write(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            try:
                left = left[os.write(self._output, left) :]
            except BlockingIOError:
                if not _is_ready(self._output, select.POLLOUT, self.patience_s):
                    raise Gone("the host reads no more") from None
            except OSError as exc:
                raise Gone("the host hung up") from exc

    def _read(self, into: memoryview) -> int:
        while True:
            try:
                count = os.readv(self._input, [into])
            except BlockingIOError:
                self.is_waiting = True
                if not _is_ready(self._input, select.POLLIN, self.patience_s):
                    raise Gone("the host is silent") from None
                self.is_waiting = False
                continue
            except OSError as exc:
                raise Gone("the host hung up") from exc
            self.heard_s = time.monotonic()
            return count

    def _is_raw_next(self) -> bool:
        return bool(self._queue) and self._queue[-1].raw_bytes > 0

    def _parse(self) -> None:
        """Turn the buffer into requests, up to the first that has raw bytes behind it."""
        while not self._raw_left and not self._is_raw_next():
            end = self._buffer.find(b"\n")
            if end < 0:
                if len(self._buffer) > MAX_LINE_BYTES:
                    self._is_skipping = True
                if self._is_skipping:
                    self._buffer.clear()
                return
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if self._is_skipping or end > MAX_LINE_BYTES:
                self._is_skipping = False
                self._queue.append(_problem(f"a line is longer than {MAX_LINE_BYTES} bytes"))
                continue
            request = parse_request(line)
            if request.op != "alive":
                self._queue.append(request)


def parse_request(line: bytes) -> Request:
    """The request in one line."""
    try:
        fields = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return _problem(f"{line[:60]!r} is no JSON")
    if not isinstance(fields, dict) or not isinstance(fields.get("op"), str):
        return _problem(f"{line[:60]!r} is no object with an 'op'")
    # What `room` calls bytes is what it asks for.
    raw_bytes = 0 if fields["op"] == "room" else fields.get("bytes", 0)
    if isinstance(raw_bytes, bool) or not isinstance(raw_bytes, int) or raw_bytes < 0:
        return _problem(f"'bytes' is {str(raw_bytes)[:40]}; it must be a count")
    return Request(fields["op"], fields, raw_bytes)


def _problem(what: str) -> Request:
    return Request("", {}, problem=what)


def _is_ready(descriptor: int, event: int, timeout_s: float) -> bool:
    poller = select.poll()
    poller.register(descriptor, event)
    return bool(poller.poll(round(timeout_s * 1000)))


def _widen(descriptor: int) -> None:
    """Let a pipe hold more at a time; a socket has its own size, and a user a limit."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, PIECE_BYTES)
