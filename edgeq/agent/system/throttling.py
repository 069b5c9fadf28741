"""What a Jetson says of being slowed down: alerts of heat, alarms and counts of over-current."""

from __future__ import annotations

import re

from .reading import Reader

_COOLING = "/sys/class/thermal/cooling_device*"
_ALARMS = "/sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon*/curr*_crit_alarm"
_HWMON = "/sys/class/hwmon/hwmon*"


def throttle_states(reader: Reader) -> dict[str, int]:
    """How far the alerts of CPU and GPU throttle now, by their name; 0 is not at all.

    Other cooling devices are left out: a fan that turns and a GPU clock that rests slow down
    nothing.
    """
    found = {}
    for path in reader.found("throttle_states", _COOLING):
        kind = reader.text("throttle_states", f"{path}/type") or ""
        if re.match(r"(cpu|gpu)\w*-throttle-alert$", kind):
            state = reader.integer("throttle_states", f"{path}/cur_state")
            if state is not None:
                found[kind] = state
    return found


def over_current_counts(reader: Reader) -> dict[str, int]:
    """Over-current events since boot, and alarms (0 or 1), by chip and file."""
    found = {}
    for path in _counters(reader):
        value = reader.integer("over_current", path)
        if value is not None:
            found[_name(path)] = value
    return found


def _counters(reader: Reader) -> list[str]:
    # A reader of its own: which of the two a board has differs, and neither has to be there.
    looking = Reader(reader.root)
    counters = looking.found("alarms", _ALARMS)
    for folder in looking.found("hwmon", _HWMON):
        if looking.text("name", f"{folder}/name") == "soctherm_oc":
            counters += looking.found("counts", f"{folder}/oc*_event_cnt")
    return counters


def _name(path: str) -> str:
    """'soctherm_oc/oc1_event_cnt', or '1-0040/curr1_crit_alarm' by the sensor's address."""
    parts = path.split("/")
    chip = parts[6] if "ina3221" in parts else "soctherm_oc"
    return f"{chip}/{parts[-1]}"
