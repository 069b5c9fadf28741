"""How fast a roll-out sends: by link, and in all."""

from __future__ import annotations

import threading

from edgeq.device.pace import Pace
from edgeq.spec.fleet.fleet import FleetDevice
from edgeq.spec.strategy import Rate


class Paces:
    """The pace of each device; those behind one jump host share a link. Any thread may ask."""

    def __init__(self, rate: Rate) -> None:
        self._link = rate.link
        self._all = None if rate.total is None else Pace(rate.total)
        self._links: dict[str, Pace] = {}
        self._looking = threading.Lock()

    def of(self, device: FleetDevice) -> Pace | None:
        """What it is sent by; None where nothing limits it."""
        if self._link is None:
            return self._all
        has_link = device.jump not in (None, "none")
        link = f"by {device.jump}" if has_link else device.name
        with self._looking:
            if link not in self._links:
                self._links[link] = Pace(self._link, within=self._all)
            return self._links[link]
