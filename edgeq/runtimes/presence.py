"""Which of an engine's packages a device has, and what to do about the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgeq.records.answers import Probe
from edgeq.runtimes.base import Package, Runtime
from edgeq.spec.target import Target


@dataclass(frozen=True)
class Presence:
    """A package that an engine needs; without a `version` it is missing, and `lack` says how."""

    name: str
    version: str | None
    lack: str = ""
    remedy: str = ""


def modules(engine: Runtime) -> list[str]:
    """Every module that an engine may need on a device, for its probe."""
    packages = [one.module for package in engine.packages for one in package.alternatives]
    return [*packages, *engine.from_system]


def presence(engine: Runtime, target: Target, probe: Probe) -> Iterator[Presence]:
    """Every package of an engine in a probe; of several that do as well, the one that is used.

    Where all of these are missing it is the one that `targets setup` brings.
    """
    brought = engine.requirements(probe.python.major_minor)
    for package in engine.packages:
        found = next((one for one in package.alternatives if _version(probe, one)), None)
        if found is not None:
            yield Presence(found.name, _version(probe, found))
            continue
        wanted = next(one for one in package.alternatives if _is_among(one, brought))
        yield Presence(wanted.name, None, _lack(package, wanted, probe), _remedy(package, target))


def _version(probe: Probe, package: Package) -> str | None:
    return probe.packages.get(package.module)


def _is_among(package: Package, requirements: list[str]) -> bool:
    return any(text.partition("<")[0] == package.name for text in requirements)


def _lack(package: Package, wanted: Package, probe: Probe) -> str:
    """There is none of them, or what is there is broken."""
    broken = []
    for one in package.alternatives:
        reason = probe.not_readable.get(f"packages.{one.module}")
        if reason is not None:
            broken.append(reason if one is wanted else f"{one.name}: {reason}")
    return f"broken ({'; '.join(broken)})" if broken else "not installed"


def _remedy(package: Package, target: Target) -> str:
    if target.transport == "local" and package.extra:
        return f"run: pip install 'edgeq[{package.extra}]'"
    return "run: edgeq targets setup"
