"""What this machine must have to run boards, and the one thing that it must be told for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

PACKAGES = {
    "ip": "iproute2",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "util-linux",
    "qemu-aarch64-static": "qemu-user-static",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "update-binfmts": "binfmt-support",
}
BINFMT = Path("/proc/sys/fs/binfmt_misc")


def prepare() -> list[str]:
    """Let the kernel run arm64 programs; returns what the machine lacks, by name, for a board."""
    if os.geteuid() != 0:
        return ["the root user (network and mount namespaces are made)"]
    lacking = [
        f"{program} (Debian package {package})"
        for program, package in PACKAGES.items()
        if shutil.which(program) is None
    ]
    if not Path("/dev/net/tun").exists():
        lacking.append("/dev/net/tun (kernel module tun)")
    if not _succeeds("unshare", "--mount", "--net", "--pid", "--fork", "true"):
        lacking.append("the right to make namespaces (a container needs --privileged)")
    elif not lacking and not _runs_arm64():
        lacking.append(f"{BINFMT}/qemu-aarch64 (kernel module binfmt_misc)")
    return lacking


def _runs_arm64() -> bool:
    interpreter = BINFMT / "qemu-aarch64"
    if not (BINFMT / "status").exists():
        _succeeds("mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT))
    if not interpreter.exists():
        _succeeds("update-binfmts", "--enable", "qemu-aarch64")
    # F: the kernel holds qemu open, so that it is found from inside a board's root
    return interpreter.exists() and "F" in _field(interpreter, "flags:")


def _field(path: Path, name: str) -> str:
    lines = path.read_text().splitlines()
    return next((line.removeprefix(name) for line in lines if line.startswith(name)), "")


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
