"""The bytes that SSH runs over: TCP, a channel of a jump host, or a command's pipes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
from typing import Any

import paramiko

from edgeq.device.ssh.config import Hop
from edgeq.errors import NAME_NOT_FOUND, PROXY, REFUSED, UNREACHABLE, DeviceError

LOOK_AT_THE_WAY = "see whether it is switched on and in this network: ping it"
_DEAD_AFTER_S = 30
_PROHIBITED = 1
"""SSH_OPEN_ADMINISTRATIVELY_PROHIBITED of RFC 4254"""
_SENT_S = 1.5
"""How long a word to a jump host may take that is being said when its channel is closed."""


class Tunnel:
    """A channel of a jump host, which others use too: nothing is said on it after its end.

    Paramiko's channels may send data behind the message that closes them, where two threads are
    at it; OpenSSH then ends the whole connection.
    """

    def __init__(self, channel: paramiko.Channel) -> None:
        self._channel = channel
        self._sending = threading.Lock()

    def send(self, data: bytes) -> int:
        """See socket."""
        with self._sending:
            return self._channel.send(data)

    def close(self) -> None:
        """See socket; one whose jump host is gone is closed already."""
        # Who waits for room to send in says nothing more once it is closed.
        is_alone = self._sending.acquire(timeout=_SENT_S)
        try:
            with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
                self._channel.close()
        finally:
            if is_alone:
                self._sending.release()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)


Stream = socket.socket | Tunnel


def dial(hop: Hop, timeout_s: float) -> socket.socket:
    """A TCP connection. Raises DeviceError: name-not-found, refused, unreachable."""
    try:
        stream = socket.create_connection((hop.host, hop.port), timeout_s, all_errors=True)
    except (socket.gaierror, UnicodeError) as exc:
        reason = exc.args[-1] if exc.args else exc
        what = f"there is no host of the name '{hop.host}' ({reason})"
        remedy = "check the spelling, the name server, or add it to ~/.ssh/config"
        raise hop.error(what, remedy, NAME_NOT_FOUND) from exc
    except ExceptionGroup as group:
        # One for each of its addresses; a host that refuses is at least there.
        causes = group.exceptions
        refused = next((c for c in causes if isinstance(c, ConnectionRefusedError)), None)
        raise _unreachable(hop, refused or causes[-1], timeout_s) from group
    except OSError as exc:
        raise _unreachable(hop, exc, timeout_s) from exc
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Unanswered keepalives end the connection, instead of a quarter of an hour later.
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_S * 1000)
    return stream


def tunnel(jump: paramiko.Transport, name: str, hop: Hop, timeout_s: float) -> Tunnel:
    """A channel of a jump host.

    Raises DeviceError, unreachable or proxy; SSHException when the jump host's link ended.
    """
    place = f"{hop.host} port {hop.port}"
    try:
        return Tunnel(
            jump.open_channel(
                "direct-tcpip", (hop.host, hop.port), ("127.0.0.1", 0), timeout=timeout_s
            )
        )
    except paramiko.ChannelException as exc:
        # Why it failed is told by the jump host, and kept to itself by paramiko.
        what = f"{place} cannot be reached through jump host {name}"
        if exc.code == _PROHIBITED:
            remedy = "allow it there: AllowTcpForwarding in sshd_config"
            raise hop.error(f"{what}: it forbids forwarding", remedy, PROXY) from exc
        remedy = f"see whether {name} knows this name, the device is on, and sshd listens there"
        raise hop.error(what, remedy, UNREACHABLE) from exc
    except paramiko.SSHException as exc:
        if not jump.is_active():
            raise
        what = f"{place} does not answer through jump host {name} within {timeout_s:g} s"
        raise hop.error(what, LOOK_AT_THE_WAY, UNREACHABLE) from exc


def _no_sshd(hop: Hop) -> str:
    """What to do about a port that nobody listens on."""
    return f"see whether sshd runs there (systemctl status ssh) and listens on port {hop.port}"


class ProxyCommand:
    """A command of the configuration, whose standard input and output lead to the host."""

    def __init__(self, hop: Hop, command: str) -> None:
        self._line = command
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)
        self.stream, theirs = socket.socketpair()
        with theirs:
            # The user's own line, which OpenSSH gives to the user's shell as well.
            shell = os.environ.get("SHELL") or "/bin/sh"
            try:
                self._process = subprocess.Popen(
                    [shell, "-c", command],
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=self._stderr,
                    start_new_session=True,
                )
            except OSError as exc:
                self.stream.close()
                self._stderr.close()
                what = f"ProxyCommand '{command}' cannot be run: {exc}"
                raise hop.error(what, "see ~/.ssh/config", PROXY) from exc

    def failed(self, hop: Hop) -> DeviceError | None:
        """The error of a command that ended, with its last words."""
        try:
            status = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return None
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        said = lines[-1] if lines else f"status {status}"
        what = f"ProxyCommand '{self._line}' ended: {said}"
        return hop.error(what, "run it by hand", PROXY)

    def close(self) -> None:
        """End the command and what it started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
                break
        self._stderr.close()


def _unreachable(hop: Hop, exc: BaseException, timeout_s: float) -> DeviceError:
    place = f"{hop.host} port {hop.port}"
    if isinstance(exc, ConnectionRefusedError):
        return hop.error(f"{place} refuses connections", _no_sshd(hop), REFUSED)
    if isinstance(exc, TimeoutError):
        what = f"{place} does not answer within {timeout_s:g} s"
    else:
        what = f"{place} cannot be reached: {getattr(exc, 'strerror', None) or exc}"
    return hop.error(what, LOOK_AT_THE_WAY, UNREACHABLE)
