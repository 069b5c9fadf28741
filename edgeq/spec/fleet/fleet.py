"""A fleet as it is once all its files are read: devices, and the groups that each is in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgeq.errors import InputError, Invalid
from edgeq.spec import document
from edgeq.spec.fleet import expression
from edgeq.spec.fleet.expression import Among, Expression, Named
from edgeq.spec.target import Target

OWN_LABELS = ("name", "target")
"""Every device has them, so that an expression may ask for them; nobody may set them."""


@dataclass(frozen=True)
class FleetDevice:
    """A device of a fleet: where it is, what it is, and what distinguishes it."""

    name: str
    target: Target
    address: str | None
    """as `ssh` takes it; None for this machine"""
    labels: dict[str, str] = field(default_factory=dict)
    """with those that every device has"""
    jump: str | None = None
    """hosts to go through, with commas between them, or 'none'; None: as ssh_config says"""
    host_key: str | None = None
    """the fingerprint that it has to show, instead of what known_hosts says"""
    identity: Path | None = None
    frame_rate: float | None = None
    """frames per second that it has to keep up with"""
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Fleet:
    """Devices in the order of their files."""

    path: Path
    devices: tuple[FleetDevice, ...]
    groups: dict[str, Expression] = field(default_factory=dict)
    passed_over: tuple[str, ...] = ()
    """hosts of an inventory that have no target, and are no devices of edgeq then"""

    def select(self, on: str = "all", where: str = "--on") -> tuple[FleetDevice, ...]:
        """The devices that an expression means.

        Raises InputError for what is no expression, asks for a name that there is not, or means
        none of the devices.
        """
        try:
            wanted = expression.parse(on)
        except Invalid as exc:
            raise InputError(where, exc.what, exc.remedy) from exc
        labels = {label for device in self.devices for label in device.labels}
        for test in expression.names(wanted):
            complaint = unknown(test, labels, set(self.groups))
            if complaint is not None:
                raise InputError(where, *complaint)
        found = [d for d in self.devices if expression.holds(wanted, d.labels, d.groups)]
        if not found:
            what = f"'{on}' means none of the {len(self.devices)} devices of {self.path}"
            raise InputError(where, what, f"see them: edgeq fleet list {self.path}")
        return tuple(found)


def unknown(test: Named | Among, labels: set[str], groups: set[str]) -> tuple[str, str] | None:
    """What is wrong with a test of names that there are not, and what to do; None if nothing."""
    if isinstance(test, Among):
        if test.label in labels:
            return None
        what = f"no device has a label '{test.label}'"
        return what, document.nearest(test.label, labels)
    if test.name in labels | groups:
        return None
    what = f"'{test.name}' is no group, and no device has a label of that name"
    return what, document.nearest(test.name, labels | groups)
