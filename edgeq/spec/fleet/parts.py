"""What the files of a fleet say before it is checked together, each with its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeq.spec.fleet.expression import Expression


@dataclass(frozen=True)
class Entry:
    """A device as a file says it, with what stands under its defaults."""

    name: str
    at: Callable[[str], str]
    """file:line of one of its keys"""
    address: str | None = None
    target: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    jump: str | None = None
    host_key: str | None = None
    identity: str | None = None
    """a file by its whole path, as is a target that is named by its file"""
    frame_rate: float | None = None


@dataclass(frozen=True)
class GroupEntry:
    """A group as a file says it: a label expression, or one that was made of a list of names."""

    name: str
    place: str
    meant: str | Expression


@dataclass
class FleetParts:
    """All that was read so far."""

    devices: list[Entry] = field(default_factory=list)
    groups: list[GroupEntry] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


def by_whole_path(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What names a file names it from the folder of the fleet's file."""
    for key, named in (("identity", ""), ("target", ".y")):
        value = given.get(key)
        if value is not None and named in Path(value).suffix:
            given[key] = str(folder.absolute() / Path(value).expanduser())
    return given
