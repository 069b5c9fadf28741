"""What is on a device, and what a push did there."""

from __future__ import annotations

from edgeq.records.record import Record


class Pushed(Record):
    """What a push did: which release, where it lies, and what had to be sent for it."""

    artifact_id: str
    device: str
    path: str
    new: bool
    blobs_sent: int
    bytes_sent: int
    current: bool


class Release(Record):
    """One release on a device."""

    id: str
    bytes: int
    signed: bool


class Holder(Record):
    """Who keeps a device for themselves."""

    who: str
    what: str = ""
    since: str = ""


class Status(Record):
    """What is on a device."""

    device: str
    root: str
    current: str | None
    previous: str | None
    rolled_back: bool = False
    """whether the previous one is what a rollback left: another rollback does not go there"""
    releases: tuple[Release, ...]
    used_bytes: int
    free_bytes: int
    lock: Holder | None
    environment: str | None
    signed_only: bool
