"""Sending blobs: what is missing, one after the other without waiting, from where it stopped."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from edgeq.agent.errors import BAD_BLOB, LOCKED
from edgeq.device.pace import Pace
from edgeq.device.session.parsing import parsed_answer
from edgeq.device.session.session import Session
from edgeq.errors import DeviceError, InputError
from edgeq.progress import Progress, silent
from edgeq.records.answers import Blobs
from edgeq.spec import images

_CHUNK = 1 << 20
_AHEAD = 256
"""Blobs on their way whose answers were not read yet; keeps what both sides hold small."""

Content = Path | bytes


@dataclass(frozen=True)
class Sent:
    """What a push moved: blobs, and bytes of their content."""

    blobs: int = 0
    size_bytes: int = 0


def send_blobs(
    session: Session,
    contents: Mapping[str, Content],
    limit_bytes: int | None = None,
    progress: Progress = silent,
    pace: Pace | None = None,
) -> Sent:
    """Send what the device lacks of hash to content, durable and checked when this returns.

    Progress counts bytes; none of them goes out faster than `pace` has it. Raises DeviceError:
    no-room before anything is sent, bad-blob for what arrives damaged twice; InputError for a file
    that changed since it was hashed.
    """
    told = session.ask("have", {"hashes": list(contents)})
    found = parsed_answer(Blobs, told, session.address)
    # What was not asked about is not sent.
    missing = {digest: contents[digest] for digest in found.missing if digest in contents}
    if not missing:
        return Sent()
    sizes = {digest: _size(content) for digest, content in missing.items()}
    # A longer part than the file is a stranger's; it is begun anew.
    there = {d: n if n <= sizes[d] else 0 for d, n in found.partial.items() if d in sizes}
    total = sum(sizes.values()) - sum(there.values())
    session.ask("room", {"bytes": total, "limit_bytes": limit_bytes})
    done = 0
    piece_bytes = _CHUNK if pace is None else min(_CHUNK, pace.piece_bytes)

    def sending(digest: str, offset: int) -> Iterator[bytes]:
        nonlocal done
        for piece in _pieces(missing[digest], offset, sizes[digest], piece_bytes):
            if pace is not None:
                pace.wait(len(piece))
            yield piece
            done += len(piece)
            progress("push", min(done, total), total)

    damaged: list[str] = []
    waiting: list[str] = []

    def read_answer() -> None:
        digest = waiting.pop(0)
        try:
            session.answer()
        except DeviceError as exc:
            # Locked: another session receives the same blob; begun anew it gets its own place.
            if exc.kind not in (BAD_BLOB, LOCKED):
                # What was sent ahead is answered too; the session goes on after that.
                for _ in waiting:
                    with suppress(DeviceError):
                        session.answer()
                raise
            damaged.append(digest)

    def put(digest: str, offset: int) -> None:
        size = sizes[digest] - offset
        head = {"hash": digest, "size": sizes[digest], "offset": offset}
        waiting.append(digest)
        session.send("put", head, size, sending(digest, offset))
        if len(waiting) >= _AHEAD:
            read_answer()

    for digest in missing:
        put(digest, there.get(digest, 0))
    while waiting:
        read_answer()
    # What a power cut left may be as long as it should be and hold something else.
    again, damaged = damaged, []
    for digest in again:
        put(digest, 0)
    while waiting:
        read_answer()
    if damaged:
        raise _never_right(session.address, missing[damaged[0]], damaged[0])
    session.ask("commit")
    return Sent(len(missing), done)


def hash_of(content: Content) -> str:
    """The sha256 of a content. Raises InputError for a file that cannot be read."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    return images.hash_of(content)


@contextmanager
def _opened(file: Path) -> Iterator[BufferedReader]:
    try:
        with file.open("rb") as stream:
            yield stream
    except OSError as exc:
        raise images.unreadable(file, exc) from exc


def _size(content: Content) -> int:
    if isinstance(content, bytes):
        return len(content)
    with _opened(content) as stream:
        return os.fstat(stream.fileno()).st_size


def _pieces(content: Content, offset: int, size: int, piece_bytes: int) -> Iterator[bytes]:
    if isinstance(content, bytes):
        for start in range(offset, size, piece_bytes):
            yield content[start : start + piece_bytes]
        return
    left = size - offset
    with _opened(content) as stream:
        stream.seek(offset)
        while left > 0:
            piece = stream.read(min(piece_bytes, left))
            # The frame has said how long it is; what a shrunken file lacks is filled up, and the
            # hash tells.
            piece = piece or bytes(min(piece_bytes, left))
            left -= len(piece)
            yield piece


def _never_right(address: str, content: Content, digest: str) -> DeviceError | InputError:
    if isinstance(content, Path) and hash_of(content) != digest:
        what = "changed while it was being sent"
        return InputError(str(content), what, "run it again when nothing writes to it")
    what = f"blob {digest[:12]} arrives damaged, twice"
    remedy = "the disk or the memory of the device may be failing"
    return DeviceError(address, what, remedy, kind=BAD_BLOB)
