"""Power rails: those that a board's INA3221 sensors watch, and which of them add up to the total.

Read at https://docs.kernel.org/hwmon/ina3221.html and in NVIDIA's guide, "Platform Power and
Performance".
"""

from __future__ import annotations

import contextlib
import os
from typing import Callable, Dict, Iterable, Iterator, NamedTuple

from ..system.reading import Reader

_HWMON = "/sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*"
_IIO = "/sys/bus/i2c/drivers/ina3221x/*/iio:device*"
# What measures the input of the whole: board and carrier (Thor), or module (NX, Nano).
_INPUTS = ("VIN", "VDD_IN", "POM_5V_IN", "5V_IN")
# Where no rail measures the input, the rails beside each other that add up to the module's; the
# system's own 5 V are one of them there. Those in the second tuple are not on every board.
_SUMS = (
    (("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"), ("VDDQ_VDD2_1V8AO",)),
    (("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"), ()),
    (("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"), ()),
)

Rails = Dict[str, float]


class Meter(NamedTuple):
    """A way to read the rails now, in mW; OSError when it fails. `close` ends it."""

    source: str
    read: Callable[[], Rails]
    close: Callable[[], None]


class Channel(NamedTuple):
    """A rail's files: millivolts and milliamperes, or milliwatts alone."""

    name: str
    paths: tuple[str, ...]


def total_rails(names: Iterable[str]) -> tuple[str, ...]:
    """The rails whose sum is the total power; empty where these are not known to have one."""
    present = set(names)
    for name in _INPUTS:
        if name in present:
            return (name,)
    for needed, further in _SUMS:
        if present.issuperset(needed):
            return (*needed, *(name for name in further if name in present))
    return ()


def ina3221(reader: Reader) -> Meter | None:
    """The board's INA3221 sensors through sysfs; None, with a note, where they cannot be read."""
    opened: dict[str, tuple[int, ...]] = {}
    with contextlib.ExitStack() as stack:
        for channel in channels(reader):
            try:
                descriptors = tuple(_opened(reader, path, stack) for path in channel.paths)
                _milliwatts(descriptors)
            except PermissionError:
                reader.note("power", "not readable without root")
            except (OSError, ValueError) as exc:
                # A channel that is switched off refuses to be read.
                reader.note("power", f"{channel.paths[0]}: {exc}")
            else:
                opened[channel.name] = descriptors
        if not opened:
            reader.note("power", f"this system has no {_HWMON}")
            return None
        kept = stack.pop_all()

    def read() -> Rails:
        return {name: _milliwatts(descriptors) for name, descriptors in opened.items()}

    reader.not_readable.pop("power", None)
    return Meter("INA3221", read, kept.close)


def channels(reader: Reader) -> list[Channel]:
    """The channels that are connected to a rail, of JetPack 5 and later or of JetPack 4."""
    # A reader of its own: channels without a label are not missing, they do not exist.
    looking = Reader(reader.root)
    return list(_hwmon(looking)) or list(_iio(looking))


def _hwmon(looking: Reader) -> Iterator[Channel]:
    for folder in looking.found("hwmon", _HWMON):
        # From 4 on they are shunt voltages and their sum, in microvolts.
        for number in (1, 2, 3):
            name = looking.text("label", f"{folder}/in{number}_label")
            if _is_rail(name):
                yield Channel(
                    str(name), (f"{folder}/in{number}_input", f"{folder}/curr{number}_input")
                )


def _iio(looking: Reader) -> Iterator[Channel]:
    for folder in looking.found("iio", _IIO):
        for number in (0, 1, 2):
            name = looking.text("label", f"{folder}/rail_name_{number}")
            if _is_rail(name):
                yield Channel(str(name), (f"{folder}/in_power{number}_input",))


def _is_rail(name: str | None) -> bool:
    return bool(name) and name != "NC" and not str(name).lower().startswith("sum of shunt")


def _opened(reader: Reader, path: str, stack: contextlib.ExitStack) -> int:
    descriptor = os.open(str(reader.at(path)), os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor


def _milliwatts(descriptors: tuple[int, ...]) -> float:
    values = [int(os.pread(descriptor, 64, 0)) for descriptor in descriptors]
    return values[0] * values[1] / 1000 if len(values) == 2 else float(values[0])
