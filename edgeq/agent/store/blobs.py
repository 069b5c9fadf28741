"""Blobs: what is missing, receiving it as it comes, and making it last."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import time
from typing import TYPE_CHECKING, Any, Iterator

from ..errors import BAD_BLOB, BAD_REQUEST, LOCKED, AgentError, raise_problems
from ..names import unique
from ..wire.frames import PIECE_BYTES
from . import disk
from .session import AgentSession, Whole

if TYPE_CHECKING:
    from pathlib import Path

    from ..wire.arguments import Arguments
    from .layout import Layout

SEND_AGAIN = "send it again"
_INSTANT_S = 2.0


def have(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Which blobs are missing, and how much of each is there already."""
    hashes = arguments.hashes("hashes")
    arguments.check()
    session.used.update(hashes)
    missing = [digest for digest in dict.fromkeys(hashes) if not is_there(session, digest)]
    partial = {digest: _part_bytes(session.layout.part(digest)) for digest in missing}
    return {
        "missing": missing,
        "partial": {digest: count for digest, count in partial.items() if count},
    }


def is_there(session: AgentSession, digest: str) -> bool:
    """Whether there is a blob that this session has not seen to be damaged."""
    return digest not in session.damaged and is_file(session.layout.blob(digest))


def is_file(path: Path) -> bool:
    """Whether this is a regular file, and no link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def check_hash(path: Path, digest: str) -> None:
    """AgentError (bad-blob) unless a file is there and has that hash."""
    if not path.is_file() or hash_of(path) != digest:
        raise AgentError(BAD_BLOB, str(path), "is not what was sent", SEND_AGAIN)


def checked_blob(layout: Layout, digest: str) -> Path:
    """The file of a blob, hashed again; AgentError (bad-blob)."""
    path = layout.blob(digest)
    check_hash(path, digest)
    return path


def recheck(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Hash blobs that are there; those that are damaged count as missing in this session."""
    hashes = arguments.hashes("hashes")
    arguments.check()
    found = [digest for digest in hashes if is_file(session.layout.blob(digest))]
    known = session.damaged
    damaged = [digest for digest in found if digest in known or not _is_intact(session, digest)]
    session.damaged.update(damaged)
    return {"damaged": damaged}


