"""The section of choices: accuracy against latency of the runs, and how figures went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeq.records.accuracy import Interval
from edgeq.records.dossier import Dossier
from edgeq.records.history import Series
from edgeq.records.report import Report
from edgeq.report.html.drawing import (
    CHANGED,
    DEVICE,
    INK,
    PAPER,
    SOFT,
    Caption,
    Chart,
    draw,
)
from edgeq.report.html.numbers import Numbers

_LEGIBLE = 2
"""Runs of which a figure is known, so that a line between them says something."""


@dataclass(frozen=True)
class RunChoice:
    """What one run would give: the median of a frame and the mask AP that it loses."""

    run: str
    label: str
    frame_ms: float
    drop: Interval
    is_subject: bool
    is_best: bool = False


@dataclass(frozen=True)
class ChoicesView:
    """The charts; the runs that could not be drawn are counted."""

    charts: tuple[Chart, ...]
    undrawn: int
    changes: tuple[str, ...]
    why_none: str = ""


def choices_view(dossier: Dossier) -> ChoicesView:
    """All runs to choose from, and the series of this recipe's."""
    found = choices(dossier)
    charts = [choices_chart(found, dossier.baselines)] if found else []
    charts += [
        series_chart(number, one, dossier)
        for number, one in enumerate(dossier.series, 1)
        if len(one.values) >= _LEGIBLE
    ]
    changes = tuple(
        f"{one.metric} changed with run {change.run}: {change.before:.4g} to {change.after:.4g} "
        f"{one.unit} (p {change.p:.3f})"
        + (f"; {', '.join(change.differs)}" if change.differs else "")
        for one in dossier.series
        for change in one.changes
    )
    why = "" if charts else "no run has both an accuracy and a steady latency of a real device"
    return ChoicesView(tuple(charts), len(dossier.runs) - len(found), changes, why)


def choices(dossier: Dossier) -> tuple[RunChoice, ...]:
    """The runs with both figures; the best are those that no other beats in both."""
    found = [one for run in dossier.runs if (one := _choice(run, dossier.report.id))]
    return tuple(
        RunChoice(**{**vars(one), "is_best": not any(_beats(two, one) for two in found)})
        for one in found
    )


def _choice(run: Report, subject: str) -> RunChoice | None:
    device = run.column("device")
    measured = device.measurement if device else None
    if device is None or measured is None or device.mask_ap_drop is None:
        return None
    if measured.unstable or measured.emulated or not measured.postprocess_ns:
        return None
    frame_ms = measured.latency_ms(50, "frame")
    label = f"{Path(run.recipe).stem}, {run.target}"
    return RunChoice(run.id, label, frame_ms, device.mask_ap_drop, run.id == subject)


def _beats(one: RunChoice, other: RunChoice) -> bool:
    mine, theirs = (one.frame_ms, one.drop.estimate), (other.frame_ms, other.drop.estimate)
    return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


def choices_chart(found: Sequence[RunChoice], baselines: dict[str, str]) -> Chart:
    """Mask AP lost against the time of a frame; down and to the left is better."""
    rows = tuple(
        (
            one.run,
            one.label,
            one.frame_ms,
            one.drop.estimate,
            one.drop.low,
            one.drop.high,
            "yes" if one.is_best else "no",
            baselines.get(one.run),
        )
        for one in found
    )
    best = sorted((one for one in found if one.is_best), key=lambda one: one.frame_ms)
    caption = Caption(
        name="tradeoff",
        title="Accuracy against time",
        description="Mask AP lost against float, with its 95% interval, and the median frame. "
        "Lower and further left is better. " + _compared(len(found), len(best)),
        numbers=Numbers(
            ("run", "recipe, target", "frame, ms", "drop", "low", "high", "best", "baseline"), rows
        ),
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.step(
            [one.frame_ms for one in best],
            [one.drop.estimate for one in best],
            where="post",
            color=INK,
            linestyle=":",
            linewidth=1.2,
        )
        for one in found:
            colour, marker = (DEVICE, "D") if one.is_subject else (SOFT, "o")
            axes.vlines(one.frame_ms, one.drop.low, one.drop.high, color=colour, linewidth=1.2)
            inside = colour if one.is_best else PAPER
            at = (one.frame_ms, one.drop.estimate)
            axes.plot(*at, marker, color=colour, markerfacecolor=inside)
            _name(axes, "this run" if one.is_subject else baselines.get(one.run, ""), at)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_xlabel("median frame, ms")
        axes.set_ylabel("mask AP lost")
        axes.set_xlim(0, 1.25 * max(one.frame_ms for one in found))
        axes.grid()

    return draw(caption, 3.0, paint)


def _compared(runs: int, best: int) -> str:
    if runs == 1:
        return "There is one run so far; deploy other recipes, and name their runs beside this one."
    verb = "is" if best == 1 else "are"
    return f"{best} of {runs} runs {verb} beaten by none in both (filled, joined by a line)."


def series_chart(number: int, series: Series, dossier: Dossier) -> Chart:
    """One figure over the runs of this recipe, with where its level changed."""
    factor = 2.0**-20 if series.unit == "bytes" else 1.0
    unit = "MiB" if series.unit == "bytes" else series.unit
    values = [value * factor for value in series.values]
    places = {run: at for at, run in enumerate(series.runs, 1)}
    changes = ", ".join(change.run for change in series.changes) or "none"
    caption = Caption(
        name=f"series-{number}",
        title=f"{series.metric} over the runs",
        description=f"{len(values)} runs of this recipe on this device, the oldest first. "
        f"Changes of level: {changes}. {series.note}".strip(),
        numbers=Numbers(
            ("run", f"{series.metric}, {unit}"), tuple(zip(series.runs, values, strict=True))
        ),
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot(range(1, len(values) + 1), values, "o-", color=SOFT, markersize=3.5, linewidth=1)
        for change in series.changes:
            axes.axvline(places[change.run] - 0.5, color=CHANGED, linestyle="--")
        for run, name in dossier.baselines.items():
            if run in places:
                at = (places[run], values[places[run] - 1])
                axes.plot([at[0]], [at[1]], "s", color=INK)
                _name(axes, name, at)
        if dossier.report.id in places:
            place = places[dossier.report.id]
            axes.plot([place], [values[place - 1]], "D", color=DEVICE)
        axes.set_xlabel("run")
        axes.set_ylabel(unit)
        low, high = min(values), max(values)
        margin = max(high - low, abs(high) * 0.02, 1e-6) * 0.3
        axes.set_ylim(low - margin, high + margin)
        axes.set_xlim(0.5, len(values) + max(0.5, 0.12 * len(values)))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y")

    return draw(caption, 2.2, paint)


def _name(axes: Any, name: str, at: tuple[float, float]) -> None:
    axes.annotate(name, at, (5, 4), textcoords="offset points", color=INK, fontsize=8.5)
