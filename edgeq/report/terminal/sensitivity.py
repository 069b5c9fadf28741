"""A sensitivity analysis for a terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.records.accuracy import Interval
from edgeq.records.sensitivity import Loss, Sensitivity
from edgeq.report.figures import NOTHING, average_precision, interval


def render(found: Sensitivity) -> RenderableType:
    """What loses most first; readable without colour."""
    remarks = [Text(line) for line in _remarks(found)]
    return Group(Text(_head(found)), Text(), _table(found), Text(), *remarks)


def _head(found: Sensitivity) -> str:
    share = sum(layer.macs_share for layer in found.layers)
    return (
        f"{found.model} for {found.target}: {len(found.layers)} layers that can be int8, with "
        f"{share:.1%} of the multiply-adds, on {found.images} images"
    )


def _table(found: Sensitivity) -> Table:
    left_out = any(layer.all_but is not None for layer in found.layers)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("", justify="right")
    table.add_column("layer", overflow="fold", min_width=12)
    columns = ["madds", "SNR, dB"]
    if found.scored_images:
        columns += ["mask AP drop", "box AP drop"]
    if left_out:
        columns += ["all but it, dB"]
    if left_out and found.scored_images:
        columns += ["mask AP drop"]
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=heading != "all but it, dB")
    for layer in found.layers:
        cells = [f"{layer.macs_share:.1%}", *_cells(layer.alone, found)]
        if layer.all_but is not None:
            cells.append(f"{decibels(layer.all_but.snr_db)} (#{layer.all_but_rank})")
            if found.scored_images:
                cells.append(_estimate(layer.all_but.mask_ap_drop))
        table.add_row(str(layer.rank), Text(layer.node), *cells)
    return table


def _cells(loss: Loss, found: Sensitivity) -> list[str]:
    """SNR, then the drops of mask AP (with its interval) and box AP where any was measured."""
    if not found.scored_images:
        return [decibels(loss.snr_db)]
    return [decibels(loss.snr_db), drop(loss.mask_ap_drop), _estimate(loss.box_ap_drop)]


def _remarks(found: Sensitivity) -> list[str]:
    lines = [f"All of them in int8: {_words(found.everything)}."]
    if found.scored_images:
        lines.append(
            f"AP on {found.scored_images} images against {found.labels}; 95% intervals from a "
            "paired bootstrap over the images."
        )
    if found.spearman is not None:
        what = f"the {found.correlated} layers that were scored"
        lines.append(f"Rank correlation of SNR and mask AP over {what}: {found.spearman:.2f}.")
    for node in found.stays_float:
        lines.append(f"Float anyway: '{node.node}', {node.macs_share:.1%}: {node.reason}.")
    if not found.complete:
        done = f"{found.images} of {found.images_asked} images are compared"
        lines.append(
            f"INCOMPLETE: {done}; the budget is spent. The same command goes on from here."
        )
    return lines


def _words(loss: Loss) -> str:
    parts = [f"SNR {decibels(loss.snr_db)}" + (" dB" if loss.snr_db is not None else "")]
    if loss.mask_ap_drop is not None:
        parts.append(f"mask AP drop {drop(loss.mask_ap_drop)}")
    if loss.box_ap_drop is not None:
        parts.append(f"box AP drop {drop(loss.box_ap_drop)}")
    return ", ".join(parts)


def _estimate(value: Interval | None) -> str:
    return average_precision(None if value is None else value.estimate)


def decibels(value: float | None) -> str:
    """A signal-to-noise ratio; None is no noise at all."""
    return "equal" if value is None else f"{value:.1f}"


def drop(value: Interval | None) -> str:
    """A drop with its interval."""
    return NOTHING if value is None else f"{value.estimate:.4f} ({interval(value)})"
