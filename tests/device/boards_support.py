"""A user who knows boards, releases to put there, and how to look at a board from outside."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgeq.artifact import archive
from edgeq.artifact.folder import Artifact
from edgeq.device.connection import Address
from edgeq.device.device import Device
from edgeq.device.ssh.config import Way
from edgeq.device.ssh.transport import SshTransport
from edgeq.errors import DeviceError
from edgeq.spec import target as targets
from edgeq.spec.target import Target

from . import artifacts
from .board.board import Board
from .board.site import Site

MEGABYTE = 1_000_000
Starter = Callable[..., list[Board]]


class User:
    """A user with a home folder of their own, who can log in to the boards they know."""

    def __init__(self, folder: Path) -> None:
        self.ssh = folder / ".ssh"
        self.ssh.mkdir(parents=True)

    def meet(self, *boards: Board) -> None:
        """Know the host keys that boards have now, besides those known before."""
        with (self.ssh / "known_hosts").open("a") as file:
            file.writelines(f"{board.address} {board.host_key}\n" for board in boards)


@contextmanager
def at_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    """Be a user whose home folder is new."""
    # What is kept between runs, images of boards and wheels, stays where it is.
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    with monkeypatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", cache)
        patch.setenv("HOME", str(folder))
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        yield User(folder)


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    """Who runs the test."""
    with at_home(tmp_path / "home", monkeypatch) as user:
        yield user


@pytest.fixture
def host(user: User, native_host: Board) -> Board:
    """A new host that runs this machine's own programs, and is known."""
    user.meet(native_host)
    return native_host


def address(board: Board) -> Address:
    """Where a board is, and the key to get in with."""
    return Address(f"{board.user}@{board.address}", board.key)


def device(
    board: Board,
    root: str = "~/.edgeq",
    patience_s: float = 30.0,
    limit_bytes: int | None = None,
    connect_timeout_s: float = 15.0,
) -> Device:
    """A board as the rest of edgeq sees it."""
    transport = SshTransport(
        f"{board.user}@{board.address}", way=Way(board.key), connect_timeout_s=connect_timeout_s
    )
    return Device(transport, root, limit_bytes, patience_s=patience_s)


def target_file(folder: Path, *lines: str, name: str = "host") -> Path:
    """A target for hosts like this machine, in a file."""
    file = folder / f"{name}.yaml"
    text = """\
        runtime: onnxruntime
        architecture: x86_64
        activation_type: int8
        transport: ssh
        root: ~/.edgeq
        """
    file.write_text("\n".join([line.strip() for line in text.splitlines()] + [*lines, ""]))
    return file


def target(folder: Path, *lines: str, name: str = "host") -> Target:
    """The target in such a file."""
    return targets.load(str(target_file(folder, *lines, name=name)))


def made(seed: int, size: int = 100_000) -> Artifact:
    """An artifact that no engine can load; all but one of its files are its own."""
    content = random.Random(seed).randbytes(size)
    files = {"model.onnx": content, "plan.json": b"{}", "extra.json": content[:100]}
    return artifacts.made(files, f"seed {seed}")


def install(device: Device, release: Artifact) -> None:
    """What a deploy does, without an engine: send, activate, remove what is too old."""
    device.lock(f"install {release.id[:12]}")
    device.send(release)
    device.activate(release.id)
    device.collect()


def root(board: Board) -> Path:
    """The root folder of edgeq on a board, as seen from here."""
    return board.disk / "home" / board.user / ".edgeq"


def current_name(board: Board) -> str | None:
    """The id of the current release, which may be another one at the next moment."""
    link = root(board) / "state" / "current"
    return link.readlink().name if link.is_symlink() else None


def current(board: Board) -> str | None:
    """The id of the current release, after every byte of it was checked; None without one."""
    name = current_name(board)
    if name is None:
        assert not (root(board) / "current").exists()
        return None
    found = archive.read(root(board) / "current").id
    if current_name(board) != name:  # whoever was killed here was heard there until now
        return current(board)
    assert found == name
    return name


def listing(folder: Path, *without: str) -> dict[str, tuple[int, int, int]]:
    """Everything below a folder, with what tells that it was touched; not those that begin so."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not name.startswith(without):
            status = path.lstat()
            found[name] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found


def commands(board: Board) -> list[str]:
    """The command lines of all processes on a board."""
    found = []
    for path in (board.disk / "proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def agents(board: Board) -> list[str]:
    """The command lines of the agents that run on a board, and of their jobs."""
    return [line for line in commands(board) if "python" in line]


def carried_bytes(site: Site, board: Board) -> int:
    """How much has gone over a board's cable to it."""
    device = Path("/sys/class/net") / f"eq{site.slot}b{board.number}"
    return int((device / "statistics" / "tx_bytes").read_text())


def part_bytes(board: Board) -> int:
    """How much of blobs that are not complete lies on a board."""
    return sum(path.stat().st_size for path in (root(board) / "incoming").glob("*.part"))


def eventually(condition: Callable[[], bool], within_s: float) -> bool:
    """Whether a condition comes true in time."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.02)
    return True


def refusal(action: Callable[[], object], kind: str) -> DeviceError:
    """The DeviceError that an action raises, which is of that kind and ends a command with 3."""
    with pytest.raises(DeviceError) as found:
        action()
    assert found.value.kind == kind, found.value
    assert found.value.exit_code == 3
    return found.value


def edgeq(*arguments: str | Path) -> list[str]:
    """The command line program."""
    return [sys.executable, "-m", "edgeq", *map(str, arguments)]


def run_edgeq(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(edgeq(*arguments), capture_output=True, text=True, timeout=120)


class Push:
    """A push that goes on in the background."""

    def __init__(self, device: Device, release: Artifact) -> None:
        self.error: DeviceError | None = None
        self.done = 0
        self._device = device
        self._release = release
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def wait_for(self, size: int) -> None:
        """Until so many bytes are under way."""
        assert eventually(lambda: self.done >= size, 20.0)

    def end(self) -> None:
        """Until it ended, well or not."""
        self._thread.join(60.0)
        assert not self._thread.is_alive()

    def _progress(self, stage: str, done: int, total: int) -> None:
        self.done = done

    def _send(self) -> None:
        try:
            self._device.send(self._release, self._progress)
        except DeviceError as exc:
            self.error = exc
