"""Charts of what is lost: errors by kind, F1 over the threshold, AP of classes and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgeq.records.insight import (
    FEWEST_IMAGES,
    ColumnInsight,
    Insight,
    Portion,
    ThresholdOrigin,
)
from edgeq.records.report import ColumnName
from edgeq.report.html.drawing import (
    FOUND,
    INK,
    LOST,
    SOFT,
    STROKES,
    Caption,
    Chart,
    Stroke,
    draw,
)
from edgeq.report.html.numbers import Numbers
from edgeq.report.outcome import TITLES

_MOST_ROWS = 24
THRESHOLDS: dict[ThresholdOrigin, str] = {
    "recipe": "the recipe's deploy_threshold",
    "best": "the float model's best, as the recipe names no deploy_threshold",
    "usual": "a usual one, as nothing that float finds is right",
}
"""Where the score comes from, from which on a detection is kept."""
WITHOUT_DEVICE = "not measured: what the device finds is not there"
_COLOURS = {"worse": LOST, "better": FOUND, "cannot tell": SOFT}
_MARKERS = {"worse": "v", "better": "^", "cannot tell": "o"}


def strokes(columns: Sequence[ColumnInsight]) -> list[tuple[ColumnInsight, str, Stroke]]:
    """Each column with its title and how it is drawn."""
    names: dict[str, ColumnName] = {name: name for name in TITLES}
    return [
        (one, TITLES[names[one.name]], STROKES[names[one.name]])
        for one in columns
        if one.name in names
    ]


def mistakes_chart(insight: Insight, device: ColumnInsight) -> Chart:
    """By kind of error, what AP at IoU .5 would gain if it were mended, column by column."""
    drawn = strokes(insight.columns)
    kinds = [one.kind for one in insight.reference.mask.mistakes]
    rows = tuple(
        (title, one.kind, one.ap50_gain, one.count, one.kept)
        for column, title, _ in drawn
        for one in column.mask.mistakes
    )
    most = max(device.mask.mistakes, key=lambda one: one.ap50_gain)
    gained = f"most is in '{most.kind}': {most.ap50_gain:.3f}"
    said = gained if most.ap50_gain > 0 else "none of them would gain anything"
    caption = Caption(
        name="mistakes",
        title="Errors by kind",
        description=f"What mask AP at IoU 0.50 would gain if one kind of error were mended, the "
        f"others left as they are. On the device {said}.",
        numbers=Numbers(("column", "error", "AP50 gain", "errors", "at the threshold"), rows),
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        wide = 0.8 / len(drawn)
        for place, (column, title, stroke) in enumerate(drawn):
            shift = (place - (len(drawn) - 1) / 2) * wide
            gains = [one.ap50_gain for one in column.mask.mistakes]
            heights = [at + shift for at in range(len(kinds))]
            axes.hlines(heights, 0, gains, color=stroke.colour, linewidth=1.6)
            axes.plot(gains, heights, stroke.marker, color=stroke.colour, label=title, markersize=4)
        axes.set_yticks(range(len(kinds)), kinds)
        axes.set_xlabel("gain of mask AP at IoU 0.50 if mended")
        axes.set_xlim(left=0)
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
        axes.invert_yaxis()
        _legend(figure, len(drawn))

    return draw(caption, 3.3, paint)


def curve_chart(insight: Insight, device: ColumnInsight) -> Chart:
    """F1 of masks over the score threshold, of each column."""
    drawn = strokes(insight.columns)
    rows = tuple(
        (title, one.threshold, one.precision, one.recall, one.f1)
        for column, title, _ in drawn
        for one in column.mask.curve.points
    )
    there = device.mask.curve
    best = f" Its best is {there.best.f1:.3f} at {there.best.threshold:.3f}." if there.best else ""
    named = THRESHOLDS[insight.threshold_from]
    at = "none" if there.deployed.f1 is None else f"{there.deployed.f1:.3f}"
    caption = Caption(
        name="curve",
        title="F1 over the score threshold",
        description=f"F1 of masks at IoU 0.50, all classes together. At {insight.threshold:.3g} "
        f"({named}) the device has {at}.{best}",
        numbers=Numbers(("column", "threshold", "precision", "recall", "F1"), rows),
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for column, title, stroke in drawn:
            points = [one for one in column.mask.curve.points if one.f1 is not None]
            scores = [one.threshold for one in points]
            axes.plot(
                scores,
                [one.f1 for one in points],
                color=stroke.colour,
                linestyle=stroke.dashes,
                label=title,
            )
            deployed = column.mask.curve.deployed
            if deployed.f1 is not None:
                axes.plot([deployed.threshold], [deployed.f1], stroke.marker, color=stroke.colour)
        axes.axvline(insight.threshold, color=INK, linewidth=0.8)
        axes.annotate(
            f" {insight.threshold:.3g}",
            (insight.threshold, 0.02),
            color=INK,
            fontsize=8.5,
            xycoords=("data", "axes fraction"),
        )
        axes.set_xlabel("score from which on a detection is kept")
        axes.set_ylabel("F1")
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.grid()
        _legend(figure, len(drawn))

    return draw(caption, 3.3, paint)


def portions_chart(name: str, what: str, portions: Sequence[Portion]) -> Chart:
    """The drop of each class or size with its interval, what loses most first."""
    told = [one for one in portions if one.drop is not None]
    if what == "class":
        told.sort(key=lambda one: (*_tells_little(one), -abs(_drop(one))))
    rows = tuple(
        (one.name, one.instances, one.images, one.ap, *_interval(one), one.outcome) for one in told
    )
    # Of a class in a few images no interval says anything, and many are as wide as the picture.
    shown = [one for one in told if one.images >= FEWEST_IMAGES][:_MOST_ROWS] or told[:_MOST_ROWS]
    left = len(told) - len(shown)
    more = f" {left} more, of few images or less change, are among the numbers." if left else ""
    worse = sum(one.outcome == "worse" for one in told)
    caption = Caption(
        name=name,
        title=f"Mask AP lost by {what}",
        description=f"Float minus device with the 95% interval; right of zero is a loss. "
        f"{worse} of {len(told)} lose by the interval.{more}",
        numbers=Numbers(
            (what, "instances", "images", "AP", "drop", "low", "high", "outcome"), rows
        ),
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for place, one in enumerate(shown):
            outcome = one.outcome or "cannot tell"
            estimate, low, high = _interval(one)
            axes.hlines(place, low, high, color=_COLOURS[outcome], linewidth=1.4)
            axes.plot(
                [estimate], [place], _MARKERS[outcome], color=_COLOURS[outcome], markersize=4.5
            )
        axes.axvline(0, color=INK, linewidth=0.8)
        names = [f"{_short(one.name)} ({one.instances})" for one in shown]
        axes.set_yticks(range(len(shown)), names)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel(f"mask AP lost; in brackets the instances of a {what}")
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)

    return draw(caption, 0.9 + 0.2 * max(len(shown), 2), paint)


def _legend(figure: Any, columns: int) -> None:
    figure.legend(loc="outside upper left", ncols=columns, borderpad=0, handlelength=2.4)


def _tells_little(portion: Portion) -> tuple[bool, bool]:
    return portion.outcome == "cannot tell", portion.images < FEWEST_IMAGES


def _drop(portion: Portion) -> float:
    return portion.drop.estimate if portion.drop else 0.0


def _interval(portion: Portion) -> tuple[float, float, float]:
    drop = portion.drop
    return (drop.estimate, drop.low, drop.high) if drop else (0.0, 0.0, 0.0)


def _short(name: str, longest: int = 22) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
