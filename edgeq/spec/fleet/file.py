"""fleet.yaml, with the files that it includes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from edgeq import reading
from edgeq.errors import InputError, Problems
from edgeq.spec import document
from edgeq.spec.document import Document
from edgeq.spec.fleet import hosts
from edgeq.spec.fleet.checking import assembled
from edgeq.spec.fleet.fleet import Fleet
from edgeq.spec.fleet.inventory import Inventory
from edgeq.spec.fleet.inventory_files import is_one, of_ini, of_yaml
from edgeq.spec.fleet.parts import Entry, FleetParts, GroupEntry, by_whole_path
from edgeq.spec.fleet.variable_files import read_beside
from edgeq.spec.values import AS_TUPLE, Or, Part, PositiveFloat

LARGEST = 16 * 2**20
"""Of a file of a fleet: a hundred thousand devices."""
_KEYS = ("defaults", "devices", "include")
Filled = Annotated[str, Field(min_length=1)]


class Defaults(Part):
    """What holds for devices that do not say otherwise, also in included files."""

    target: Filled | None = None
    """a kind of board: a name or a YAML file, with :ENGINE for another engine"""
    labels: dict[str, str] = Field(default_factory=dict)
    """what distinguishes devices; one that a device sets itself counts more"""
    jump: Filled | None = None
    """hosts to go through, with commas between them; 'none' for no such host"""
    identity: Filled | None = None
    """the SSH key to log in with"""
    frame_rate: PositiveFloat | None = None
    """frames per second that a device has to keep up with"""


class Described(Defaults):
    """A device."""

    address: Filled | None = None
    """user@host[:port], or a name of ~/.ssh/config; none for this machine"""
    host_key: Annotated[str, Field(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")] | None = None
    """the fingerprint that it has to show, as ssh-keygen -l prints it"""


def _described(value: object) -> object:
    return {"address": value} if isinstance(value, str) else value


class FleetFile(Part):
    """The content of fleet.yaml."""

    defaults: Defaults = Defaults()
    devices: dict[
        str, Annotated[Described, BeforeValidator(_described), Or({"type": "string"})]
    ] = Field(default_factory=dict)
    groups: dict[str, str] = Field(default_factory=dict)
    """names for label expressions"""
    include: Annotated[tuple[Filled, ...], AS_TUPLE] = ()
    """other files of the fleet, also inventories of Ansible, from this one's folder"""


def load(path: str | Path) -> Fleet:
    """The fleet in a file: fleet.yaml, or an inventory of Ansible in YAML or INI.

    Raises InputError(s) with all that is wrong in any of its files, by line.
    """
    reader = _Reader()
    reader.read(Path(path).expanduser(), Defaults(), ())
    fleet = reader.problems.attempt(lambda: assembled(Path(path), reader.parts))
    reader.problems.raise_all()
    if not reader.parts.devices:
        hosts_there = len(reader.parts.passed_over)
        why = f"; its {hosts_there} hosts have no target" if hosts_there else ""
        remedy = "name some under 'devices', or give hosts a target: edgeq_target, or 'defaults'"
        raise InputError(str(path), f"has no devices{why}", remedy)
    assert fleet is not None
    return fleet


@dataclass
class _Reader:
    """Reads files, each once."""

    parts: FleetParts = field(default_factory=FleetParts)
    problems: Problems = field(default_factory=Problems)
    read_from: dict[Path, str] = field(default_factory=dict)

    def read(self, path: Path, defaults: Defaults, within: tuple[Path, ...]) -> None:
        """Read a file and what it includes; what is wrong is kept."""
        if path.suffix not in (".yaml", ".yml", ".json"):
            self._take(lambda: of_ini(path, reading.text(path, LARGEST)), defaults)
            return
        found = self.problems.attempt(lambda: document.read(path, LARGEST))
        if found is None:
            return
        if not set(_KEYS) & set(found.content) and is_one(found.content):
            self._take(lambda: of_yaml(found), defaults)
            return
        said = self.problems.attempt(lambda: document.validate(found, FleetFile))
        if said is not None:
            self._read_fleet(found, said, defaults, (*within, path.resolve()))

    def _read_fleet(
        self, found: Document, said: FleetFile, outer: Defaults, within: tuple[Path, ...]
    ) -> None:
        defaults = _over(outer, said.defaults, found.path.parent)
        for name, device in said.devices.items():
            self.parts.devices.append(_entry(found, name, device, defaults))
        for name, text in said.groups.items():
            self.parts.groups.append(GroupEntry(name, found.at(("groups", name)), text))
        for number, name in enumerate(said.include):
            place = found.at(("include", number))
            path = found.path.parent / Path(name).expanduser()
            if path.resolve() in within:
                what = f"'{name}' includes itself, by way of the files that include it"
                self.problems.found.append(InputError(place, what, "take it out here or there"))
            elif path.resolve() in self.read_from:
                what = f"'{name}' is included already by {self.read_from[path.resolve()]}"
                self.problems.found.append(InputError(place, what, "include it once"))
            elif reason := reading.why_no_file(path):
                what = f"'{name}' {reason}"
                self.problems.found.append(
                    InputError(place, what, f"name a file, from {found.path.parent}")
                )
            else:
                self.read_from[path.resolve()] = place
                self.read(path, defaults, within)

    def _take(self, read: Callable[[], Inventory], defaults: Defaults) -> None:
        whole = Entry("", lambda _: "", **defaults.model_dump())
        self.problems.attempt(lambda: hosts.add(read_beside(read()), whole, self.parts))


def _over(outer: Defaults, inner: Defaults, folder: Path) -> Defaults:
    """The inner ones, with those of the outer that they leave out."""
    own = by_whole_path({name: getattr(inner, name) for name in inner.model_fields_set}, folder)
    return outer.model_copy(update={**own, "labels": {**outer.labels, **inner.labels}})


def _entry(found: Document, name: str, device: Described, defaults: Defaults) -> Entry:
    own = {key: getattr(device, key) for key in device.model_fields_set}
    whole = {**defaults.model_dump(), **by_whole_path(own, found.path.parent)}
    whole["labels"] = {**defaults.labels, **device.labels}
    return Entry(name, lambda key: found.at(("devices", name, key)), **whole)
