"""A roll-out as a page: how it stands in words, its waves on a time line, its devices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeq.records.files import write_text
from edgeq.records.rollout import WORKING, DeviceProgress, RolloutEvent, RolloutStatus
from edgeq.report.html.layout import Heading, Tone, check_page, laid_out
from edgeq.report.html.numbers import Cell, Numbers, data_link
from edgeq.report.html.provenance import Download
from edgeq.report.html.rollout.devices import (
    changes_chart,
    failures,
    far_devices,
    states_chart,
)
from edgeq.report.html.rollout.steps import steps_taken
from edgeq.report.html.rollout.timeline import timeline_chart
from edgeq.store import open_store, rollouts

_SECTIONS = (
    *(("verdict", "Verdict"), ("devices", "Devices")),
    *(("steps", "Steps"), ("provenance", "Provenance")),
)
_MOST_EVENTS = 20_000
_MOST_REASONS = 100
_MOST_JSON = 1_000
"""Devices. Above, the page would be larger than anybody wants to send."""


_STANDINGS: dict[str, str] = {
    "bad": "bad because of the release",
    "troubled": "in trouble",
    "rolled back": "back at the release before",
    "soaking": "soaking",
    "working": "at work",
    "pending": "not begun",
}
"""What is said of a device that is not healthy, the worst first."""


def write_rollout_html(rollout: str, output: Path, store: str | None = None) -> None:
    """Write a page about a roll-out, by its id or the beginning of it.

    Raises InputError for what names none, and where the page cannot be written.
    """
    check_page(output)
    shelf = open_store(store)
    found = rollouts.status(shelf, rollout)
    events = [event for _, event in rollouts.events(shelf, found.id)]
    write_text(render_rollout_html(found, events), output)


def render_rollout_html(found: RolloutStatus, events: Sequence[RolloutEvent]) -> str:
    """The page as HTML; the same for the same records."""
    heading = _heading(found)
    charts = (timeline_chart(found, events), states_chart(found), changes_chart(found))
    reasons, far = failures(found), far_devices(found)
    return laid_out(
        "rollout.html",
        f"Roll-out {found.id} of {found.recipe}: {heading.ending}",
        _SECTIONS,
        heading=heading,
        charts=tuple(one for one in charts if one is not None),
        reasons=Numbers(reasons.heads, reasons.rows[:_MOST_REASONS]),
        all_reasons=reasons,
        far=Numbers(
            ("device", "wave", "metric", "change"),
            tuple((one.device, one.wave, one.metric, f"{one.change:+z.1f}%") for one in far),
        ),
        unmeasured=sum(not one.losses for one in found.devices),
        devices=_devices(found),
        steps=steps_taken(events),
        course=Numbers(
            ("at, UTC", "roll-out", "reason"),
            tuple(
                (f"{one.at:%Y-%m-%d %H:%M:%S}", one.state, one.reason)
                for one in events
                if one.device is None
            ),
        ),
        facts=tuple(_facts(found, events)),
        downloads=tuple(_downloads(found, events)),
    )


def _heading(found: RolloutStatus) -> Heading:
    return Heading(
        about=f"Roll-out {found.id}",
        where=f"of {found.recipe} to {found.fleet}",
        ending=found.state.capitalize(),
        tone=_tone(found),
        words=f"{_counted(found)}.",
        sentences=tuple(_sentences(found)),
    )


def _tone(found: RolloutStatus) -> Tone:
    if found.state in ("stopped", "aborted", "rolled back"):
        return "failed"
    if any(one.is_bad for one in found.devices):
        return "failed"
    is_well = found.state == "done" and {one.state for one in found.devices} == {"healthy"}
    return "passed" if is_well else "not-judged"


def _counted(found: RolloutStatus) -> str:
    others = Counter(_standing(one) for one in found.devices if one.state != "healthy")
    healthy, total = len(found.devices) - others.total(), len(found.devices)
    verb = "device is" if total == 1 else "devices are"
    order = sorted(others, key=list(_STANDINGS.values()).index)
    return ", ".join([f"{healthy} of {total} {verb} healthy", *(f"{others[s]} {s}" for s in order)])


def _standing(one: DeviceProgress) -> str:
    kind = "bad" if one.is_bad else "troubled" if one.is_in_trouble else one.state
    return _STANDINGS["working" if kind in WORKING else kind]


def _sentences(found: RolloutStatus) -> Iterator[str]:
    if found.reason:
        yield f"{found.reason[:1].upper()}{found.reason[1:]}."
    begun = {one.wave for one in found.devices if one.state != "pending"}
    yield f"{len(begun)} of {len(found.waves)} waves were begun."


def _devices(found: RolloutStatus) -> Numbers:
    metrics = list(dict.fromkeys(metric for one in found.devices for metric in one.losses))
    heads = (
        *("device", "wave", "state", "failure", "tries", "before", "artifact", "changed at"),
        *(f"{metric}, log ratio" for metric in metrics),
        "reason",
    )
    rows = tuple(
        (*_known(found, one), *(one.losses.get(metric) for metric in metrics), one.reason)
        for one in found.devices
    )
    return Numbers(heads, rows)


def _known(found: RolloutStatus, one: DeviceProgress) -> tuple[Cell, ...]:
    changed = one.updated_at.isoformat() if one.updated_at else None
    wave = found.waves[one.wave]
    return (
        *(one.device, wave, one.state, one.failure, one.tries),
        *(one.before, one.artifact_id, changed),
    )


def _facts(found: RolloutStatus, events: Sequence[RolloutEvent]) -> Iterator[tuple[str, str]]:
    yield "roll-out", found.id
    yield "begun", f"{found.created_at:%Y-%m-%d %H:%M:%S} UTC"
    if events:
        last = max(event.at for event in events)
        yield "last heard of", f"{last:%Y-%m-%d %H:%M:%S} UTC, {len(events)} events"
    yield "recipe", found.recipe
    yield "fleet", found.fleet
    if found.held is not None:
        yield "controller", f"{found.held.by}, since {found.held.since:%Y-%m-%d %H:%M:%S} UTC"
    releases = sorted({one.artifact_id for one in found.devices if one.artifact_id})
    for artifact in releases:
        count = sum(one.artifact_id == artifact for one in found.devices)
        yield "artifact", f"{artifact}, of {count} devices"


def _downloads(found: RolloutStatus, events: Sequence[RolloutEvent]) -> Iterator[Download]:
    yield Download("devices.csv", _devices(found).csv, "every device, as it stands")
    if len(events) <= _MOST_EVENTS:
        rows = tuple(
            (one.at.isoformat(), one.device, one.wave, one.state, one.failure, one.reason)
            for one in events
        )
        heads = ("at", "device", "wave", "state", "failure", "reason")
        yield Download("events.csv", Numbers(heads, rows).csv, "everything that happened")
    if len(found.devices) <= _MOST_JSON:
        text = found.model_dump_json(indent=1)
        link = data_link(text, "application/json")
        yield Download("status.json", link, "as edgeq rollout status --json has it")
