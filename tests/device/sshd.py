"""A real OpenSSH server on this machine, a home folder for its user, and talk with processes."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edgeq.device.ssh.config import Way
from edgeq.device.ssh.transport import SshTransport
from edgeq.device.transport import Process, ProcessEnd, Transport

USER = getpass.getuser()
_SERVER = next(
    (path for path in ("/usr/sbin/sshd", shutil.which("sshd")) if path and Path(path).exists()), ""
)


def need(tool: str) -> str:
    """The path of a program of OpenSSH; skips without it, fails on CI."""
    path = _SERVER if tool == "sshd" else shutil.which(tool)
    if not path:
        reason = f"needs OpenSSH's {tool}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def generate(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A new key; its public half lies beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arguments = ["-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path)]
    # The fewest rounds that ssh-keygen takes: a test is no place to make guessing expensive.
    subprocess.run([need("ssh-keygen"), *arguments, "-a", "1"], check=True)
    return path


def public(path: Path) -> str:
    """The public half of a key, type and base64."""
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


def fingerprint(path: Path) -> str:
    """As ssh-keygen prints it."""
    run = [need("ssh-keygen"), "-lf", str(path.with_name(f"{path.name}.pub"))]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout.split()[1]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def output(process: Process, timeout_s: float = 20.0) -> bytes:
    """All that it prints, to the end."""
    pieces = []
    while (piece := process.read(timeout_s)) != b"":
        assert piece is not None, "nothing came in time"
        pieces.append(piece)
    return b"".join(pieces)


def run(transport: Transport, *arguments: str) -> tuple[bytes, ProcessEnd]:
    """What a command prints and how it ends."""
    process = transport.start(arguments)
    try:
        return output(process), process.ended(5.0)
    finally:
        process.close()


def python(code: str, *arguments: str) -> list[str]:
    """A command that runs some code."""
    return [sys.executable, "-c", code, *arguments]


def echo(transport: Transport, size: int) -> None:
    """Have bytes come back whole, while more are on their way."""
    data = os.urandom(size)
    process = transport.start(["cat"])
    writer = threading.Thread(target=process.write, args=(data,))
    writer.start()
    found = bytearray()
    while len(found) < size:
        piece = process.read(10.0)
        assert piece
        found += piece
    writer.join()
    process.close()
    assert bytes(found) == data


class Sshd:
    """A server with host keys and authorized keys of its own."""

    def __init__(self, folder: Path, settings: str = "", kinds: tuple[str, ...] = ("ed25519",)):
        self.port = free_port()
        self.host_keys = {kind: generate(folder / f"host_{kind}", kind) for kind in kinds}
        self.authorized = folder / "authorized_keys"
        self.authorized.touch()
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        lines = [
            *(line for line in settings.splitlines() if line),
            # Not what the user's own shell start-up files do, and may be killed at.
            f"SetEnv HOME={folder}",
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            *(f"HostKey {key}" for key in self.host_keys.values()),
            f"AuthorizedKeysFile {self.authorized}",
            "PidFile none",
            "UsePAM no",
            "StrictModes no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "MaxStartups 200",
            "MaxSessions 100",
            "Subsystem sftp internal-sftp",
        ]
        self._config = folder / "sshd_config"
        self._config.write_text("".join(f"{line}\n" for line in lines))
        self.log = folder / "sshd.log"
        self.start()

    def start(self) -> None:
        """Have it listen, again where it was stopped."""
        with self.log.open("ab") as log:
            arguments = [need("sshd"), "-D", "-e", "-f", str(self._config)]
            self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stderr=log)
        for _ in range(200):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        pytest.fail(f"sshd did not start: {self.log.read_text()}")

    def known(self, host: str | None = None, kind: str = "ed25519") -> str:
        """Its line of a known_hosts file."""
        return f"{host or f'[127.0.0.1]:{self.port}'} {public(self.host_keys[kind])}\n"

    def authorize(self, key: Path, options: str = "") -> None:
        """Let a key log in."""
        with self.authorized.open("a") as file:
            file.write(f"{options} {public(key)}\n".lstrip())

    def signal(self, number: int) -> None:
        """Send a signal to the server and everything below it, the server first."""
        for pid in [self._process.pid, *_below(self._process.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def cut(self) -> None:
        """End its connections, with what runs in them; it goes on listening."""
        for pid in _below(self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """End it with all its connections."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        self._process.wait()


class Home:
    """A user's home folder, with one key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ssh = folder / ".ssh"
        self.key = generate(self.ssh / "id_ed25519")
        self.known_hosts = self.ssh / "known_hosts"
        self.config = self.ssh / "config"


def _below(pid: int) -> list[int]:
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                children.append(int(stat.parent.name))
    return [deep for child in children for deep in (child, *_below(child))]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty home folder but for a key; no agent."""
    need("ssh-keygen")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return Home(tmp_path / "home")


@pytest.fixture
def start_sshd(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    """Starts servers that end with the test."""
    need("sshd")
    servers: list[Sshd] = []

    def start(settings: str = "", kinds: tuple[str, ...] = ("ed25519",)) -> Sshd:
        folder = tmp_path / f"sshd{len(servers)}"
        folder.mkdir()
        servers.append(Sshd(folder, settings, kinds))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(start_sshd: Callable[..., Sshd], home: Home) -> Sshd:
    """A server that knows the user and is known."""
    server = start_sshd()
    server.authorize(home.key)
    home.known_hosts.write_text(server.known())
    return server


@pytest.fixture
def connect() -> Iterator[Callable[..., SshTransport]]:
    """Makes transports that are closed after the test, when no thread or socket may be left."""
    threads = set(threading.enumerate())
    transports: list[SshTransport] = []

    def make(
        destination: str, port: int | None = None, identity: Path | None = None, **more: object
    ) -> SshTransport:
        if identity is not None:
            more["way"] = Way(identity)
        transports.append(SshTransport(destination, port, **more))  # type: ignore[arg-type]
        return transports[-1]

    yield make
    for transport in transports:
        transport.close()
    left = [thread for thread in threading.enumerate() if thread not in threads]
    for thread in left:
        thread.join(2.0)
    assert not [thread for thread in left if thread.is_alive()]


@pytest.fixture
def transport(server: Sshd, connect: Callable[..., SshTransport]) -> SshTransport:
    """The way to `server`."""
    return connect(f"{USER}@127.0.0.1", server.port)
