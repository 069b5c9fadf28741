"""Sending blobs: what is missing, one after the other without waiting, from where it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgeq.device.session import Session
from edgeq.errors import DeviceError, InputError
from edgeq.progress import Progress, silent

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
) -> Sent:
    """Send what the device lacks of hash to content, durable and checked when this returns.

    Progress counts bytes. Raises DeviceError: no-room before anything is sent, bad-blob for what
    arrives damaged twice; InputError for a file that changed since it was hashed.
    """
    found = session.ask("have", {"hashes": list(contents)})
    missing = {digest: contents[digest] for digest in found["missing"]}
    if not missing:
        return Sent()
    sizes = {digest: _size(content) for digest, content in missing.items()}
    # A longer part than the file is a stranger's; it is begun anew.
    there = {d: n if n <= sizes[d] else 0 for d, n in found["partial"].items()}
    total = sum(sizes.values()) - sum(there.values())
    session.ask("room", {"bytes": total, "limit_bytes": limit_bytes})
    done = 0

    def sending(digest: str, offset: int) -> Iterator[bytes]:
        nonlocal done
        for piece in _pieces(missing[digest], offset, sizes[digest]):
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
            if exc.kind != "bad-blob":
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


def _size(content: Content) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _pieces(content: Content, offset: int, size: int) -> Iterator[bytes]:
    if isinstance(content, bytes):
        for start in range(offset, size, _CHUNK):
            yield content[start : start + _CHUNK]
        return
    left = size - offset
    with content.open("rb") as stream:
        stream.seek(offset)
        while left > 0:
            piece = stream.read(min(_CHUNK, left))
            # The frame has said how long it is; what a shrunken file lacks is filled up, and the
            # hash tells.
            piece = piece or bytes(min(_CHUNK, left))
            left -= len(piece)
            yield piece


def _never_right(address: str, content: Content, digest: str) -> DeviceError | InputError:
    if isinstance(content, Path):
        import hashlib

        if hashlib.sha256(content.read_bytes()).hexdigest() != digest:
            what = "changed while it was being sent"
            return InputError(str(content), what, "run it again when nothing writes to it")
    what = f"blob {digest[:12]} arrives damaged, twice"
    return DeviceError(address, what, "the disk or the memory of the device may be failing")
