"""From a target and an address to a device."""

from __future__ import annotations

import contextlib
import getpass
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeq.device.device import Device
from edgeq.device.local.transport import LocalTransport
from edgeq.device.pace import Pace
from edgeq.errors import DeviceError, InputError
from edgeq.spec.target import Target, build_limits

if TYPE_CHECKING:
    from edgeq.device.ssh.shared import Shared


@dataclass(frozen=True)
class Address:
    """Where a device is: user@host or a name of ~/.ssh/config, and the way to get there.

    None for all: this machine, or what SSH would do by its configuration.
    """

    host: str | None = None
    identity: Path | None = None
    """the key to get in with"""
    jump: str | None = None
    """hosts to go through, with commas between them, or 'none'"""
    host_key: str | None = None
    """the fingerprint that it has to show, whatever known_hosts says"""
    shared: Shared | None = field(default=None, compare=False, repr=False)
    """what the connections to many devices have in common"""
    pace: Pace | None = field(default=None, compare=False, repr=False)
    """how fast files are sent"""


HERE = Address()


def connect(target: Target, address: Address = HERE, keep: bool = True) -> Device:
    """The device that a target and an address mean; it is reached at the first need.

    Raises InputError when the target wants an address and has none, or the other way round.
    """
    host = address.host
    options: dict[str, Any] = {
        "limit_bytes": target.limits.disk_bytes,
        "keep": keep,
        "share_engines": target.share_engines,
        "build_limits": build_limits(target),
    }
    if target.transport == "local":
        if host is not None:
            what = f"target '{target.name}' is this machine"
            raise InputError("--host", what, "leave it out, or name the target of that board")
        local = LocalTransport()
        return _paced(Device(local, local.root(target.root), **options), address)
    if host is None:
        what = f"target '{target.name}' is reached over SSH, and no address is given"
        raise InputError("--host", what, "add: --host user@address, or a name of ~/.ssh/config")
    from edgeq.device.ssh.config import Way
    from edgeq.device.ssh.transport import SshTransport

    ask = asking() if address.shared is None else address.shared.ask
    way = Way(address.identity, address.jump, address.host_key, address.shared)
    transport = SshTransport(host, python=target.python, way=way, ask=ask)
    return _paced(Device(transport, target.root, **options), address)


def _paced(device: Device, address: Address) -> Device:
    device.files.pace = address.pace
    return device


def asking() -> Callable[[str], str] | None:
    """How to ask for the passphrase of a key: who sits at a terminal; nobody else can answer."""
    return getpass.getpass if sys.stdin.isatty() else None


def host() -> Device:
    """This machine, where the float model and the simulated plan run; others may use it too."""
    local = LocalTransport()
    device = Device(local, local.root("~/.edgeq/host"))
    try:
        # Whoever finds nobody else at work tidies up.
        with contextlib.suppress(DeviceError):
            device.lock("collection", wait_s=0.0)
            device.collect()
        device.lock("predictions", shared=True, wait_s=60.0)
    except BaseException:
        device.close()
        raise
    return device
