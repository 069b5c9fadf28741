"""Fleets for a person: the list, what a look at it found, and what came of a command on each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.records.device import Pushed, Status
from edgeq.records.examination import Examination, Finding
from edgeq.records.fleet import COLUMNS
from edgeq.report.terminal.records import sent_text

if TYPE_CHECKING:
    from edgeq.records.fleet import DeviceCheck, FleetCheck
    from edgeq.spec.fleet.fleet import Fleet, FleetDevice
    from edgeq.verbs.fleet import FleetOutcome

_SHORT = 12
"""Characters of a release's id."""


def list_record(fleet: Fleet, on: str, devices: Sequence[FleetDevice]) -> dict[str, Any]:
    """Devices for `--json`."""
    shown = ("address", "jump", "host_key", "frame_rate")
    rows = [
        {
            "device": device.name,
            "target": device.target.name,
            **{name: getattr(device, name) for name in shown},
            "identity": None if device.identity is None else str(device.identity),
            "labels": device.labels,
            "groups": sorted(device.groups),
        }
        for device in devices
    ]
    return {
        "fleet": str(fleet.path),
        "on": on,
        "devices": rows,
        "passed_over": list(fleet.passed_over),
    }


def list_text(fleet: Fleet, devices: Sequence[FleetDevice]) -> RenderableType:
    """Devices for a person."""
    table = Table("device", "target", "address", "labels", "groups", box=None, header_style="")
    for device in devices:
        own = (f"{k}={v}" for k, v in device.labels.items() if k not in ("name", "target"))
        through = f" by {device.jump}" if device.jump not in (None, "none") else ""
        address = f"{device.address or 'this machine'}{through}"
        groups = ", ".join(sorted(device.groups))
        table.add_row(device.name, device.target.name, address, ", ".join(own), groups)
    lines = [f"{len(devices)} of {len(fleet.devices)} devices of {fleet.path}"]
    if fleet.passed_over:
        lines.append(f"hosts without a target, which are left out: {len(fleet.passed_over)}")
    return Group(table, *map(Text, lines))


def check_text(check: FleetCheck) -> RenderableType:
    """A look at a fleet for a person: a row a device, and below what is wrong."""
    table = Table("device", *COLUMNS, "runs", box=None, header_style="")
    problems = []
    for device in check.devices:
        found = {finding.name: finding for finding in device.findings}
        cells = (_cell(found.get(name)) for name in COLUMNS)
        table.add_row(device.device, *cells, _release(device))
        for finding in device.findings:
            if finding.state in ("wrong", "missing"):
                said = f"{device.device}: {finding.name}: {finding.found}"
                problems.append(said + (f"; {finding.remedy}" if finding.remedy else ""))
    ready = len(check.devices) - check.failed
    summary = f"{ready} of {len(check.devices)} devices are ready"
    if check.failed:
        summary += f", {check.failed} are NOT"
    return Group(table, *map(Text, problems), Text(summary))


def _cell(finding: Finding | None) -> str:
    if finding is None:
        return "-"
    return finding.found if finding.state in ("ok", "note") else finding.state.upper()


def _release(device: DeviceCheck) -> str:
    if any(finding.name == "engine" for finding in device.findings):
        return device.current[:_SHORT] if device.current else "nothing"
    return "-"


def outcomes_record(fleet: str, on: str, outcomes: Sequence[FleetOutcome[Any]]) -> dict[str, Any]:
    """What came of a command on each device, for `--json`."""
    rows = [
        {
            "device": outcome.device.name,
            "target": outcome.device.target.name,
            "address": outcome.device.address,
            "result": _plain(outcome.result),
            "error": _error(outcome),
            "exit_code": outcome.exit_code,
        }
        for outcome in outcomes
    ]
    failed = sum(outcome.exit_code != 0 for outcome in outcomes)
    return {"fleet": fleet, "on": on, "devices": rows, "failed": failed}


def _plain(result: object) -> object:
    return result.model_dump(mode="json") if isinstance(result, BaseModel) else result


def _error(outcome: FleetOutcome[Any]) -> dict[str, str] | None:
    error = outcome.error
    if error is None:
        return None
    said = {"where": error.where, "what": error.what, "remedy": error.remedy}
    return {**said, "kind": getattr(error, "kind", "")}


def outcomes_text(outcomes: Sequence[FleetOutcome[Any]]) -> RenderableType:
    """What came of a command on each device, for a person."""
    table = Table(box=None, header_style="")
    table.add_column("device")
    table.add_column("", overflow="fold")
    for outcome in outcomes:
        said = f"FAILED: {outcome.error}" if outcome.error else _said(outcome.result)
        table.add_row(outcome.device.name, said)
    failed = [outcome.device.name for outcome in outcomes if outcome.exit_code]
    summary = f"{len(outcomes) - len(failed)} of {len(outcomes)} devices"
    if failed:
        summary += f"; FAILED on {len(failed)}: {', '.join(failed)}"
    return Group(table, Text(summary))


def _said(result: object) -> str:
    """What one device answered, in a line."""
    if isinstance(result, Status):
        ids = (result.current, result.previous)
        current, previous = (one[:_SHORT] if one else "nothing" for one in ids)
        room = f"{result.free_bytes / 2**20:.0f} MiB free"
        lock = f", at work: {result.lock.who}" if result.lock else ""
        before = "rolled back from" if result.rolled_back else "before"
        return f"runs {current}, {before} {previous}, {room}{lock}"
    if isinstance(result, Pushed):
        return f"{result.artifact_id[:_SHORT]}: {sent_text(result)}"
    if isinstance(result, Examination):
        bad = [f for f in result.findings if f.state in ("wrong", "missing")]
        made = "ready" if result.ready else "FAILED: NOT ready"
        return "; ".join([made, *(f"{one.name}: {one.found}" for one in bad)])
    if isinstance(result, list):
        return "; ".join(map(str, result))
    return str(result)
