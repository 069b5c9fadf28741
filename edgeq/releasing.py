"""What is done with releases besides a deploy: push one, go back to the one before, look."""

from __future__ import annotations

from pathlib import Path

from edgeq import artifact as artifacts
from edgeq import target as targets
from edgeq.agent.errors import NO_RELEASE
from edgeq.answers import Contents
from edgeq.artifact import Artifact
from edgeq.checking import check_device
from edgeq.device.connection import HERE, Address, connect
from edgeq.device.device import Device
from edgeq.device.examination import require_fit
from edgeq.errors import DeviceError
from edgeq.measurement import Record
from edgeq.progress import Progress, silent
from edgeq.target import Target
from edgeq.trust import require_signed, signers


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
    releases: tuple[Release, ...]
    used_bytes: int
    free_bytes: int
    lock: Holder | None
    environment: str | None
    signed_only: bool


def push(
    artifact: str | Path | Artifact,
    target: str | Target,
    address: Address = HERE,
    activate: bool = False,
    progress: Progress = silent,
) -> Pushed:
    """Send an artifact to a device, and make it the current release if asked to.

    Only what is missing there is sent. A new release is verified by hash and by loading it, and so
    is one that becomes current. Raises InputError, DeviceError.
    """
    opened = artifact if isinstance(artifact, Artifact) else artifacts.read(Path(artifact))
    kind = target if isinstance(target, Target) else targets.load(target)
    with connect(kind, address) as device:
        require_fit(kind, device)
        if activate:
            require_signed(kind, device, opened.signature)
        device.lock(f"push {opened.id[:12]}")
        new = device.send(opened, progress)
        is_current = device.status().current == opened.id
        if new or (activate and not is_current):
            check_device(kind, device)
            device.verify(opened, progress)
        if activate:  # the current one too, so that it is known to be whole and signed
            device.activate(opened.id, signers(kind))
            device.collect()
        return Pushed(
            artifact_id=opened.id,
            device=device.address,
            path=device.release(opened.id),
            new=new,
            blobs_sent=device.sent.blobs,
            bytes_sent=device.sent.size_bytes,
            current=activate or is_current,
        )


def push_steps(
    artifact: str | Path, target: str | Target, address: Address = HERE, activate: bool = False
) -> list[str]:
    """What `push` would do, in words; the device is looked at and not touched."""
    opened = artifacts.read(Path(artifact))
    kind = target if isinstance(target, Target) else targets.load(target)
    with connect(kind, address, keep=False) as device:
        check_device(kind, device)
        if activate:
            require_signed(kind, device, opened.signature)
        found = _status(device)
    there = opened.id in {release.id for release in found.releases}
    steps = [
        f"release {opened.id[:12]} is there already, nothing is sent"
        if there
        else f"push {opened.id[:12]} to {found.device}:{found.root}, and verify it there"
    ]
    if activate and found.current != opened.id:
        steps.append(f"make it current instead of {(found.current or 'nothing')[:12]}")
    return steps


def rollback(target: str | Target, address: Address = HERE) -> Status:
    """Make the previous release the current one; the current one becomes the previous.

    Raises DeviceError: no-release when there is none before it, not-signed.
    """
    kind = target if isinstance(target, Target) else targets.load(target)
    with connect(kind, address) as device:
        device.lock("rollback")
        device.rollback(signers(kind))
        return _status(device)


def rollback_steps(target: str | Target, address: Address = HERE) -> list[str]:
    """What `rollback` would do, in words. DeviceError when there is nothing to go back to."""
    found = status(target, address)
    if found.previous is None:
        what = "there is no release before the current one"
        raise DeviceError(found.device, what, "nothing to go back to", kind=NO_RELEASE)
    return [f"make {found.previous} current instead of {found.current}"]


def status(target: str | Target, address: Address = HERE) -> Status:
    """What is on a device; nothing there is touched. Raises InputError, DeviceError."""
    kind = target if isinstance(target, Target) else targets.load(target)
    with connect(kind, address, keep=False) as device:
        return _status(device)


def holder(device: Device, found: Contents) -> Holder | None:
    """Who else holds a device, as its status says; whatever it says."""
    lock = found.lock
    if not lock or lock.get("pid") == device.hello.pid:
        return None
    words = {name: str(lock.get(name) or "") for name in Holder.model_fields}
    return Holder.model_validate({**words, "who": words["who"] or "another session"})


def _status(device: Device) -> Status:
    found = device.status()
    told = found.model_dump()
    fields = {name: told[name] for name in Status.model_fields if name in told}
    own = {"device": device.address, "root": device.root, "lock": holder(device, found)}
    return Status.model_validate({**fields, **own})
