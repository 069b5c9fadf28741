"""Clocks of a Jetson's GPU and memory, and whether they are pinned as `jetson_clocks` does."""

from __future__ import annotations

import re
from typing import NamedTuple

from .reading import Reader

_DEVFREQ = "/sys/class/devfreq"
_POLICIES = "/sys/devices/system/cpu/cpufreq/policy*"
_EMC = "/sys/kernel/debug/bpmp/debug/clk/emc/rate"
# 17000000.gv11b (Xavier), .ga10b and .gpu (Orin), gpu-gpc-0 to 2 (Thor, whose gpu-nvd-0 decodes
# video).
_GPU = re.compile(r"gpu|gpc|g[avp]1\db")
_PINNED_WITHIN = 0.01


class Clock(NamedTuple):
    """A clock and the bounds that it is held in, in Hz; None where not readable."""

    current_hz: int | None
    minimum_hz: int | None
    maximum_hz: int | None

    @property
    def pinned(self) -> bool | None:
        """Whether it can only be what it is, which a hundredth more or less still is."""
        if self.current_hz is None or self.minimum_hz is None or self.maximum_hz is None:
            return None
        off_hz = abs(self.current_hz - self.maximum_hz)
        return self.minimum_hz == self.maximum_hz and off_hz <= _PINNED_WITHIN * self.maximum_hz


def gpu_nodes(reader: Reader) -> list[str]:
    """The folders of the GPU's clocks: one, or one a GPC on Thor."""
    nodes = [path for path in reader.found("gpu_clocks", f"{_DEVFREQ}/*") if _is_gpu(path)]
    if not nodes:
        reader.note("gpu_clocks", f"{_DEVFREQ} has no clock of a GPU")
    return nodes


def gpu_clocks(reader: Reader) -> dict[str, Clock]:
    """The GPU's clocks by the name of their node."""
    return {
        node.split("/")[-1]: Clock(
            reader.integer("gpu_clocks", f"{node}/cur_freq"),
            reader.integer("gpu_clocks", f"{node}/min_freq"),
            reader.integer("gpu_clocks", f"{node}/max_freq"),
        )
        for node in gpu_nodes(reader)
    }


def emc_hz(reader: Reader) -> int | None:
    """The clock of the memory controller, which most boards show to root only."""
    return reader.integer("emc_hz", _EMC)


def clocks_pinned(reader: Reader, gpu: dict[str, Clock]) -> bool | None:
    """Whether CPU and GPU run at the one frequency they may; None where one of them is unknown."""
    cpu = {path: _policy(reader, path) for path in reader.found("clocks_pinned", _POLICIES)}
    states = [clock.pinned for clock in (*cpu.values(), *gpu.values())]
    if False in states:
        return False
    if not cpu or not gpu or None in states:
        reader.note("clocks_pinned", "the clocks of CPU and GPU are not all readable")
        return None
    return True


def _is_gpu(path: str) -> bool:
    name = path.split("/")[-1]
    return bool(_GPU.search(name)) and "nvd" not in name


def _policy(reader: Reader, path: str) -> Clock:
    values = (
        reader.integer("clocks_pinned", f"{path}/scaling_{which}_freq")
        for which in ("cur", "min", "max")
    )
    # cpufreq counts in kHz.
    return Clock(*(None if khz is None else khz * 1000 for khz in values))
