"""Which Jetson this is: its module, its release of Jetson Linux (L4T), its power mode."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import NamedTuple

from .reading import Reader

_RELEASE = "/etc/nv_tegra_release"
_COMPATIBLE = "/proc/device-tree/compatible"
_MODES = "/etc/nvpmodel.conf"
_STATUS = "/var/lib/nvpmodel/status"
_TIMEOUT_S = 5.0
# A session over SSH need not have the folders of the system's own tools on its path.
_TOOLS = "/usr/sbin:/usr/bin"


class PowerMode(NamedTuple):
    """A power mode: its number, and its name, such as '15W' or 'MAXN', empty where not given."""

    id: int | None
    name: str

    @property
    def text(self) -> str:
        """The name, or the number where there is none."""
        return self.name or f"number {self.id}"


def is_jetson(reader: Reader) -> bool:
    """Whether this is a Jetson: it has NVIDIA's release file, or its device tree says tegra."""
    # A reader of its own: that these are missing elsewhere is an answer, not something unreadable.
    looking = Reader(reader.root)
    compatible = looking.text("compatible", _COMPATIBLE) or ""
    return "nvidia,tegra" in compatible or looking.at(_RELEASE).is_file()


def module_model(reader: Reader) -> str | None:
    """What the board calls itself, such as 'NVIDIA Jetson Orin Nano Developer Kit'."""
    return reader.text("module_model", "/proc/device-tree/model") or None


def l4t_release(reader: Reader) -> str | None:
    """The release of Jetson Linux, such as '36.4.3'; None on what is no Jetson, without a note."""
    if not is_jetson(reader):
        return None
    text = reader.text("l4t_release", _RELEASE)
    release = None if text is None else parse_release(text)
    if text is not None and release is None:
        reader.note("l4t_release", f"{_RELEASE} holds '{text[:60]}', which names no release")
    return release


def parse_release(text: str) -> str | None:
    """'36.4.3' from the first line of /etc/nv_tegra_release: '# R36 (release), REVISION: 4.3'."""
    found = re.search(r"\bR(\d+) \(\w+\), REVISION: (\d+(?:\.\d+)*)", text)
    return f"{found.group(1)}.{found.group(2)}" if found else None


def power_mode(reader: Reader) -> PowerMode | None:
    """The power mode that the board is in, as `nvpmodel -q` tells, or the file it keeps.

    None on what is no Jetson, without a note.
    """
    if not is_jetson(reader):
        return None
    told = parse_power_mode(_nvpmodel(reader))
    if told is not None:
        return told
    found = re.search(r"\bpmode:(\d+)", reader.text("power_mode", _STATUS) or "")
    if found is None:
        reader.note("power_mode", f"neither nvpmodel nor {_STATUS} names a mode")
        return None
    number = int(found.group(1))
    names = {mode.id: mode.name for mode in power_modes(reader)}
    return PowerMode(number, names.get(number, ""))


def power_modes(reader: Reader) -> tuple[PowerMode, ...]:
    """The power modes that this board has, as /etc/nvpmodel.conf lists them."""
    text = reader.text("power_modes", _MODES) or ""
    found = re.findall(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", text)
    return tuple(PowerMode(int(number), name) for number, name in found)


def parse_power_mode(text: str) -> PowerMode | None:
    """The mode in what `nvpmodel -q` prints, between whatever warnings: a name, then a number."""
    found = re.search(r"^NV Power Mode:[ \t]*(\S+)[ \t]*$", text, re.M)
    if found is None:
        return None
    number = re.search(r"^[ \t]*(\d+)[ \t]*$", text[found.end() :], re.M)
    return PowerMode(int(number.group(1)) if number else None, found.group(1))


def _nvpmodel(reader: Reader) -> str:
    program = shutil.which("nvpmodel", path=f"{os.environ.get('PATH', '')}:{_TOOLS}")
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, "-q"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        reader.note("power_mode", f"{program} -q: {exc}")
        return ""
    return done.stdout.decode("utf-8", "replace")
