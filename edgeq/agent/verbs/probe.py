"""The verb `probe`: what this device is, what it has installed, how much room it has."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from ..compile.board import look
from ..store.layout import free_bytes
from ..system.cpuinfo import parse_cpuinfo
from ..system.emulation import Evidence, judge
from ..system.environment import governors, parse_meminfo
from ..system.jetson import power_mode
from ..system.reading import Reader

if TYPE_CHECKING:
    from ..system.packages import Packages
    from ..wire.job import ProbeJob

_POLICIES = "/sys/devices/system/cpu/cpufreq/policy*/cpuinfo_max_freq"


def probe(job: ProbeJob, tried: Callable[[Reader], Packages]) -> dict[str, Any]:
    """Everything the host wants to know before it deploys; null where `not_readable` says why.

    `tried` waits for the packages, of which a process of its own is importing what jobs need.
    """
    reader = Reader()
    cpuinfo = reader.text("cpu", "/proc/cpuinfo")
    libc, libc_version = _libc(reader)
    packages, providers = tried(reader)
    mode = power_mode(reader)
    result = {
        "arch": platform.machine(),
        "system": platform.system(),
        "kernel": platform.release(),
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "libc": {"name": libc, "version": libc_version},
        "cpu": _cpu(reader, cpuinfo or ""),
        "memory": _memory(reader),
        "disk": {"free_bytes": _free_bytes(reader, job.root)},
        "board": _board(reader),
        "emulated": judge(_evidence(cpuinfo))._asdict(),
        "packages": packages,
        "onnxruntime_providers": providers,
        "tensorrt": _tensorrt(reader, packages.get("tensorrt")),
        "governors": governors(reader) or None,
        "power_mode": mode.text if mode else None,
        "clock_unix_s": time.time(),
    }
    return {**result, "not_readable": reader.not_readable}


def parse_libc(text: str) -> tuple[str, str] | None:
    """Name and version in what confstr(CS_GNU_LIBC_VERSION) gives: 'glibc 2.31'."""
    found = re.fullmatch(r"(\w+) (\d+(?:\.\d+)*)", text.strip())
    return (found.group(1), found.group(2)) if found else None


def _libc(reader: Reader) -> tuple[str | None, str | None]:
    try:
        parsed = parse_libc(os.confstr("CS_GNU_LIBC_VERSION") or "")
    except (ValueError, OSError):
        parsed = None
    if parsed is None:
        reader.note("libc", "this C library does not tell its version (not glibc)")
        return None, None
    return parsed


def _evidence(cpuinfo: str | None) -> Evidence:
    # Its own reader: that a file is missing here is evidence, not something unreadable.
    kernel_arch = Reader().text("arch", "/proc/sys/kernel/arch")
    try:
        with Path("/proc/thread-self/exe").open("rb") as executable:
            head: bytes | None = executable.read(20)
    except OSError:
        head = None
    return Evidence(platform.machine(), head, kernel_arch, cpuinfo)


def _cpu(reader: Reader, cpuinfo: str) -> dict[str, Any]:
    info = parse_cpuinfo(cpuinfo)
    if info.model is None:
        reader.note("cpu.model", "/proc/cpuinfo names none")
    if info.flags is None:
        reader.note("cpu.flags", "/proc/cpuinfo lists none")
    max_mhz = {}
    for path in reader.found("cpu.max_mhz", _POLICIES):
        khz = reader.integer("cpu.max_mhz", path)
        if khz is not None:
            max_mhz[path.split("/")[-2]] = khz / 1000
    return {
        "model": info.model,
        "cores_logical": os.cpu_count(),
        "cores_available": len(os.sched_getaffinity(0)),
        "flags": info.flags,
        "max_mhz": max_mhz or None,
    }


def _memory(reader: Reader) -> dict[str, int | None]:
    figures = parse_meminfo(reader.text("memory", "/proc/meminfo") or "")
    return {
        "total_bytes": figures.get("MemTotal"),
        "available_bytes": figures.get("MemAvailable"),
    }


def _free_bytes(reader: Reader, root: Path) -> int | None:
    # The root folder may not exist before the first deploy; its parent has the same disk.
    try:
        return free_bytes(root.absolute())
    except OSError as exc:
        reader.note("disk.free_bytes", f"{root}: {exc.strerror}")
        return None


def _tensorrt(reader: Reader, version: str | None) -> dict[str, Any]:
    # A reader of its own: on most boards all of this is missing, under these names.
    looking = Reader()
    found = look(looking, version)._asdict()
    for name, value in found.items():
        if value is None:
            reason = looking.not_readable.get(name, "there is none on this system")
            reader.note(f"tensorrt.{name}", reason)
    return found


def _board(reader: Reader) -> str | None:
    return reader.text("board", "/proc/device-tree/model", "/sys/class/dmi/id/product_name") or None
