"""An SSH server on this machine, OpenSSH's programs to talk to it, and a counting relay."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edgeq.device.ssh.transport import SshTransport
from tests.device.sshd import Sshd, generate

CIPHER = "aes128-gcm@openssh.com"
"""What edgeq asks for first; OpenSSH is told to use the same."""
_PROGRAMS = ("ssh", "sftp", "ssh-keygen", "tar")


@dataclass(frozen=True)
class Server:
    """Where it listens, and a folder with a key that it lets in and a configuration for it."""

    folder: Path
    port: int

    @staticmethod
    def lacking() -> str:
        """What this machine has not, in words; '' when it has all."""
        missing = [name for name in _PROGRAMS if shutil.which(name) is None]
        if not Path("/usr/sbin/sshd").exists():
            missing.append("sshd")
        return f"{', '.join(missing)} missing" if missing else ""

    def transport(self) -> SshTransport:
        """Our way to it."""
        destination = f"{getpass.getuser()}@127.0.0.1"
        return SshTransport(destination, self.port, config_files=[self.folder / "config"])

    def openssh(self, program: str, *arguments: str) -> None:
        """Run OpenSSH's own way to it."""
        *options, last = arguments
        command = [program, "-F", str(self.folder / "config"), "-c", CIPHER]
        port = ["-P" if program == "sftp" else "-p", str(self.port)]
        target = [f"{getpass.getuser()}@127.0.0.1"]
        if program == "sftp":
            command += [*port, *arguments, *target]
        else:
            command += [*port, *options, *target, last]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def tar(self, source: Path, destination: Path) -> None:
        """Copy a folder's files the shell way."""
        pack = subprocess.Popen(["tar", "-C", source, "-cf", "-", "."], stdout=subprocess.PIPE)
        command = ["ssh", "-F", str(self.folder / "config"), "-c", CIPHER, "-p", str(self.port)]
        target = [f"{getpass.getuser()}@127.0.0.1", "tar", "-C", str(destination), "-xf", "-"]
        subprocess.run([*command, *target], check=True, stdin=pack.stdout)
        assert pack.stdout is not None
        pack.stdout.close()
        assert pack.wait() == 0


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    """A server as long as the block runs."""
    home = folder / "ssh"
    key = generate(home / "key")
    (home / "sshd").mkdir()
    sshd = Sshd(home / "sshd")
    try:
        sshd.authorize(key)
        known = home / "known_hosts"
        known.write_text(sshd.known(host="*"))
        lines = (f"IdentityFile {key}", "IdentitiesOnly yes", f"UserKnownHostsFile {known}")
        more = ("IdentityAgent none", "GlobalKnownHostsFile /dev/null", "StrictHostKeyChecking yes")
        (home / "config").write_text("\n".join(["Host *", *lines, *more, ""]))
        yield Server(home, sshd.port)
    finally:
        sshd.stop()


@contextmanager
def counting(server: Server) -> Iterator[tuple[Server, Callable[[], int]]]:
    """The same server through a relay, and the bytes that went through it both ways."""
    moved = [0]
    listener = socket.create_server(("127.0.0.1", 0))
    sockets = [listener]

    def relay(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                moved[0] += len(piece)
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", server.port))
            sockets.extend((near, far))
            threading.Thread(target=relay, args=(far, near), daemon=True).start()
            relay(near, far)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield replace(server, port=listener.getsockname()[1]), lambda: moved[0]
    finally:
        for one in sockets:
            one.close()
        thread.join(5.0)


def resident_bytes() -> int:
    """Memory that this process holds now."""
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
