"""A connection to a host: TCP, or a way around, then keys exchanged, host known, user logged in."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from functools import partial
from typing import Any

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from edgeq.device.asking import Ask
from edgeq.device.ssh import host_keys
from edgeq.device.ssh import keys as ssh_keys
from edgeq.device.ssh.config import Hop
from edgeq.device.ssh.packets import Packets
from edgeq.device.ssh.shared import Shared
from edgeq.device.ssh.stream import LOOK_AT_THE_WAY, ProxyCommand, Stream, dial, tunnel
from edgeq.errors import INCOMPATIBLE, LINK_LOST, NOT_SSH, REFUSED, UNREACHABLE, DeviceError

_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes128-ctr",
    "aes256-gcm@openssh.com",
    "aes192-ctr",
    "aes256-ctr",
)
_KEEPALIVE_S = 10
LOGIN_S = 30.0
"""How long a server may take to say whether a key is right: it may ask others."""
_GRACE_S = 2.0
"""How long a jump host that others use is told that a device behind it is left."""
_LOOK_S = 1.0
"""How often paramiko's thread looks whether to keep alive; closing wakes it."""
_QUIET = "edgeq.ssh"


class Link:
    """A connection that is up, with the one it goes through, unless that is others' too."""

    def __init__(
        self, hop: Hop, before: Link | None, timeout_s: float, is_shared: bool = False
    ) -> None:
        self.hop = hop
        self._before = before
        self._owned = None if is_shared else before
        self._timeout_s = timeout_s
        self._command: ProxyCommand | None = None
        self._transport: paramiko.Transport | None = None
        self._stream = self._reach(before)

    @property
    def alive(self) -> bool:
        """Whether it still holds, as far as is known."""
        before = self._before is None or self._before.alive
        return before and self._transport is not None and self._transport.is_active()

    def ends_within(self, timeout_s: float) -> bool:
        """Whether it ends in that time, which is waited for."""
        if self._transport is not None:
            self._transport.join(timeout_s)
        return not self.alive

    def log_in(self, ask: Ask | None, shared: Shared | None = None) -> None:
        """Exchange keys, know the host, log in. Raises DeviceError."""
        keys = host_keys.known_keys(self.hop)
        transport = self._greet(host_keys.algorithms(self.hop, keys))
        shown = transport.get_remote_server_key()
        host_keys.check(self.hop, keys, shown.get_name(), shown.asbytes())
        try:
            ssh_keys.authenticate(transport, self.hop, ask, shared)
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise self.lost(exc) from exc
        transport.set_keepalive(_KEEPALIVE_S)
        self._stream.settimeout(_LOOK_S)

    def session(self) -> paramiko.Channel:
        """A channel for a process. Raises DeviceError."""
        assert self._transport is not None
        try:
            return self._transport.open_session(timeout=self._timeout_s)
        except paramiko.ChannelException as exc:
            what = f"the server opens no session: {exc.text or exc.code}"
            raise self.hop.error(what, "see MaxSessions in its sshd_config", REFUSED) from exc
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise self.lost(exc) from exc

    def lost(self, cause: BaseException | None = None) -> DeviceError:
        """The error for a link that broke."""
        cause = cause or (self._transport.get_exception() if self._transport else None)
        said = str(cause) if cause is not None else ""
        what = "the connection broke" + (f": {said}" if said else "")
        remedy = "check the device's power and network, then run the command again"
        return self.hop.error(what, remedy, LINK_LOST)

    def close(self) -> None:
        """End it and all it goes through, at once: nothing is waited for that may never come."""
        link: Link | None = self
        links = []
        while link is not None:
            links.append(link)
            link = link._owned
        lowest = links[-1]
        if lowest._before is not None:
            # What is below goes on, and is told; that may wait behind others, for ever when the
            # link is dead.
            teller = threading.Thread(target=lowest._tell, name="edgeq-ssh-leave", daemon=True)
            teller.start()
            teller.join(_GRACE_S)
        else:
            # From the network up; what is above then ends by itself instead of saying goodbye to a
            # host that may be gone.
            with contextlib.suppress(OSError):
                lowest._stream.shutdown(socket.SHUT_RDWR)
        for link in reversed(links):
            link._free()

    def _tell(self) -> None:
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._stream.close()

    def _free(self) -> None:
        if self._transport is not None:
            self._transport.packetizer.complete_handshake()  # its timer is a thread
            self._transport.close()
            if self._transport.is_alive():
                self._transport.join(2.0)
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._stream.close()
        if self._command is not None:
            self._command.close()

    def _reach(self, before: Link | None) -> Stream:
        if before is not None:
            assert before._transport is not None
            try:
                return tunnel(before._transport, before.hop.name, self.hop, self._timeout_s)
            except (paramiko.SSHException, OSError, EOFError) as exc:
                lost = before.lost(exc)
                raise DeviceError(self.hop.device, lost.what, lost.remedy, lost.kind) from exc
        if self.hop.command is not None:
            self._command = ProxyCommand(self.hop, self.hop.command)
            return self._command.stream
        return dial(self.hop, self._timeout_s)

    def _greet(self, algorithms: tuple[str, ...]) -> paramiko.Transport:
        # A tunnel is a channel to it, whatever its types say.
        stream: Any = self._stream
        transport = paramiko.Transport(stream, packetizer_class=Packets)
        self._transport = transport
        _silence(transport)
        options = transport.get_security_options()
        options.key_types = algorithms
        options.ciphers = _CIPHERS
        transport.banner_timeout = transport.handshake_timeout = self._timeout_s
        transport.auth_timeout = max(LOGIN_S, self._timeout_s)
        started = time.monotonic()
        try:
            transport.start_client(timeout=self._timeout_s)
        except IncompatiblePeer as exc:
            remedy = "update the SSH server, or allow it today's algorithms"
            raise self.hop.error(
                f"has no algorithm in common: {exc}", remedy, INCOMPATIBLE
            ) from exc
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise self._mute(transport, exc, time.monotonic() - started) from exc
        if not transport.initial_kex_done:
            raise self._mute(transport, None, time.monotonic() - started)
        return transport

    def _mute(
        self, transport: paramiko.Transport, cause: BaseException | None, waited_s: float
    ) -> DeviceError:
        """The error for what is no SSH server, or stopped being one."""
        place = f"{self.hop.host} port {self.hop.port}"
        if self._command is not None and (failed := self._command.failed(self.hop)) is not None:
            return failed
        if transport.remote_version:
            if waited_s >= self._timeout_s:
                what = f"{place} stopped answering while keys were exchanged"
                return self.hop.error(what, LOOK_AT_THE_WAY, UNREACHABLE)
            return self.lost(cause)
        if waited_s >= self._timeout_s:
            what = f"{place} took the connection and said nothing for {self._timeout_s:g} s"
        else:
            what = f"{place} took the connection and did not answer as an SSH server"
        remedy = (
            "see whether this is sshd's port; if it is, whether sshd is overloaded (MaxStartups) "
            "or turns this machine away"
        )
        return self.hop.error(what, remedy, NOT_SSH)


def open_link(hop: Hop, ask: Ask | None, timeout_s: float, shared: Shared | None = None) -> Link:
    """Connect to a host, through its jump hosts first. Raises DeviceError."""
    before = None
    if hop.behind is not None:
        open_before = partial(open_link, hop.behind, ask, timeout_s, shared)
        before = open_before() if shared is None else shared.jump(hop.behind, open_before)
    wait_s = hop.connect_timeout_s or timeout_s
    try:
        link = Link(hop, before, wait_s, is_shared=shared is not None)
    except BaseException:
        if before is not None and shared is None:
            before.close()
        raise
    try:
        link.log_in(ask, shared)
    except BaseException:
        link.close()
        raise
    return link


def _silence(transport: paramiko.Transport) -> None:
    """Its thread would print tracebacks; what went wrong is raised here instead."""
    logger = logging.getLogger(_QUIET)
    logger.disabled = True
    transport.set_log_channel(_QUIET)
