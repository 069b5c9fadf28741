"""What surrounds a measurement: clocks, temperature, load, memory, and who else uses the CPU."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import NamedTuple

from .clocks import Clock, clocks_pinned, emc_hz, gpu_clocks
from .jetson import is_jetson
from .reading import Reader
from .throttling import over_current_counts, throttle_states
from .zones import Zone, zones

_CPU = "/sys/devices/system/cpu"
_KIB = 1024


class CpuTime(NamedTuple):
    """CPU time used since boot: by the whole system (stolen time included), by this process.

    `stolen_s` is what the host of a virtual machine gave to others.
    """

    busy_s: float
    own_s: float
    stolen_s: float = 0.0


class Jetson(NamedTuple):
    """What only a Jetson has: alerts of heat (0: not throttled), clocks of GPU and memory.

    `clocks_pinned` is whether CPU and GPU are held at one frequency each.
    """

    throttle_states: dict[str, int]
    gpu_clocks: dict[str, Clock]
    emc_hz: int | None
    clocks_pinned: bool | None

    def fields(self) -> dict[str, object]:
        """The record as JSON fields."""
        gpu = {name: clock._asdict() for name, clock in self.gpu_clocks.items()}
        return {**self._asdict(), "gpu_clocks": gpu}


class Environment(NamedTuple):
    """One look at the device; None or empty where `not_readable` says why.

    `monotonic_ns` dates it for differences, `unix_s` for people.
    """

    unix_s: float
    monotonic_ns: int
    cores: int
    frequencies_khz: dict[str, int]
    governors: dict[str, str]
    zones: tuple[Zone, ...]
    throttle_counts: dict[str, int]
    load_average: tuple[float, float, float] | None
    memory_available_bytes: int | None
    cpu_time: CpuTime | None
    not_readable: dict[str, str]
    jetson: Jetson | None = None

    def fields(self) -> dict[str, object]:
        """The record as JSON fields."""
        return {
            **self._asdict(),
            "zones": [zone._asdict() for zone in self.zones],
            "cpu_time": self.cpu_time._asdict() if self.cpu_time else None,
            "jetson": self.jetson.fields() if self.jetson else None,
        }


def environment(root: Path = Path("/")) -> Environment:
    """Look at the device now, whose files lie below `root`."""
    reader = Reader(root)
    look = _of_any_board(reader)
    return _of_jetson(reader, look) if is_jetson(reader) else look


def _of_any_board(reader: Reader) -> Environment:
    meminfo = reader.text("memory_available_bytes", "/proc/meminfo") or ""
    return Environment(
        unix_s=time.time(),
        monotonic_ns=time.perf_counter_ns(),
        cores=os.cpu_count() or 1,
        frequencies_khz=_frequencies_khz(reader),
        governors=governors(reader),
        zones=zones(reader),
        throttle_counts=_throttle_counts(reader),
        load_average=_load_average(reader),
        memory_available_bytes=parse_meminfo(meminfo).get("MemAvailable"),
        cpu_time=_cpu_time(reader),
        not_readable=reader.not_readable,
    )


def _of_jetson(reader: Reader, look: Environment) -> Environment:
    gpu = gpu_clocks(reader)
    return look._replace(
        throttle_counts={**look.throttle_counts, **over_current_counts(reader)},
        jetson=Jetson(throttle_states(reader), gpu, emc_hz(reader), clocks_pinned(reader, gpu)),
    )


def governors(reader: Reader) -> dict[str, str]:
    """The cpufreq governor of every policy."""
    found = {}
    for path in reader.found("governors", f"{_CPU}/cpufreq/policy*/scaling_governor"):
        text = reader.text("governors", path)
        if text is not None:
            found[path.split("/")[-2]] = text
    return found


def parse_meminfo(text: str) -> dict[str, int]:
    """The figures of /proc/meminfo or /proc/self/status that are given in kB, in bytes."""
    return {name: int(kib) * _KIB for name, kib in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}


def parse_ticks(stat: str) -> tuple[int, int] | None:
    """Busy ticks of all CPUs in /proc/stat, and of them the stolen ones.

    Busy are user, nice, system, irq, softirq and stolen.

    Stolen ticks (a neighbour on the same hypervisor ran) count: they are lost to a measurement.
    Guests are already within user and nice.
    """
    line = re.search(r"^cpu +(.+)$", stat, re.M)
    if line is None:
        return None
    ticks = [int(field) for field in line.group(1).split()] + [0] * 8
    user, nice, system, _idle, _iowait, irq, softirq, steal = ticks[:8]
    return user + nice + system + irq + softirq + steal, steal


def _frequencies_khz(reader: Reader) -> dict[str, int]:
    name = "frequencies_khz"
    found = {}
    for path in reader.found(name, f"{_CPU}/cpu[0-9]*/cpufreq/scaling_cur_freq"):
        value = reader.integer(name, path)
        if value is not None:
            found[path.split("/")[-3]] = value
    return found


def _throttle_counts(reader: Reader) -> dict[str, int]:
    name = "throttle_counts"
    found = {}
    for path in reader.found(name, f"{_CPU}/cpu[0-9]*/thermal_throttle/*_count"):
        value = reader.integer(name, path)
        if value is not None:
            found["/".join(path.split("/")[-3::2])] = value
    return found


def _load_average(reader: Reader) -> tuple[float, float, float] | None:
    try:
        return os.getloadavg()
    except OSError as exc:
        reader.note("load_average", exc.strerror or "cannot be read")
        return None


def _cpu_time(reader: Reader) -> CpuTime | None:
    ticks = parse_ticks(reader.text("cpu_time", "/proc/stat") or "")
    if ticks is None:
        reader.note("cpu_time", "/proc/stat has no line of all CPUs")
        return None
    own = os.times()
    own_s = own.user + own.system + own.children_user + own.children_system
    busy_s, stolen_s = (count / os.sysconf("SC_CLK_TCK") for count in ticks)
    return CpuTime(busy_s, own_s, stolen_s)
