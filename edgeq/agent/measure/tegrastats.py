"""NVIDIA's `tegrastats`: its lines, and its figures of power where the sensors are not readable."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
from typing import IO, NamedTuple

from ..system.reading import Reader
from ..system.zones import plausible
from .rails import Meter, Rails

_INTERVAL_MS = 100
_FIRST_LINE_S = 3.0
_TOOLS = "/usr/sbin:/usr/bin"
_MHZ = r"(?:@(?:\[([0-9, ]*)\]|([0-9]{1,6})\b))?"


class TegraFigures(NamedTuple):
    """One line; None or empty where it does not say.

    `gpu_mhz` has one clock a GPC. Power is that of the moment, not the averages that follow it.
    """

    ram_used_mb: int | None
    ram_total_mb: int | None
    gpu_percent: int | None
    gpu_mhz: tuple[int, ...]
    emc_percent: int | None
    emc_mhz: int | None
    temperatures_c: dict[str, float]
    rails_mw: dict[str, float]


def parse_tegrastats(line: str) -> TegraFigures:
    """The figures in one line of any release; whatever is not understood is left out."""
    ram = re.search(r"\bRAM ([0-9]{1,9})/([0-9]{1,9})MB", line)
    gpu_percent, gpu_mhz = _frequency("GR3D_FREQ", line)
    emc_percent, emc_mhz = _frequency("EMC_FREQ", line)
    temperatures = re.findall(
        r"(?<![\w-])([\w-]+)@(-?[0-9]{1,6}(?:\.[0-9]{1,9})?)C\b", line, re.ASCII
    )
    # JetPack 4 writes no unit: 'VDD_IN 4204/4204'.
    rails = re.findall(r"(?<!\S)(\w+) (-?[0-9]{1,9})(?:mW\b|/-?[0-9]{1,9}(?!\S))", line, re.ASCII)
    return TegraFigures(
        ram_used_mb=int(ram.group(1)) if ram else None,
        ram_total_mb=int(ram.group(2)) if ram else None,
        gpu_percent=gpu_percent,
        gpu_mhz=gpu_mhz,
        emc_percent=emc_percent,
        emc_mhz=emc_mhz[0] if emc_mhz else None,
        temperatures_c={name: float(c) for name, c in temperatures if plausible(float(c))},
        rails_mw={name: float(mw) for name, mw in rails if name != "NC"},
    )


def tegrastats(reader: Reader) -> Meter | None:
    """The rails as a running `tegrastats` tells them; None, with a note, where it does not."""
    program = shutil.which("tegrastats", path=f"{os.environ.get('PATH', '')}:{_TOOLS}")
    if program is None:
        reader.note("power", "tegrastats is not installed")
        return None
    try:
        follower = _Follower(program)
    except OSError as exc:
        reader.note("power", f"{program}: {exc.strerror}")
        return None
    if not follower.first.wait(_FIRST_LINE_S):
        follower.close()
        reader.note("power", f"{program} names no rail")
        return None
    reader.not_readable.pop("power", None)
    return Meter("tegrastats", follower.read, follower.close)


class _Follower:
    """Keeps what the latest line said; `first` is set once a line named a rail."""

    def __init__(self, program: str) -> None:
        self.first = threading.Event()
        self._latest: Rails = {}
        self._process = subprocess.Popen(
            [program, "--interval", str(_INTERVAL_MS)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        self._thread = threading.Thread(
            target=self._follow, args=(self._process.stdout,), daemon=True
        )
        self._thread.start()

    def read(self) -> Rails:
        if not self._thread.is_alive():
            raise OSError("tegrastats ended")
        return self._latest

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()

    def _follow(self, lines: IO[bytes]) -> None:
        with lines:
            for line in lines:
                rails = parse_tegrastats(line.decode("utf-8", "replace")).rails_mw
                if rails:
                    self._latest = rails
                    self.first.set()


def _frequency(name: str, line: str) -> tuple[int | None, tuple[int, ...]]:
    found = re.search(rf"\b{name} (?:([0-9]{{1,4}})%)?{_MHZ}", line)
    if found is None:
        return None, ()
    percent, several, one = found.groups()
    clocks = re.findall(r"[0-9]{1,6}", several if several is not None else one or "")
    return None if percent is None else int(percent), tuple(map(int, clocks))
