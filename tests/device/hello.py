"""The first words of an agent, where none is at hand."""

from __future__ import annotations

HELLO = {
    "edgeq": "ready",
    "root": "/nowhere",
    "machine": "aarch64",
    "python": "3.11.2",
    "executable": "/usr/bin/python3",
    "libc": "glibc 2.36",
    "clock_unix_s": 0.0,
    "pid": 7,
    "read_only": False,
    "noexec": False,
    "writable": True,
    "free_bytes": 1 << 30,
    "ssh_keygen": True,
    "signers": None,
    "environment": None,
}
