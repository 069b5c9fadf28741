"""What is on a device, and going back to the release before."""

from __future__ import annotations

from edgeq.agent.errors import NO_RELEASE
from edgeq.device.connection import HERE, Address, connect
from edgeq.device.device import Device
from edgeq.device.trust import signers
from edgeq.errors import DeviceError
from edgeq.records.answers import Contents
from edgeq.records.device import Holder, Status
from edgeq.spec import target as targets
from edgeq.spec.target import Target


def rollback(target: str | Target, address: Address = HERE, forth: bool = False) -> Status:
    """Make the previous release the current one; the current one becomes the previous.

    What a rollback left is nothing to go back to: only `forth` does, to undo that rollback. Raises
    DeviceError: no-release when there is none in that direction, not-signed.
    """
    kind = target if isinstance(target, Target) else targets.load(target)
    with connect(kind, address) as device:
        device.lock("rollback")
        device.rollback(signers(kind), forth)
        return status_of(device)


def rollback_steps(target: str | Target, address: Address = HERE, forth: bool = False) -> list[str]:
    """What `rollback` would do, in words. DeviceError when there is nothing to go back to."""
    found = status(target, address)
    if found.previous is None:
        what = "there is no release before the current one"
        raise DeviceError(found.device, what, "nothing to go back to", kind=NO_RELEASE)
    if found.rolled_back is not forth:
        what = "was not rolled back" if forth else f"was rolled back already, from {found.previous}"
        raise DeviceError(found.device, what, "see --forth", kind=NO_RELEASE)
    return [f"make {found.previous} current instead of {found.current}"]


def status(target: str | Target, address: Address = HERE) -> Status:
    """What is on a device; nothing there is touched. Raises InputError, DeviceError."""
    kind = target if isinstance(target, Target) else targets.load(target)
    with connect(kind, address, keep=False) as device:
        return status_of(device)


def holder(device: Device, found: Contents) -> Holder | None:
    """Who else holds a device, as its status says; whatever it says."""
    lock = found.lock
    if not lock or lock.get("pid") == device.hello.pid:
        return None
    words = {name: str(lock.get(name) or "") for name in Holder.model_fields}
    return Holder.model_validate({**words, "who": words["who"] or "another session"})


def status_of(device: Device) -> Status:
    """What is on a device that is connected to."""
    found = device.status()
    told = found.model_dump()
    fields = {name: told[name] for name in Status.model_fields if name in told}
    own = {"device": device.address, "root": device.root, "lock": holder(device, found)}
    return Status.model_validate({**fields, **own})
