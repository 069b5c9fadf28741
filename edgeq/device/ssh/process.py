"""A process at the other end of an SSH connection."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import paramiko

from edgeq.device.ssh.link import Link
from edgeq.device.transport import STDERR_TAIL, ProcessEnd
from edgeq.errors import INPUT_CLOSED, REFUSED, DeviceError

_CHUNK = 1 << 20
_OVERHEAD = 64
"""What paramiko takes off the largest packet of a channel."""
_GRACE_S = 2.0
_WAKE_S = 0.5
"""How long a writer may stay in the middle of a packet once the process is closed."""


def start(link: Link, command: bytes) -> SshProcess:
    """Have the user's login shell there run a line. Raises DeviceError."""
    channel = link.session()
    process = SshProcess(link, channel)
    try:
        channel.exec_command(command)
    except (OSError, EOFError, paramiko.SSHException) as exc:
        process.close()
        if link.alive and not link.ends_within(0.2):
            what = "the server runs no commands for this user"
            remedy = "see ForceCommand and the user's shell there"
            raise link.hop.error(what, remedy, REFUSED) from exc
        raise link.lost(exc) from exc
    return process


class SshProcess:
    """See `Process`. One thread reads, one writes, any closes."""

    def __init__(self, link: Link, channel: paramiko.Channel) -> None:
        self._link = link
        self._channel = channel
        self._piece = max(channel.out_max_packet_size - _OVERHEAD, 1024)
        self._stderr = b""
        self._closing = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        # Either output wakes the reader: standard error must not fill the window they share.
        self._news = threading.Event()
        channel.in_buffer.set_event(self._news)
        channel.in_stderr_buffer.set_event(self._news)

    def write(self, data: bytes | memoryview) -> None:
        """See `Process.write`.

        A process that closes its input and lives on is not noticed: the server throws away what
        it will not take, and tells only clients of OpenSSH's own. One that lives and does not read,
        or a server that hangs, is waited for until `close`, which ends the wait within a second.
        """
        view = memoryview(data).cast("B")
        self._idle.clear()
        try:
            while len(view):
                if self._closing.is_set():
                    raise self._deaf()
                # Sliced here, as paramiko would copy all the rest for each packet. It takes any
                # buffer, whatever its types say.
                piece: Any = view[: self._piece]
                sent = self._channel.send(piece)
                if sent == 0:
                    raise self._deaf()
                view = view[sent:]
        except (OSError, EOFError, paramiko.SSHException) as exc:
            raise self._deaf() from exc
        finally:
            self._idle.set()
        if not self._link.alive:
            raise self._deaf()

    def read(self, timeout_s: float) -> bytes | None:
        """See `Process.read`."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._news.clear()
            # Before looking for data: what came before the end must not be missed.
            over = self._over()
            self._drain()
            if self._channel.recv_ready():
                try:
                    return self._channel.recv(_CHUNK)
                except (OSError, EOFError, paramiko.SSHException) as exc:
                    raise self._link.lost(exc) from exc
            if over:
                if self._broken():
                    raise self._link.lost()
                return b""
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            self._news.wait(left_s)

    def ended(self, timeout_s: float) -> ProcessEnd:
        """See `Process.ended`."""
        deadline = time.monotonic() + timeout_s
        while True:
            self._news.clear()
            over = self._over()
            self._drain()
            left_s = deadline - time.monotonic()
            if over or left_s <= 0:
                break
            self._news.wait(left_s)
        told = self._channel.status_event.wait(max(0.0, deadline - time.monotonic()))
        status = self._channel.exit_status if told else -1
        if status < 0 and not self._closing.is_set() and not self._link.alive:
            raise self._link.lost()
        tail = self._stderr.decode(errors="replace")[-STDERR_TAIL:]
        return ProcessEnd(status if status >= 0 else None, tail)

    def close(self) -> None:
        """See `Process.close`. The process sees the end of its input.

        The link ends with it when it does not take what is being written; the next start makes a
        new one.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        # Telling the server waits behind a writer, for ever when the link is dead.
        closer = threading.Thread(target=self._tell, name="edgeq-ssh-close", daemon=True)
        closer.start()
        # The channel's end wakes who waits for its window. Who is in the middle of a packet, or
        # behind another one's, comes out with the link's end alone.
        if self._idle.wait(_WAKE_S):
            closer.join(_GRACE_S)
        if closer.is_alive() or not self._idle.is_set():
            self._link.close()
            closer.join(_GRACE_S)

    def _tell(self) -> None:
        # Unless the link is gone, and the process with it.
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.close()

    def _over(self) -> bool:
        return bool(self._channel.eof_received or self._channel.closed)

    def _broken(self) -> bool:
        """Whether the output ended because the link did; a server says so when a process ends."""
        if self._closing.is_set() or self._channel.eof_received:
            return False
        # The channel hears of it just before the link does.
        return not self._link.alive or self._link.ends_within(1.0)

    def _drain(self) -> None:
        while self._channel.recv_stderr_ready():
            try:
                self._stderr += self._channel.recv_stderr(_CHUNK)
            except (OSError, EOFError, paramiko.SSHException) as exc:
                raise self._link.lost(exc) from exc
            self._stderr = self._stderr[-4 * STDERR_TAIL :]

    def _deaf(self) -> DeviceError:
        if self._closing.is_set() or (self._link.alive and not self._link.ends_within(0.2)):
            what = "the process on it no longer reads"
            return DeviceError(self._link.hop.device, what, kind=INPUT_CLOSED)
        return self._link.lost()
