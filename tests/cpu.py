"""What class of CPU this machine is of: int8's accuracy and speed differ by it."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Literal

from edgeq.agent.system.cpuinfo import parse_cpuinfo

# An x86 without VNNI adds two products in 16 bits, so that `local` takes bounded pairs there.
CpuClass = Literal["VNNI", "AVX2 only", "ARM"]


def cpu_class() -> CpuClass:
    """The class of this machine's CPU, from what the agent finds in /proc/cpuinfo."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return "ARM"
    flags = parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8")).flags
    return "VNNI" if {"avx512_vnni", "avx_vnni"} & set(flags or ()) else "AVX2 only"
