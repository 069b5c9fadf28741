"""This process's resident memory, now and at its peak."""

from __future__ import annotations

import resource
from pathlib import Path

from .environment import parse_meminfo
from .reading import Reader

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5), clear_refs


def rss_bytes() -> int | None:
    """Resident memory now (VmRSS); None where /proc does not say."""
    return _status("VmRSS")


def available_bytes(reader: Reader) -> int | None:
    """What the whole system has left (MemAvailable); None where /proc does not say.

    An integrated GPU takes its memory from there too, and no process's resident memory shows it.
    """
    meminfo = reader.text("memory_available_bytes", "/proc/meminfo")
    return parse_meminfo(meminfo or "").get("MemAvailable")


def reset_peak() -> bool:
    """Start the peak (VmHWM) anew from what is resident now; False where the kernel refuses."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def peak_rss_bytes(was_reset: bool) -> tuple[int, str]:
    """The peak, and where the figure comes from; `was_reset` is what `reset_peak` returned."""
    peak = _status("VmHWM") if was_reset else None
    if peak is not None:
        return peak, "VmHWM since before the load"
    # Linux gives ru_maxrss in KiB.
    maximum = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return maximum, "ru_maxrss since the process started"


def _status(name: str) -> int | None:
    try:
        return parse_meminfo(_STATUS.read_text()).get(name)
    except OSError:
        return None
