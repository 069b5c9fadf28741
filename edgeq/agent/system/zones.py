"""Thermal zones, and which readings of them are temperatures."""

from __future__ import annotations

from typing import NamedTuple

from .reading import Reader

# A sensor whose device sleeps gives -256 C on Jetson; no chip that runs is outside of these.
_LOWEST_C = -60.0
_HIGHEST_C = 200.0


class Zone(NamedTuple):
    """A thermal zone, and its temperature where it tells."""

    name: str
    temperature_c: float | None


def zones(reader: Reader) -> tuple[Zone, ...]:
    """Every thermal zone of the system."""
    found = []
    for path in reader.found("zones", "/sys/class/thermal/thermal_zone*"):
        name = reader.text(f"zones.{path}", f"{path}/type") or path.split("/")[-1]
        # Some zones refuse while their device sleeps (Jetson's GPU): that is no temperature.
        value = reader.integer(f"zones.{name}", f"{path}/temp")
        temperature_c = None if value is None else value / 1000
        if temperature_c is not None and not plausible(temperature_c):
            reader.note(f"zones.{name}", f"{path}/temp says {temperature_c:g} C")
            temperature_c = None
        found.append(Zone(name, temperature_c))
    return tuple(found)


def plausible(temperature_c: float) -> bool:
    """Whether a reading can be the temperature of something that runs."""
    return _LOWEST_C <= temperature_c <= _HIGHEST_C