def put(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Receive one blob, from `offset` on; what has arrived stays, wherever it is cut.

    AgentError: bad-blob when its hash is another, bad-request for an offset where nothing ends.
    """
    digest = arguments.hash("hash")
    size_bytes = arguments.integer("size", 0)
    offset = arguments.integer("offset", 0, 0)
    if offset + arguments.integer("bytes", 0, 0) != size_bytes:
        arguments.note("bytes", "must be size - offset")
    arguments.check()
    session.enter()
    session.used.add(digest)
    if digest in session.whole or _is_intact(session, digest, size_bytes):
        return {"new": False}
    with _opened_part(session, digest, offset) as part:
        there_bytes = os.fstat(part.fd).st_size
        # One that is whole is left alone: another session may be about to commit it, or just has.
        if there_bytes != size_bytes or _hash_of(part.fd) != digest:
            if offset not in (0, there_bytes):
                what = f"ends at {there_bytes} bytes, not at {offset}"
                remedy = "ask 'have' and go on from there"
                raise AgentError(BAD_REQUEST, str(part.path), what, remedy)
            _receive(session, part, digest, size_bytes, offset)
        status = os.fstat(part.fd)
    session.whole[digest] = Whole(part.path, status.st_ino, status.st_size, status.st_mtime_ns)
    return {"new": True}


def _receive(
    session: AgentSession, part: disk.DurableFile, digest: str, size_bytes: int, offset: int
) -> None:
    hasher = hashlib.sha256()
    disk.truncate(part, offset)
    _hash_file(part.fd, hasher.update)
    for piece in session.wire.raw():
        disk.write(part, piece)
        hasher.update(piece)
    if hasher.hexdigest() != digest:
        disk.remove(part.path)
        what = f"has sha256 {hasher.hexdigest()} after {size_bytes} bytes, expected {digest}"
        raise AgentError(BAD_BLOB, str(part.path), what, SEND_AGAIN)


def commit(session: AgentSession) -> int:
    """Make all blobs that this session received last, and give them their names; their count."""
    if not session.whole:
        return 0
    received = dict(session.whole)
    # Whatever happens, what could not be committed has to be sent again.
    session.whole.clear()
    disk.sync_all(session.layout.root, [whole.path for whole in received.values()])
    problems = []
    for digest, whole in received.items():
        problems += _name(session, digest, whole)
    disk.sync(session.layout.blobs)
    raise_problems(BAD_BLOB, str(session.layout.incoming), problems, SEND_AGAIN)
    return len(received)


def commit_all(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """The operation `commit`."""
    session.enter()
    return {"blobs": commit(session)}


def hash_of(path: Path) -> str:
    """The sha256 of a file."""
    fd = os.open(str(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _hash_of(fd)
    finally:
        os.close(fd)


def _hash_of(fd: int) -> str:
    hasher = hashlib.sha256()
    _hash_file(fd, hasher.update)
    return hasher.hexdigest()


def _hash_file(fd: int, update: Any) -> None:
    """Hash a file from its beginning, and leave its position at the end of what is there."""
    os.lseek(fd, 0, os.SEEK_SET)
    piece = memoryview(bytearray(PIECE_BYTES))
    while True:
        count = os.readv(fd, [piece])
        if count == 0:
            return
        update(piece[:count])


def _is_intact(session: AgentSession, digest: str, size_bytes: int | None = None) -> bool:
    """Whether a blob is there and is what its name says: a damaged one is received again."""
    path = session.layout.blob(digest)
    # What has another size need not be read, and may be of any.
    if not is_file(path) or (size_bytes is not None and path.stat().st_size != size_bytes):
        return False
    return hash_of(path) == digest


def _part_bytes(path: Path) -> int:
    """How much of a blob is there for this session to go on from."""
    if not is_file(path):
        return 0
    fd = os.open(str(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.fstat(fd).st_size if _take(fd) else 0
    finally:
        os.close(fd)


@contextlib.contextmanager
def _opened_part(session: AgentSession, digest: str, offset: int) -> Iterator[disk.DurableFile]:
    """The part of a blob, locked; one of this session's own while another receives the same."""
    path = session.layout.part(digest)
    if not is_file(path) and os.path.lexists(str(path)):
        disk.remove_tree(path)
    part = disk.open_file(path)
    # Going on has nowhere else to go; who only asked 'have' holds the part for an instant.
    if not (_take_soon(part.fd) if offset else _take(part.fd)):
        os.close(part.fd)
        if offset:
            what = "is being sent by another session"
            raise AgentError(LOCKED, str(path), what, "send it from the beginning, or wait")
        part = disk.open_file(path.with_name(f"{digest}.{unique()}.part"))
        _take(part.fd)
    try:
        yield part
    finally:
        os.close(part.fd)


def _take(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _take_soon(fd: int) -> bool:
    """Take what another session may hold for an instant, to see whether it is whole."""
    deadline_s = time.monotonic() + _INSTANT_S
    while not _take(fd):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def _name(session: AgentSession, digest: str, whole: Whole) -> list[str]:
    """Make a part a blob, unless it is no longer what this session received and synced."""
    blob = session.layout.blob(digest)
    try:
        fd = os.open(str(whole.path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return [] if is_file(blob) else [f"{whole.path.name} has gone"]
    try:
        is_ours = _take_soon(fd)
        status = os.fstat(fd)
        now = Whole(whole.path, status.st_ino, status.st_size, status.st_mtime_ns)
        if not is_ours or now != whole or not whole.path.exists():
            return [] if is_file(blob) else [f"{whole.path.name} was changed by another session"]
        if blob.is_dir():
            disk.remove_tree(blob)
        disk.rename(whole.path, blob)
        session.damaged.discard(digest)
    finally:
        os.close(fd)
    return []
