"""Sets: lists of blobs that are in use without a release, such as images of an evaluation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from . import disk

if TYPE_CHECKING:
    from pathlib import Path

    from ..wire.arguments import Arguments
    from .session import AgentSession


def remember(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Keep a set of blobs as in use; a set of that name becomes the newest."""
    name = arguments.plain_name("name")
    hashes = arguments.hashes("hashes")
    arguments.check()
    session.enter()
    # Boards without a clock: a set is newer by its number, not by its time.
    serial = max((read_set(path)[0] for path in session.layout.sets.iterdir()), default=0) + 1
    content = json.dumps({"serial": serial, "hashes": hashes}).encode("ascii")
    disk.write_whole(session.layout.sets / name, content, session.layout.temporary())
    return {}


def read_set(path: Path) -> tuple[int, list[str]]:
    """The number and the blobs of a set; one that cannot be read is the oldest and empty."""
    try:
        document = json.loads(path.read_bytes().decode("utf-8"))
        return int(document["serial"]), [str(digest) for digest in document["hashes"]]
    except (OSError, ValueError, KeyError, TypeError):
        return 0, []
