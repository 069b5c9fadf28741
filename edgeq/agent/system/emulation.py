"""Whether this process runs on the CPU it sees, or on another one that imitates it (qemu-user).

qemu-user shows a program forged versions of /proc/self, but not of /proc/thread-self, and not of
what the kernel says about itself. A virtual machine is not emulated: its CPU is real.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

# e_machine of an ELF header (elf.h), for the names that platform.machine() gives.
_ELF_MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}
# 32-bit programs on the 64-bit kernel of the same family are run by the CPU itself.
_FAMILIES = {
    "x86_64": "x86",
    "amd64": "x86",
    "i386": "x86",
    "i686": "x86",
    "aarch64": "arm",
    "arm64": "arm",
    "armv6l": "arm",
    "armv7l": "arm",
    "armv8l": "arm",
    "riscv64": "riscv",
}


class Evidence(NamedTuple):
    """What was read: the program's own view, and what the kernel says behind its back.

    `executable_head` is the start of the file the kernel really runs, `kernel_arch` the text of
    /proc/sys/kernel/arch, `cpuinfo` that of /proc/cpuinfo; None where it cannot be read.
    """

    machine: str
    executable_head: bytes | None
    kernel_arch: str | None
    cpuinfo: str | None


class EmulationVerdict(NamedTuple):
    """Emulated or not, None when there is no evidence; and the reason."""

    emulated: bool | None
    reason: str


def judge(evidence: Evidence) -> EmulationVerdict:
    """Compare the machine that the program sees with every sign of the one below it."""
    seen = _FAMILIES.get(evidence.machine)
    if seen is None:
        return EmulationVerdict(None, f"the architecture '{evidence.machine}' is not known here")
    signs = {
        "the running executable is built for": elf_machine(evidence.executable_head or b""),
        "the kernel says": evidence.kernel_arch,
        "/proc/cpuinfo describes": cpuinfo_machine(evidence.cpuinfo or ""),
    }
    known = {source: machine for source, machine in signs.items() if machine in _FAMILIES}
    for source, machine in known.items():
        if machine is not None and _FAMILIES[machine] != seen:
            return EmulationVerdict(True, f"programs see {evidence.machine} but {source} {machine}")
    if elf_machine(evidence.executable_head or b"") is None and evidence.kernel_arch is None:
        return EmulationVerdict(
            None, "neither /proc/thread-self/exe nor /proc/sys/kernel/arch is readable"
        )
    agreeing = ", ".join(f"{source} {machine}" for source, machine in known.items())
    return EmulationVerdict(False, f"{agreeing}, as programs see it")


def elf_machine(head: bytes) -> str | None:
    """The machine an ELF file is built for, from its first 20 bytes; None when it is none known."""
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    order = "<" if head[5] == 1 else ">"
    (machine,) = struct.unpack_from(order + "H", head, 18)
    return _ELF_MACHINES.get(machine)


def cpuinfo_machine(text: str) -> str | None:
    """The architecture whose kernel wrote this /proc/cpuinfo; None when it has no telling field."""
    if re.search(r"^vendor_id\s*:", text, re.M) and re.search(r"^flags\s*:", text, re.M):
        return "x86_64"
    if re.search(r"^CPU implementer\s*:", text, re.M):
        return "aarch64"
    return None
