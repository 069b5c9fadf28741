"""A sensitivity analysis as a bar chart."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeq.errors import InputError, require
from edgeq.places import write_whole
from edgeq.records.files import check_writable
from edgeq.records.sensitivity import LayerSensitivity, Sensitivity
from edgeq.report.terminal.sensitivity import decibels, drop

SUFFIXES = (".png", ".svg", ".pdf")
_LONGEST_NAME = 44
_BAR, _SCORED, _RANGE = "#8fb3d9", "#1f5a96", "#c0392b"


def check(path: Path) -> None:
    """InputError when a chart could not be drawn or written there; to be asked before any work."""
    if path.suffix.lower() not in SUFFIXES:
        what = f"is no kind of picture that is drawn: '{path.suffix}'"
        raise InputError(str(path), what, f"end it in {', '.join(SUFFIXES)}")
    check_writable(path)
    require("matplotlib", "plot")


def draw(found: Sensitivity, path: Path) -> None:
    """One bar a layer, what loses most on top; beside it the drop of mask AP where it is known."""
    require("matplotlib", "plot")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layers = found.layers
    scored = any(layer.alone.mask_ap_drop is not None for layer in layers)
    height = 1.9 + 0.2 * (len(layers) + len(found.stays_float))
    figure = Figure(figsize=(12 if scored else 9, height), layout="constrained")
    FigureCanvasAgg(figure)
    widths = [3, 2] if scored else [1]
    axes = figure.subplots(1, len(widths), sharey=True, squeeze=False, width_ratios=widths)[0]
    _noise(axes[0], layers, found)
    if scored:
        _drops(axes[1], layers, found)
    _floats(axes[0], found)
    title = f"{found.model} for {found.target}: each layer quantized alone"
    if not found.complete:
        title += f" (INCOMPLETE: {found.images} of {found.images_asked} images)"
    everything = found.everything
    title += f"\nall together: {decibels(everything.snr_db)} dB"
    if everything.mask_ap_drop is not None:
        title += f", mask AP drop {drop(everything.mask_ap_drop)}; dark bars: AP was measured"
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:].lower(), dpi=120)
    write_whole(path, content.getvalue())


def noise_percent(snr_db: float | None) -> float:
    """The error's root mean square in percent of the signal's."""
    return 0.0 if snr_db is None else 100 * math.sqrt(10 ** (-snr_db / 10))


def _noise(axes: Any, layers: Sequence[LayerSensitivity], found: Sensitivity) -> None:
    places = range(len(layers))
    values = [noise_percent(layer.alone.snr_db) for layer in layers]
    colours = [_BAR if layer.alone.mask_ap_drop is None else _SCORED for layer in layers]
    axes.barh(places, values, color=colours, height=0.75)
    highest = max(values, default=1.0) or 1.0
    for place, value, layer in zip(places, values, layers, strict=True):
        snr = layer.alone.snr_db
        text = "equal" if snr is None else f"{snr:.1f} dB"
        axes.text(
            value + highest * 0.01,
            place,
            f"{text}   {layer.macs_share:.1%} of madds",
            va="center",
            fontsize=7,
            color="#444444",
        )
    axes.set_xlim(0, highest * 1.32)
    axes.set_ylim(len(layers) + len(found.stays_float) - 0.4, -0.6)
    axes.set_xlabel(f"error of the outputs, % of float (RMS, {found.images} images)", fontsize=9)
    _quiet(axes)


def _drops(axes: Any, layers: Sequence[LayerSensitivity], found: Sensitivity) -> None:
    for place, layer in enumerate(layers):
        lost = layer.alone.mask_ap_drop
        if lost is None:
            continue
        axes.plot([lost.low, lost.high], [place, place], color=_RANGE, linewidth=1.6, alpha=0.7)
        axes.plot([lost.estimate], [place], "o", color=_RANGE, markersize=4.5)
    axes.axvline(0, color="#999999", linewidth=0.8)
    axes.set_xlabel(
        f"drop of mask AP with 95% interval, against\n"
        f"{found.labels} ({found.scored_images} images)",
        fontsize=9,
    )
    if found.spearman is not None:
        axes.set_title(
            f"rank correlation with the bars: {found.spearman:.2f} "
            f"({found.correlated} layers scored)",
            fontsize=9,
            loc="left",
        )
    axes.tick_params(axis="y", left=False, labelleft=False)
    _quiet(axes)


def _floats(axes: Any, found: Sensitivity) -> None:
    """Names of all rows; what stays float has a reason in the place of a bar."""
    first = len(found.layers)
    for place, node in enumerate(found.stays_float, first):
        axes.text(0, place, f" float: {node.reason}", va="center", fontsize=7, color="#777777")
    names = [*(layer.node for layer in found.layers), *(node.node for node in found.stays_float)]
    axes.set_yticks(range(len(names)), [_short(name) for name in names], fontsize=8)


def _quiet(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", labelsize=8)


def _short(name: str) -> str:
    """Names differ at their ends as at their beginnings: the middle goes."""
    if len(name) <= _LONGEST_NAME:
        return name
    half = (_LONGEST_NAME - 1) // 2
    return f"{name[:half]}…{name[-half:]}"
