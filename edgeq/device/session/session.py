"""A session with a device: one process of the agent, requests in, answers out, over its pipes.

A frame is a line of JSON; one with a key `bytes` is followed by that many raw bytes. Requests may
be sent ahead; answers come in their order, each after its own events. Both sides say every few
seconds that they are alive, so that a cut link is noticed and frees the device.
"""

from __future__ import annotations

import hashlib
import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, NoReturn

from edgeq.agent.errors import BUG
from edgeq.device.session import endings
from edgeq.device.session.bundle import bundle
from edgeq.device.session.deadlines import answer_s, moving_s
from edgeq.device.session.frames import Stream
from edgeq.device.session.loader import LOADER
from edgeq.device.session.parsing import garbled, parsed_answer, parsed_frame
from edgeq.device.transport import Transport
from edgeq.errors import LINK_LOST, TOO_SLOW, DeviceError, EdgeqError
from edgeq.progress import Progress
from edgeq.records.answers import Hello, Step

Event = dict[str, Any]
OnEvent = Callable[[Event], None]

PATIENCE_S = 30.0
"""Silence after which either side gives the link up; TCP bridges shorter cuts by itself."""
_ALIVE_S = 5.0
_ALIVE = b'{"op": "alive"}\n'
_CHUNK = 1 << 20
_NOISE = 1 << 16
"""What a login shell may print before the agent speaks."""
_MOST_AHEAD = 100_000
"""Frames that wait to be looked at; more say a device that does not stop."""
_LONGEST_WORD = 8000


class Answer(NamedTuple):
    """What a request came to, and the raw bytes that came with it."""

    fields: Event
    content: bytes = b""


class _Asked(NamedTuple):
    """A request without an answer: how long that may take, and the raw bytes it may bring."""

    op: str
    allowed_s: float
    allowed_bytes: int = 0


