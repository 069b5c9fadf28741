"""What a study leaves behind: a folder with Markdown, JSON and pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgeq.errors import InputError, require
from edgeq.places import write_whole
from edgeq.records.accuracy import Interval
from edgeq.records.files import check_writable
from edgeq.records.study import Study
from edgeq.records.trial import Trial
from edgeq.report.terminal.study import markdown

_MASK, _BOX = "#1f5a96", "#d98c3f"


def check(folder: Path) -> None:
    """InputError when the files could not be written; to be asked before any work."""
    require("matplotlib", "plot")
    if folder.exists() and not folder.is_dir():
        raise InputError(str(folder), "is a file", "name a folder")
    check_writable(folder / "study.json" if folder.exists() else folder)


def write(found: Study, folder: Path) -> None:
    """Write them; each is whole or as it was before."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = draw(found, folder)
    write_whole(folder / "study.json", found.model_dump_json(indent=1).encode())
    write_whole(folder / "study.md", markdown(found, pictures).encode())


def draw(found: Study, folder: Path) -> list[str]:
    """Write both pictures into a folder; their names."""
    require("matplotlib", "plot")
    trials = (*found.weights, *found.activations)
    labels = [f"weights {trial.name}" for trial in found.weights]
    labels += [trial.name for trial in found.activations]
    bars = _figure(8, 1.6 + 0.34 * len(trials))
    _bars(bars.subplots(), trials, labels, found)
    curve = _figure(8, 4.2)
    _curve(curve.subplots(), found)
    names = ["calibrators.png", "partial.png"]
    for name, figure in zip(names, (bars, curve), strict=True):
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=120)
        write_whole(folder / name, content.getvalue())
    return names


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _bars(axes: Any, trials: Sequence[Trial], labels: Sequence[str], found: Study) -> None:
    for shift, colour, name in ((-0.19, _MASK, "mask"), (0.19, _BOX, "box")):
        drops = [_drop(trial, name) for trial in trials]
        places = [i + shift for i, drop in enumerate(drops) if drop is not None]
        known = [drop for drop in drops if drop is not None]
        axes.barh(places, [d.estimate for d in known], height=0.36, color=colour, label=name)
        axes.errorbar(
            [d.estimate for d in known], places, xerr=_reach(known), fmt="none", ecolor="#555555"
        )
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("AP lost against float (95% paired bootstrap)")
    axes.set_title(f"{Path(found.recipe).name} for {found.target}", loc="left", fontsize=11)
    axes.legend(title="AP", loc="lower right")


def _curve(axes: Any, found: Study) -> None:
    base = found.partial[0].layers_float
    counts = [trial.layers_float - base for trial in found.partial]
    for colour, name in ((_MASK, "mask"), (_BOX, "box")):
        pairs = [
            (count, drop)
            for count, trial in zip(counts, found.partial, strict=True)
            if (drop := _drop(trial, name)) is not None
        ]
        known = [drop for _, drop in pairs]
        axes.errorbar(
            [count for count, _ in pairs],
            [drop.estimate for drop in known],
            yerr=_reach(known),
            color=colour,
            marker="o",
            capsize=3,
            label=name,
        )
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.minorticks_off()
    axes.set_xlim(-0.3, 1.15 * counts[-1])
    axes.set_xlabel("layers left in float, the most sensitive first")
    axes.set_ylabel("AP lost against float")
    axes.set_title(f"{found.partial[0].name}: partial quantization", loc="left", fontsize=11)
    axes.legend(title="AP")


def _drop(trial: Trial, kind: str) -> Interval | None:
    return trial.mask_ap_drop if kind == "mask" else trial.box_ap_drop


def _reach(drops: Sequence[Interval]) -> list[list[float]]:
    """How far the intervals reach below and above the estimates."""
    below = [max(drop.estimate - drop.low, 0.0) for drop in drops]
    return [below, [max(drop.high - drop.estimate, 0.0) for drop in drops]]
