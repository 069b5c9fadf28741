"""From a target and an address to a device."""

from __future__ import annotations

import contextlib
import getpass
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeq.device.device import Device
from edgeq.device.local.transport import LocalTransport
from edgeq.errors import DeviceError, InputError
from edgeq.spec.target import Target, build_limits


@dataclass(frozen=True)
class Address:
    """Where a device is: user@host or a name of ~/.ssh/config, and the key to get in with.

    None for both: this machine, or whatever keys SSH would use.
    """

    host: str | None = None
    identity: Path | None = None


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
        return Device(local, local.root(target.root), **options)
    if host is None:
        what = f"target '{target.name}' is reached over SSH, and no address is given"
        raise InputError("--host", what, "add: --host user@address, or a name of ~/.ssh/config")
    from edgeq.device.ssh.transport import SshTransport

    # Who sits at a terminal is asked for the passphrase of a key; nobody else can answer.
    ask = getpass.getpass if sys.stdin.isatty() else None
    transport = SshTransport(host, python=target.python, identity=address.identity, ask=ask)
    return Device(transport, target.root, **options)


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
