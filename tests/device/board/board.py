"""One board: an arm64 machine under qemu or this machine again, with a disk and a cable."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from ipaddress import IPv4Interface
from pathlib import Path

from . import image
from .cable import Cable
from .disk import make_disk, make_key

INIT = Path(__file__).with_name("init.sh")
START_TIMEOUT_S = 30.0


def ssh(folder: Path, address: str, words: Sequence[str]) -> list[str]:
    """The command that runs another on the board of a folder, trusting its host key only."""
    options = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": f"{folder}/known_hosts",
        "ConnectTimeout": "20",
        "LogLevel": "ERROR",
    }
    return [
        *("ssh", "-F", "none", "-i", f"{folder.parent}/key"),
        *(word for name, value in options.items() for word in ("-o", f"{name}={value}")),
        f"{image.USER}@{address}",
        *([shlex.join(words)] if words else []),
    ]


class Board:
    """A board that belongs to a site; off until `start()`.

    What is on its disk outlives `crash()` and the next `start()`, and goes with `stop()`.
    """

    user = image.USER
    home = f"/home/{image.USER}"

    def __init__(
        self,
        number: int,
        *,
        folder: Path,
        address: IPv4Interface,
        cable: str,
        bridge: str,
        base: Path | None,
    ) -> None:
        self.number = number
        self.folder = folder
        self.key = folder.parent / "key"
        self.address = str(address.ip)
        self.base = base
        self._cable = Cable(cable, bridge, address)
        self._process: subprocess.Popen[bytes] | None = None
        self._init = 0
        make_disk(folder, emulated=self.emulated)
        self.change_host_key()

    @property
    def emulated(self) -> bool:
        """Whether it runs arm64 programs, and not those of this machine."""
        return self.base is not None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def host_key(self) -> str:
        """Its public host key, the two words that follow the address in a known_hosts line."""
        line = (self.folder / "upper/etc/ssh/ssh_host_ed25519_key.pub").read_text()
        return " ".join(line.split()[:2])

    @property
    def disk(self) -> Path:
        """Its root folder as seen from here; while it is off, only what differs from the image."""
        return Path(f"/proc/{self._init}/root") if self.running else self.folder / "upper"

    def start(self) -> None:
        """Power on; returns when its SSH server answers, RuntimeError when it does not."""
        if self.running:
            return
        self.crash()  # in case it ended by itself
        name = f"{self.user}{self.number}"
        command: list[str | Path] = [
            *("unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork"),
            *("--kill-child", "--propagation=private"),
            *("sh", INIT, self.folder, name),
            *(() if self.base is None else (self.base, image.CPU)),
        ]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        try:
            while not self._children():
                self._pause(deadline)
            self._init = self._children()[0]
            self._cable.plug(self._init)
            while not self._answers():
                self._pause(deadline)
        except BaseException:
            self.crash()
            raise

    def crash(self) -> None:
        """Cut the power: all of its processes end at once, without a chance to tidy up."""
        if self._process is None:
            return
        # with the first process of a process namespace all others are killed, before unshare ends
        for pid in self._children():
            os.kill(pid, signal.SIGKILL)
        self._process.wait(START_TIMEOUT_S)
        self._process = None
        self._cable.unplug()

    def stop(self) -> None:
        """Power off and throw the disk away; nothing happens when that was done."""
        self.crash()
        shutil.rmtree(self.folder, ignore_errors=not self.folder.exists())

    def cut(self) -> None:
        """Pull the cable out: connections hang, until `restore()` or a new `start()`."""
        self._cable.cut()

    def restore(self) -> None:
        """Put the cable back."""
        self._cable.restore()

    def rate(self, bits_per_s: float | None) -> None:
        """Limit the cable to a rate in each direction (Ethernet frames count), or to none."""
        self._cable.rate_bits_per_s = bits_per_s
        if self.running:
            self._cable.shape()

    def link(self, rate_bits_per_s: float | None, delay_s: float) -> None:
        """Exchange the cable for a far one: frames take `delay_s` each way. Connections survive."""
        self._cable.rate_bits_per_s = rate_bits_per_s
        self._cable.delay_s = delay_s
        if self.running:
            self._cable.unplug()
            self._cable.plug(self._init)

    def mount(self, path: str, size_bytes: int | None = None, options: str = "rw") -> None:
        """Mount an empty disk of a size at a folder, or that folder again, with mount's options.

        The mount and what is on such a disk are gone after `crash()`.
        """
        (self.disk / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        target = self._seen_by_mount(path)
        if size_bytes is None:
            self._mount("mount", "--bind", target, target)
            self._mount("mount", "-o", f"remount,bind,{options}", target)
        else:
            owner = f"uid={image.UID},gid={image.UID},mode=755"
            settings = f"size={size_bytes},{owner},{options}"
            self._mount("mount", "-t", "tmpfs", "-o", settings, "board", target)

    def unmount(self, path: str) -> None:
        """Undo the latest `mount()` at a folder, even if it is in use."""
        self._mount("umount", "--lazy", self._seen_by_mount(path))

    def change_host_key(self) -> None:
        """Give it a new host key, by a reboot if it runs."""
        was_running = self.running
        self.crash()
        make_key(self.folder / "upper/etc/ssh/ssh_host_ed25519_key")
        (self.folder / "known_hosts").write_text(f"{self.address} {self.host_key}\n")
        if was_running:
            self.start()

    def run(
        self, arguments: Sequence[str], *, stdin: str = "", timeout_s: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the board's user, through the SSH client of this machine."""
        return subprocess.run(
            ssh(self.folder, self.address, arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def _children(self) -> list[int]:
        assert self._process is not None
        task = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return [int(pid) for pid in task.read_text().split()] if task.exists() else []

    def _answers(self) -> bool:
        # short, as one that comes before the cable is ready is lost
        patience_s = 0.1 + 4 * self._cable.delay_s
        try:
            with socket.create_connection((self.address, 22), patience_s) as connection:
                connection.settimeout(START_TIMEOUT_S)
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _pause(self, deadline: float) -> None:
        assert self._process is not None
        if self._process.poll() is not None or time.monotonic() > deadline:
            log = (self.folder / "log").read_text()[-2000:]
            raise RuntimeError(f"board {self.number} at {self.address} does not start: {log}")
        time.sleep(0.01)

    def _seen_by_mount(self, path: str) -> str:
        return f"{self.folder}/root{path}" if self.emulated else path

    def _mount(self, *command: str) -> None:
        there = ["nsenter", f"--target={self._init}", "--mount", "--pid"]
        subprocess.run([*there, *command], check=True, capture_output=True)