class Session:
    """The conversation with one agent. Raises DeviceError wherever the device or the link fails.

    One thread talks; `close` may be called from any. `keep` says whether the agent may be written
    to the root folder; without it a device that has none runs it from memory and nothing is
    touched.
    """

    def __init__(
        self, transport: Transport, root: str, keep: bool = True, patience_s: float = PATIENCE_S
    ) -> None:
        self.address = transport.address
        self.sent_bytes = 0
        self.patience_s = patience_s
        self._frames: queue.SimpleQueue[Answer | EdgeqError] = queue.SimpleQueue()
        self._asked: deque[_Asked] = deque()
        self._writing = threading.Lock()
        self._written_s = time.monotonic()
        self._over = threading.Event()
        self._heard_of = False
        self._ready = False
        self._noise = "it said nothing"
        content = bundle()
        digest = hashlib.sha256(content).hexdigest()
        mode = "keep" if keep else "memory"
        self._asked.append(_Asked("hello", answer_s("hello", {}, len(content))))
        loader = (LOADER, root, digest, str(len(content)), mode)
        self.process = transport.start([transport.python, "-IS", "-c", *loader])
        self._asked_s = time.monotonic()  # a passphrase may have been asked for until now
        self._reader = threading.Thread(target=self._read, name="edgeq-session", daemon=True)
        self._reader.start()
        self._beats = threading.Thread(target=self._beat, name="edgeq-beat", daemon=True)
        try:
            self.hello = parsed_answer(Hello, self._begin(content), self.address)
            self.clock_off_s = self.hello.clock_unix_s - time.time()
            self._beats.start()  # not before: the loader takes nothing but the agent
            if patience_s != PATIENCE_S:
                self.ask("patience", {"seconds": patience_s})
        except BaseException:
            self.close()
            raise

    def ask(
        self, op: str, fields: Mapping[str, Any] | None = None, on_event: OnEvent | None = None
    ) -> Event:
        """One request and its answer. Raises DeviceError with the agent's word for what failed."""
        self.send(op, fields)
        return self.answer(on_event).fields

    def send(
        self,
        op: str,
        fields: Mapping[str, Any] | None = None,
        size: int | None = None,
        content: Iterable[bytes | memoryview] = (),
        answer_bytes: int = 0,
    ) -> None:
        """Send a request, with `size` raw bytes in pieces; its answer is fetched by `answer`.

        The answer may bring as many as `answer_bytes` of its own.
        """
        request = {"op": op, **(fields or {})}
        if size is not None:
            request["bytes"] = size
        if not self._asked:
            self._asked_s = time.monotonic()
        self._asked.append(_Asked(op, answer_s(op, request, size or 0), answer_bytes))
        with self._writing:
            self._write(json.dumps(request).encode() + b"\n")
            try:
                for piece in content:
                    view = memoryview(piece)
                    for start in range(0, len(view), _CHUNK):
                        self._write(view[start : start + _CHUNK])
            except BaseException:
                # Half a frame cannot be taken back; the agent would take what follows for its rest.
                self._over.set()
                self.process.close()
                raise

    def answer(self, on_event: OnEvent | None = None) -> Answer:
        """The answer to the oldest request that has none yet; its events go to `on_event`."""
        while True:
            frame = self._frames.get()
            if isinstance(frame, EdgeqError):
                self._frames.put(frame)  # for whoever asks next
                raise frame
            if "event" in frame.fields:
                (on_event or _ignore)(frame.fields)
            elif "error" in frame.fields:
                self._refuse(frame.fields["error"])
            elif isinstance(frame.fields.get("ok"), dict):
                return Answer(frame.fields["ok"], frame.content)
            else:
                raise self._garbled(json.dumps(frame.fields))

    def close(self) -> None:
        """End the agent and whatever it runs."""
        self._over.set()
        self.process.close()
        for thread in (self._reader, self._beats):
            if thread.is_alive():
                thread.join(5.0)

    def _write(self, data: bytes | memoryview) -> None:
        try:
            self.process.write(data)
        except DeviceError as exc:
            raise self._reason(exc) from exc
        self.sent_bytes += len(data)
        self._written_s = time.monotonic()

    def _reason(self, exc: DeviceError) -> EdgeqError:
        """Why the agent no longer listens: what it said last says more than a broken pipe."""
        while True:
            try:
                frame = self._frames.get(timeout=2.0)
            except queue.Empty:
                return exc
            if isinstance(frame, EdgeqError):
                self._frames.put(frame)  # for whoever asks next
                return frame

    def _begin(self, content: bytes) -> Event:
        while True:
            frame = self._frames.get()
            if isinstance(frame, EdgeqError):
                raise frame
            state = frame.fields.get("edgeq")
            if state == "send":
                for start in range(0, len(content), _CHUNK):
                    self._write(content[start : start + _CHUNK])
            elif state == "ready":
                return frame.fields
            else:
                raise self._garbled(json.dumps(frame.fields))

    def _refuse(self, error: Any) -> NoReturn:
        try:
            kind, message = str(error["kind"])[:100], str(error["message"])[:_LONGEST_WORD]
        except (TypeError, KeyError):
            raise self._garbled(json.dumps(error)) from None
        if kind == BUG:
            raise EdgeqError(self.address, message)
        raise DeviceError(self.address, message, kind=kind)

    def _garbled(self, line: str) -> DeviceError:
        what = f"the agent said something unintelligible: {line.strip()[:80]!r}"
        return garbled(self.address, what)

    def _beat(self) -> None:
        """Say every few seconds that this side lives: a thread of its own, as writing may block."""
        beat_s = min(_ALIVE_S, self.patience_s / 4)
        while not self._over.wait(max(0.0, self._written_s + beat_s - time.monotonic())):
            if time.monotonic() < self._written_s + beat_s:
                continue
            # Who holds the lock is sending, which is a sign of life itself.
            if not self._writing.acquire(blocking=False):
                self._over.wait(beat_s)
                continue
            try:
                self.process.write(_ALIVE)
            except DeviceError:
                return  # the reader finds out why
            finally:
                self._writing.release()
            self.sent_bytes += len(_ALIVE)
            self._written_s = time.monotonic()

    # Everything below runs in the reader's thread.

    def _read(self) -> None:
        try:
            self._read_frames()
        except EdgeqError as exc:
            self._frames.put(exc)
        except Exception as exc:  # must not end a thread unheard
            self._frames.put(EdgeqError(self.address, f"{type(exc).__name__}: {exc}"))
        self._over.set()
        self.process.close()  # wakes who is writing; the reason stands in the queue by now

    def _read_frames(self) -> None:
        stream = Stream(self.process, self.address, self._check_time)
        noise = 0
        while True:
            line = stream.line()
            if line is None:
                raise self._ended()
            if not self._ready:
                frame = _first(line)
                if frame is None:
                    # A login script that prints is not our business, unless nothing else comes.
                    noise += len(line)
                    if noise > _NOISE:
                        raise self._garbled(line.decode(errors="replace"))
                    self._noise = line.decode(errors="replace").strip() or self._noise
                    continue
                self._heard_of, self._ready = True, frame["edgeq"] == "ready"
            else:
                frame = self._frame(line)
            if frame.get("edgeq") == "refused":
                self._refuse(frame)
            if "alive" in frame:
                continue
            content = stream.exactly(self._announced(frame))
            if content is None:
                raise self._ended()
            if self._frames.qsize() > _MOST_AHEAD:
                raise garbled(self.address, "the agent says more than anybody can listen to")
            self._settle(frame)
            self._frames.put(Answer(frame, content))

    def _frame(self, line: bytes) -> Event:
        try:
            return parsed_frame(line)
        except ValueError as exc:
            what = f"the agent said something unintelligible: {exc}"
            raise garbled(self.address, what) from None

    def _announced(self, frame: Event) -> int:
        """The raw bytes behind a frame, which must be as many as were asked for at most."""
        size = frame.get("bytes", 0)
        if size == 0:
            return 0
        asked = self._asked[0] if self._asked and "ok" in frame else _Asked("nothing", 0.0)
        if type(size) is not int or not 0 <= size <= asked.allowed_bytes:
            what = f"its answer to '{asked.op}' announces {size!r:.40} bytes"
            raise garbled(self.address, f"{what}; it may have {asked.allowed_bytes} at most")
        self._asked[0] = asked._replace(allowed_s=asked.allowed_s + moving_s(size))
        return size

    def _settle(self, frame: Event) -> None:
        """Note that a request has its answer; nobody is answered who did not ask."""
        if not self._asked:
            raise garbled(self.address, f"the agent answers what nobody asked: {str(frame)[:80]!r}")
        if "event" not in frame and frame.get("edgeq") != "send":
            self._asked.popleft()
            self._asked_s = time.monotonic()

    def _check_time(self, silence_s: float) -> None:
        if silence_s > self.patience_s:
            raise endings.silent(self.address, silence_s, self._heard_of)
        try:
            asked = self._asked[0]
        except IndexError:
            return
        if time.monotonic() - self._asked_s > asked.allowed_s:
            what = f"its answer to '{asked.op}' did not come within {asked.allowed_s:.0f} s"
            remedy = "it says that it is alive: see what it does there"
            raise DeviceError(self.address, what, remedy, kind=TOO_SLOW)

    def _ended(self) -> EdgeqError:
        if self._over.is_set():
            return DeviceError(self.address, "the session is closed", kind=LINK_LOST)
        return endings.why(self.address, self.process.ended(5.0), self._noise, self._heard_of)


def _first(line: bytes) -> Event | None:
    """The agent's first words, perhaps behind what a login script printed without a newline."""
    start = max(0, line.find(b'{"edgeq"'))
    try:
        frame = parsed_frame(line[start:])
    except ValueError:
        return None
    return frame if "edgeq" in frame else None


def _ignore(_: Event) -> None:
    """The events that nobody looks at."""


def listener(where: str, progress: Progress, on_image: OnEvent = _ignore) -> OnEvent:
    """What a job says on its way, told to `progress` and `on_image`; `where` it says that."""

    def on_event(event: Event) -> None:
        if event["event"] == "progress":
            step = parsed_answer(Step, event, where)
            progress(step.stage, step.done, step.total)
        elif event["event"] == "image":
            on_image(event)

    return on_event
