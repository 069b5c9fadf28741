"""An inventory of Ansible as it counts there: groups of hosts, and the variables of each host.

Sources: Ansible's 'How to build your inventory', and for what comes before what
'How variables are merged': all, then parents before children, then the host itself; what folders
beside it say of groups counts more than what it says of any group itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edgeq.errors import InputError, raise_all

EVERYWHERE, NOWHERE = "all", "ungrouped"
_PRIORITY = "ansible_group_priority"


@dataclass(frozen=True)
class Variable:
    """A value as the inventory has it, and where."""

    value: object
    place: str


Variables = dict[str, Variable]


@dataclass
class HostGroup:
    """A group as it was written, perhaps in several pieces."""

    name: str
    place: str
    hosts: dict[str, None] = field(default_factory=dict)
    """in their order"""
    children: list[str] = field(default_factory=list)
    variables: Variables = field(default_factory=dict)


@dataclass
class Inventory:
    """What an inventory says; read with `add`, `group` and `host`, then asked."""

    path: Path
    groups: dict[str, HostGroup] = field(default_factory=dict)
    hosts: dict[str, Variables] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    """where each host stands first"""
    group_files: dict[str, Variables] = field(default_factory=dict)
    """of the folder group_vars beside it"""
    host_files: dict[str, Variables] = field(default_factory=dict)
    """of the folder host_vars"""

    def group(self, name: str, place: str) -> HostGroup:
        """The group of that name, new if there is none yet."""
        return self.groups.setdefault(name, HostGroup(name, place))

    def add(self, group: HostGroup, host: str, variables: Mapping[str, Variable]) -> None:
        """Put a host into a group."""
        self.places.setdefault(host, group.place)
        self.hosts.setdefault(host, {}).update(variables)
        group.hosts[host] = None

    def members(self) -> dict[str, frozenset[str]]:
        """The hosts of every group, those of its children included, but for 'all'."""
        found: dict[str, frozenset[str]] = {}
        for group in self._upwards():
            below = (found[child] for child in group.children)
            found[group.name] = frozenset(group.hosts).union(*below)
        grouped = {h for name, m in found.items() if name not in (EVERYWHERE, NOWHERE) for h in m}
        alone = frozenset(self.hosts) - grouped
        own = {name: m for name, m in found.items() if name not in (EVERYWHERE, NOWHERE)}
        return {**own, NOWHERE: alone} if alone else own

    def variables(self) -> Iterator[tuple[str, Variables]]:
        """Every host with the variables that count for it."""
        groups, members = self._upwards(), {**self.members(), EVERYWHERE: frozenset(self.hosts)}
        depths = self._depths()

        def rank(group: HostGroup) -> tuple[int, float, str]:
            priority = group.variables.get(_PRIORITY)
            number = float(str(priority.value)) if priority else 1.0
            return depths[group.name], number, group.name

        inherited: dict[str, Variables] = {host: {} for host in self.hosts}
        ranked = sorted(groups, key=rank)
        written = [(group.name, group.variables) for group in ranked]
        beside = [(group.name, self.group_files.get(group.name, {})) for group in ranked]
        for name, variables in (*written, *beside):
            told = {key: v for key, v in variables.items() if key != _PRIORITY}
            for host in members.get(name, ()) if told else ():
                inherited[host].update(told)
        for host, own in self.hosts.items():
            yield host, {**inherited[host], **own, **self.host_files.get(host, {})}

    def _upwards(self) -> list[HostGroup]:
        """All groups, children before parents. Raises InputError(s) for one within itself."""
        done: dict[str, HostGroup] = {}
        problems: list[InputError] = []

        def visit(name: str, above: tuple[str, ...]) -> None:
            if name in above:
                ring = " of ".join((*above[above.index(name) :], name))
                what = f"group '{name}' is within itself: {ring}"
                problems.append(InputError(self.groups[name].place, what, "take one of them out"))
                return
            if name in done:
                return
            for child in self.groups[name].children:
                visit(child, (*above, name))
            done[name] = self.groups[name]

        for name in self.groups:
            visit(name, ())
        raise_all(problems)
        return list(done.values())

    def _depths(self) -> dict[str, int]:
        """How far each group is below 'all', by the longest way."""
        depths = {name: int(name != EVERYWHERE) for name in self.groups}
        for group in reversed(self._upwards()):
            for child in group.children:
                depths[child] = max(depths[child], depths[group.name] + 1)
        return depths
