"""Look at every device of a fleet: can it be reached, can it work, and what runs there now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeq.device.connection import Address, connect
from edgeq.device.examination import findings
from edgeq.errors import (
    AUTH_FAILED,
    HOST_KEY_CHANGED,
    HOST_KEY_UNKNOWN,
    INCOMPATIBLE,
    LINK_LOST,
    NAME_NOT_FOUND,
    NOT_SSH,
    PASSPHRASE,
    PROXY,
    REFUSED,
    UNREACHABLE,
    DeviceError,
    EdgeqError,
)
from edgeq.records.answers import Contents
from edgeq.records.examination import Examination, Finding
from edgeq.records.fleet import COLUMNS, DeviceCheck, FleetCheck
from edgeq.runtimes import runtime
from edgeq.runtimes.base import NUMPY, OPENCV
from edgeq.runtimes.presence import modules
from edgeq.spec.fleet.file import load
from edgeq.spec.fleet.fleet import Fleet, FleetDevice
from edgeq.spec.target import Target
from edgeq.verbs.boards import engine_findings, fact_findings, free_disk, lock_findings
from edgeq.verbs.fleet import AT_ONCE, FleetOutcome, run_on_fleet

_AT = {
    **dict.fromkeys((NAME_NOT_FOUND, UNREACHABLE, REFUSED, NOT_SSH, INCOMPATIBLE), "reachable"),
    **dict.fromkeys((PROXY, LINK_LOST, AUTH_FAILED, PASSPHRASE), "reachable"),
    **dict.fromkeys((HOST_KEY_UNKNOWN, HOST_KEY_CHANGED), "host key"),
}
"""What each kind of error is about; every other kind is about the agent."""


@dataclass(frozen=True)
class _Seen:
    """A device that answered."""

    examination: Examination
    contents: Contents


def check_fleet(fleet: str | Path | Fleet, on: str = "all", at_once: int = AT_ONCE) -> FleetCheck:
    """Say of every device that an expression means whether a deploy can work there, and what runs.

    All are looked at side by side, and nothing on them is touched. Raises InputError(s) for the
    fleet and the expression; what is wrong with a device is among its findings.
    """
    loaded = fleet if isinstance(fleet, Fleet) else load(fleet)
    devices = tuple(_checked(one) for one in run_on_fleet(loaded, _look, on, at_once))
    failed = sum(device.exit_code != 0 for device in devices)
    return FleetCheck(fleet=str(loaded.path), on=on, devices=devices, failed=failed)


def _look(target: Target, address: Address) -> _Seen:
    with connect(target, address, keep=False) as device:
        contents = device.status()
        probe = device.probe(modules(runtime(target.runtime)))
        found = [
            *_way(target, address.host_key),
            Finding(name="agent", state="ok", found=f"Python {device.hello.python}"),
            _engine(list(engine_findings(target, probe))),
            free_disk(contents.free_bytes, contents.environment),
            Finding(name="power mode", state="ok", found=probe.power_mode or "not known"),
            *(one for one in findings(target, device) if one.name != "python"),
            *fact_findings(target, probe),
            *lock_findings(device, contents),
        ]
        examination = Examination(
            device=device.address,
            target=target.name,
            findings=tuple(found),
            environment=contents.environment,
        )
        return _Seen(examination, contents)


def _way(target: Target, host_key: str | None) -> Iterator[Finding]:
    """How a device was reached that answered."""
    if target.transport == "local":
        yield Finding(name="reachable", state="ok", found="this machine")
        return
    yield Finding(name="reachable", state="ok", found="yes")
    known = "known" if host_key is None else "as named"
    yield Finding(name="host key", state="ok", found=known)


def _engine(packages: Sequence[Finding]) -> Finding:
    """The packages of an engine as one finding: those that are missing, or the engine's own."""
    lacking = [one for one in packages if one.state != "ok"]
    beside = (NUMPY.name, OPENCV.name)  # which every engine needs
    shown = lacking or [one for one in packages if one.name not in beside]
    return Finding(
        name="engine",
        state=lacking[0].state if lacking else "ok",
        found=", ".join(f"{one.name} {one.found}" for one in shown),
        remedy="; ".join(dict.fromkeys(one.remedy for one in lacking)),
    )


def _checked(outcome: FleetOutcome[_Seen]) -> DeviceCheck:
    device, seen = outcome.device, outcome.result
    exit_code = outcome.exit_code
    if seen is None:
        assert outcome.error is not None
        found = tuple(_missed(device, outcome.error))
    else:
        found = seen.examination.findings
        exit_code = 0 if seen.examination.ready else DeviceError.exit_code
    return DeviceCheck(
        device=device.name,
        target=device.target.name,
        address=device.address,
        findings=found,
        current=seen.contents.current if seen else None,
        previous=seen.contents.previous if seen else None,
        exit_code=exit_code,
    )


def _missed(device: FleetDevice, error: EdgeqError) -> Iterator[Finding]:
    """What an error says about the way to a device: all before it went well."""
    if isinstance(error, DeviceError):
        at, what = _AT.get(error.kind, "agent"), error.what
    else:  # the file that is wrong, or what was met that nobody thought of
        at, what = "reachable", f"{error.where}: {error.what}"
    way = {one.name: one for one in _way(device.target, device.host_key)}
    for name in COLUMNS[: COLUMNS.index(at)]:
        if name in way:
            yield way[name]
    yield Finding(name=at, state="wrong", found=what, remedy=error.remedy)
    if isinstance(error, DeviceError) and error.kind in (AUTH_FAILED, PASSPHRASE):
        yield way["host key"]
