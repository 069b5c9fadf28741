"""What is watched while the timed part runs: power, the GPU's clock, the memory that is left."""

from __future__ import annotations

import contextlib
import os
import time
from statistics import median
from typing import Any, NamedTuple, Sequence

from ..system.clocks import gpu_nodes
from ..system.environment import parse_meminfo
from ..system.jetson import is_jetson
from ..system.reading import Reader
from .power import IDLE_S, power
from .rails import Meter, Rails
from .sampling import Sampler

_BYTES = 8192


class Look(NamedTuple):
    """One look: rails in mW, the GPU's highest clock and MemAvailable, None where not readable."""

    rails_mw: Rails
    gpu_hz: int | None
    memory_available_bytes: int | None


class Gauges:
    """Files that stay open, so that a look at them costs little; `meter` is closed with them."""

    def __init__(self, reader: Reader, meter: Meter | None) -> None:
        self._meter = meter
        self._stack = contextlib.ExitStack()
        self._memory = self._opened(reader, "/proc/meminfo")
        nodes = gpu_nodes(reader) if is_jetson(reader) else []
        clocks = [self._opened(reader, f"{node}/cur_freq") for node in nodes]
        self._clocks = [descriptor for descriptor in clocks if descriptor is not None]
        if meter is not None:
            self._stack.callback(meter.close)

    def close(self) -> None:
        """Close the files, and end what measures power."""
        self._stack.close()

    def watch(self) -> Sampler[Look]:
        """Looks from entering to leaving."""
        return Sampler(self._look)

    def watch_idle(self) -> list[tuple[int, Look]]:
        """Looks over a while in which this process does nothing; none where power is not known."""
        if self._meter is None:
            return []
        with self.watch() as sampler:
            time.sleep(IDLE_S)
        return sampler.looks

    def power(
        self,
        idle: Sequence[tuple[int, Look]],
        timed: Sequence[tuple[int, Look]],
        duration_ns: int,
        inferences: int,
    ) -> dict[str, Any] | None:
        """The record `Power` as JSON fields."""
        if self._meter is None:
            return None
        found = power(
            self._meter.source,
            [(at_ns, look.rails_mw) for at_ns, look in idle],
            [(at_ns, look.rails_mw) for at_ns, look in timed],
            duration_ns,
            inferences,
        )
        return found._asdict() if found else None

    def _opened(self, reader: Reader, path: str) -> int | None:
        try:
            descriptor = os.open(str(reader.at(path)), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        self._stack.callback(os.close, descriptor)
        return descriptor

    def _look(self) -> Look:
        return Look(self._rails_mw(), self._gpu_hz(), self._available_bytes())

    def _rails_mw(self) -> Rails:
        try:
            return self._meter.read() if self._meter else {}
        except (OSError, ValueError):
            return {}

    def _gpu_hz(self) -> int | None:
        # A clock refuses while its part of the GPU sleeps.
        found = []
        for descriptor in self._clocks:
            with contextlib.suppress(OSError, ValueError):
                found.append(int(os.pread(descriptor, 64, 0)))
        return max(found, default=None)

    def _available_bytes(self) -> int | None:
        if self._memory is None:
            return None
        text = os.pread(self._memory, _BYTES, 0).decode("ascii", "replace")
        return parse_meminfo(text).get("MemAvailable")


def median_gpu_hz(looks: Sequence[tuple[int, Look]]) -> int | None:
    """The GPU's clock while the timed part ran, half of the time above."""
    found = [look.gpu_hz for _, look in looks if look.gpu_hz is not None]
    return int(median(found)) if found else None


def lowest_available_bytes(looks: Sequence[tuple[int, Look]]) -> int | None:
    """The least memory that was left while the timed part ran."""
    found = [b for b in (look.memory_available_bytes for _, look in looks) if b is not None]
    return min(found, default=None)
