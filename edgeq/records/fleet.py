"""What a look at every device of a fleet found."""

from __future__ import annotations

from edgeq.records.examination import Finding
from edgeq.records.record import Record

COLUMNS = ("reachable", "host key", "agent", "engine", "free disk", "power mode")
"""What is looked at in this order; what follows one that is wrong is not known."""


class DeviceCheck(Record):
    """A device of a fleet: what was found there, and which releases it has."""

    device: str
    target: str
    address: str | None
    findings: tuple[Finding, ...]
    """those of `COLUMNS` as far as they are known, then others"""
    current: str | None = None
    previous: str | None = None
    exit_code: int = 0
    """of a command that had met this device alone; 0 where a deploy can work"""


class FleetCheck(Record):
    """Every device that was looked at."""

    fleet: str
    on: str
    devices: tuple[DeviceCheck, ...]
    failed: int
    """how many of them a deploy cannot work on"""

    @property
    def exit_code(self) -> int:
        """That of the worst device."""
        return max(device.exit_code for device in self.devices)
