"""Files that the host fetches: of a run, in `work/`, under plain names, and blobs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Iterator

from ..errors import NO_FILE, AgentError
from ..wire.frames import PIECE_BYTES, Gone
from . import disk
from .blobs import is_file

if TYPE_CHECKING:
    from pathlib import Path

    from ..wire.arguments import Arguments
    from .session import AgentSession


def get(session: AgentSession, arguments: Arguments) -> None:
    """Send a file; this answers by itself."""
    name = arguments.plain_name("name")
    arguments.check()
    _send(session, session.layout.work / name, "run the job that writes it again")


def blob(session: AgentSession, arguments: Arguments) -> None:
    """Send a blob, which is not checked here; this answers by itself."""
    digest = arguments.hash("hash")
    arguments.check()
    _send(session, session.layout.blob(digest), "push the release again")


def _send(session: AgentSession, path: Path, remedy: str) -> None:
    if not is_file(path):
        raise AgentError(NO_FILE, str(path), "is not there", remedy)
    fd = os.open(str(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        size_bytes = os.fstat(fd).st_size
        frame = {"ok": {"name": path.name, "size_bytes": size_bytes}, "bytes": size_bytes}
        session.wire.send(frame, _pieces(fd, size_bytes))
    finally:
        os.close(fd)


def remove(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Remove a file; whether it was there."""
    name = arguments.plain_name("name")
    arguments.check()
    session.enter()
    path = session.layout.work / name
    is_there = os.path.lexists(str(path))
    if is_there:
        disk.remove_tree(path)
    return {"removed": is_there}


def _pieces(fd: int, size_bytes: int) -> Iterator[bytes]:
    left = size_bytes
    while left:
        piece = os.read(fd, min(left, PIECE_BYTES))
        if not piece:
            # The frame has promised more; nothing that follows could be understood.
            raise Gone("a file became shorter while it was sent")
        left -= len(piece)
        yield piece
