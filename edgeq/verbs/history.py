"""History: how a recipe's figures went on one board, and where they changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

from edgeq.errors import InputError
from edgeq.records.history import History, HistoryUnit, LevelChange, Series
from edgeq.records.measurement import Measurement
from edgeq.records.report import Report
from edgeq.significance.change_points import FEWEST, change_points
from edgeq.spec import target as targets
from edgeq.store import open_store

_INPUTS = {
    "edgeq": "edgeq_version",
    "recipe": "recipe_sha256",
    "model": "model_sha256",
    "artifact": "artifact_id",
}
_LONGEST = 300
_SHOWN = 10
METRICS: tuple[tuple[str, HistoryUnit], ...] = (
    ("inference p50", "ms"),
    ("frame p50", "ms"),
    ("peak memory", "bytes"),
    ("mask AP", "AP"),
    ("mask agreement", "AP"),
    ("box agreement", "AP"),
    ("size", "bytes"),
)
_AGREED = {"mask agreement": "mask", "box agreement": "box"}


def history(
    recipe: str | Path, target: str, device: str | None = None, store: str | None = None
) -> History:
    """The last 300 runs of a recipe on one board, the oldest first, and where figures changed.

    `target` is a name, which need not be known here, or a file. `device` may be left out where the
    store knows one. Times of runs that were unstable are left out. Raises InputError where there
    are no such runs, or of several boards.
    """
    opened = open_store(store)
    target = targets.load(target).name if Path(target).suffix in (".yaml", ".yml") else target
    known = opened.recipes(target)
    meant = [name for name in known if _is_of(name, str(recipe))]
    newest = opened.reports(target=target, limit=_LONGEST, recipes=meant)
    if not newest:
        names = ", ".join(known[:_SHOWN]) or "no other"
        what = f"there are no runs of {recipe} on {target}"
        raise InputError(opened.where, what, f"there are some of {names}")
    devices = sorted({run.device for run in newest})
    if device is None and len(devices) > 1:
        what = f"{recipe} ran on several boards: {', '.join(devices[:_SHOWN])}"
        raise InputError(opened.where, what, "name one with --device")
    chosen = device or devices[0]
    runs = opened.reports(target=target, device=chosen, limit=_LONGEST, recipes=meant)[::-1]
    if not runs:
        what = f"{recipe} never ran on {chosen}"
        raise InputError(opened.where, what, f"there is {', '.join(devices[:_SHOWN])}")
    measured = [one for run in runs if (one := _measured(run))]
    unstable = sum(bool(one.unstable) for one in measured)
    left_out = [f"times of unstable runs are left out: {unstable}"] if unstable else []
    return History(
        recipe=str(recipe),
        target=target,
        device=chosen,
        emulated=any(one.emulated for one in measured),
        runs=len(runs),
        series=tuple(series(name, unit, runs) for name, unit in METRICS),
        notes=(*left_out, *opened.notes),
    )


def series(metric: str, unit: HistoryUnit, runs: Sequence[Report]) -> Series:
    """One figure over those runs that have it, and where it changed."""
    told = [(run, value) for run in runs if (value := _figure(run, metric)) is not None]
    values = [value for _, value in told]
    found = change_points(values)
    ends = [0, *(one.index for one in found), len(values)]
    levels = [median(values[first:last]) for first, last in pairwise(ends)] if values else []
    changes = tuple(
        LevelChange(
            run=told[point.index][0].id,
            created_at=told[point.index][0].created_at,
            before=before,
            after=after,
            p=point.p,
            differs=tuple(differences(told[point.index - 1][0], told[point.index][0])),
        )
        for point, (before, after) in zip(found, pairwise(levels), strict=True)
    )
    runs_are = "run is" if len(values) == 1 else "runs are"
    few = f"{len(values)} {runs_are} too few to tell a change from chance: {FEWEST} are needed"
    return Series(
        metric=metric,
        unit=unit,
        runs=tuple(run.id for run, _ in told),
        values=tuple(values),
        changes=changes,
        note=few if len(values) < FEWEST else "",
    )


def differences(before: Report, after: Report) -> Iterator[str]:
    """What is not the same of two runs beside their figures: input, versions, the board's state."""
    for name, field in _INPUTS.items():
        a, b = str(getattr(before, field))[:12], str(getattr(after, field))[:12]
        if a != b:
            yield f"{name}: {a} to {b}"
    for place, old, new in (
        ("here", dict[str, object](before.versions), dict[str, object](after.versions)),
        ("there", _packages(before), _packages(after)),
    ):
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                yield f"{name} {place}: {old.get(name)} to {new.get(name)}"
    modes = [one.power_mode if one else None for one in map(_measured, (before, after))]
    if modes[0] != modes[1]:
        yield f"power mode: {modes[0]} to {modes[1]}"


def _packages(run: Report) -> dict[str, object]:
    found = run.probe.get("packages")
    return found if isinstance(found, dict) else {}


def _is_of(name: str, recipe: str) -> bool:
    """Whether a run's recipe is meant: as it was named then, or the same file from elsewhere."""
    return name == recipe or Path(name).absolute() == Path(recipe).absolute()


def _measured(run: Report) -> Measurement | None:
    device = run.column("device")
    return device.measurement if device else None


def _figure(run: Report, metric: str) -> float | None:
    measured, device = _measured(run), run.column("device")
    if metric == "size":
        return float(run.artifact_bytes)
    if metric == "mask AP":
        return device.accuracy.mask.ap if device and device.accuracy else None
    if metric in _AGREED:
        agreed = device.agreement if device else None
        return getattr(agreed, _AGREED[metric]).estimate if agreed else None
    if measured is None:
        return None
    if metric == "peak memory":
        return float(measured.peak_rss_bytes)
    if measured.unstable or (metric == "frame p50" and not measured.postprocess_ns):
        return None
    latency = measured.latency_ms(50, "frame" if metric == "frame p50" else "inference")
    return None if math.isnan(latency) else latency
