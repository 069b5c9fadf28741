"""How much room the root takes, how much there is, and what is taken for what is to come."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import NO_ROOM, AgentError
from .layout import free_bytes

if TYPE_CHECKING:
    from ..wire.arguments import Arguments
    from .session import AgentSession

RESERVE_BYTES = 16 << 20
REMEDY = "free some space, raise the limit, or choose another root"
_MIB = 1 << 20


def room(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Used and free bytes when `bytes` more fit, after a collection where they did not before.

    AgentError (no-room) with all figures when they do not.
    """
    needed_bytes = arguments.integer("bytes", 0)
    limit_bytes = arguments.optional_integer("limit_bytes")
    arguments.check()
    session.enter()
    figures = measure(session)
    if _fits(figures, needed_bytes, limit_bytes):
        return figures
    if session.lock.mode == "exclusive":
        from .collect import collect

        collect(session)
        figures = measure(session)
        if _fits(figures, needed_bytes, limit_bytes):
            return figures
    what = shortage(needed_bytes, limit_bytes, **figures)
    raise AgentError(NO_ROOM, str(session.layout.root), what, REMEDY)


def shortage(needed_bytes: int, limit_bytes: int | None, used_bytes: int, free_bytes: int) -> str:
    """What does not fit where, with all figures; the host says it in the same words."""
    limit = "no limit" if limit_bytes is None else f"the limit is {_mib(limit_bytes)}"
    return (
        f"{_mib(needed_bytes)} are to come, {_mib(used_bytes)} are used, {limit}, "
        f"{_mib(free_bytes)} are free on the disk, of which {_mib(RESERVE_BYTES)} stay free"
    )


def measure(session: AgentSession) -> dict[str, int]:
    """Bytes of all files below the root, and bytes free on its filesystem."""
    root = session.layout.root
    return {"used_bytes": used_bytes(root), "free_bytes": free_bytes(root)}


def used_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, links not counted."""
    total = 0
    try:
        with os.scandir(str(folder)) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += used_bytes(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    total += entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        pass
    return total


def _fits(figures: dict[str, int], needed_bytes: int, limit_bytes: int | None) -> bool:
    if limit_bytes is not None and figures["used_bytes"] + needed_bytes > limit_bytes:
        return False
    return needed_bytes + RESERVE_BYTES <= figures["free_bytes"]


def _mib(count: int) -> str:
    return f"{count / _MIB:.1f} MiB"
