"""The transport to a device over SSH: one connection, kept for all processes."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.device.ssh import config as ssh_config
from edgeq.device.transport import Process
from edgeq.errors import InputError, require
from edgeq.spec.destination import Destination, parse

if TYPE_CHECKING:
    from edgeq.device.ssh.link import Link


class SshTransport:
    """See `Transport`. Connects at the first start, and anew when the connection was lost.

    `destination` is what ssh takes: `user@host`, a host, an alias of ~/.ssh/config, or
    `ssh://user@host:port`. The identity of `way` is the first key to be shown, as after `ssh -i`:
    the files that the configuration names come next, then the agent's other keys unless it says
    IdentitiesOnly; the default files do not. `ask` is called with a prompt for the passphrase of
    a key, when no key without one logs in; without it such keys come from the agent or not at all.
    `config_files` are read in their order.

    Raises InputError for what can be no destination, and for an identity that is no file.
    """

    def __init__(
        self,
        destination: str,
        port: int | None = None,
        python: str = "python3",
        way: ssh_config.Way | None = None,
        connect_timeout_s: float = 15.0,
        ask: Callable[[str], str] | None = None,
        config_files: Sequence[Path] | None = None,
    ) -> None:
        self.address = destination
        self.python = python
        parsed = parse(destination)
        self._destination = Destination(parsed.host, parsed.user, port or parsed.port)
        self._way = way or ssh_config.Way()
        if self._way.identity is not None:
            self._way = replace(self._way, identity=_existing(self._way.identity))
        self._connect_timeout_s = connect_timeout_s
        self._ask = ask
        self._config_files = config_files
        self._link: Link | None = None
        self._connecting = threading.Lock()

    def connect(self) -> None:
        """Connect now; nothing if connected.

        Raises DeviceError with its `kind`, one of: name-not-found, unreachable, refused, not-ssh,
        incompatible, host-key-unknown, host-key-changed, auth-failed, passphrase, proxy,
        link-lost. Raises InputError for a configuration of OpenSSH that cannot be read.
        """
        self._connected()

    def start(self, arguments: Sequence[str]) -> Process:
        """See `Transport.start`."""
        if any("\0" in argument for argument in arguments):
            raise ValueError("embedded null byte")
        # Whatever bytes a file's name has, as os.fsencode.
        line = shlex.join(arguments).encode("utf-8", "surrogateescape")
        link = self._connected()
        from edgeq.device.ssh.process import start

        return start(link, line)

    def close(self) -> None:
        """See `Transport.close`."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _connected(self) -> Link:
        with self._connecting:
            if self._link is not None and self._link.alive:
                return self._link
            self.close()
            require("paramiko")
            from edgeq.device.ssh.link import open_link

            files = self._config_files
            if files is None:
                files = ssh_config.default_files()
            hop = ssh_config.resolve(self.address, self._destination, files, self._way)
            timeout_s, shared = self._connect_timeout_s, self._way.shared
            self._link = open_link(hop, self._ask, timeout_s, shared)
            return self._link


def _existing(identity: Path) -> Path:
    try:
        whole = identity.expanduser()
        if whole.is_file():
            return whole
    except (OSError, RuntimeError):  # a folder that may not be entered; no user of that name
        pass
    remedy = "name the file of a private key, or leave it out to have keys taken as ssh would"
    raise InputError("--identity", f"there is no key '{identity}'", remedy)
