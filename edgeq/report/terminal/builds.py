"""Several builds of one release for a terminal: each engine, and how far they lie apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.records.builds import spread
from edgeq.report.figures import average_precision, mebibytes, three_digits

if TYPE_CHECKING:
    from edgeq.records.builds import BuildRun, Builds

_ALPHA = 0.01
_FEWEST = 4
"""Of three no way to pair six figures is rarer than 1 in 15, of four 1 in 105."""


def render(found: Builds) -> RenderableType:
    """The whole record; readable from 80 columns on and without colour."""
    head = Text(f"{len(found.runs)} builds of {found.artifact_id[:12]} on {found.device}")
    table = Table(box=None, header_style="")
    for title in ("build", "mask AP", "box AP", "changed", "p50, ms", "again", "MiB", "built, s"):
        table.add_column(title, justify="right")
    for number, run in enumerate(found.runs, 1):
        table.add_row(str(number), *_row(run))
    return Group(head, Text(), table, Text(), *map(Text, _lines(found)))


def _row(run: BuildRun) -> list[str]:
    there, back = ("unstable",) * 2 if run.unstable else map(three_digits, run.median_ms)
    return [
        *("-" if ap is None else average_precision(ap) for ap in (run.mask_ap, run.box_ap)),
        "-" if run.changed is None else f"{run.changed:.1%}",
        there,
        back,
        "-" if run.engine_bytes is None else mebibytes(run.engine_bytes),
        "-" if run.build_s is None else f"{run.build_s:.0f}",
    ]


def _lines(found: Builds) -> list[str]:
    runs = found.runs
    lines = []
    for name, values in (
        ("mask AP", [run.mask_ap for run in runs]),
        ("box AP", [run.box_ap for run in runs]),
    ):
        apart = spread(values)
        if apart is not None:
            lines.append(f"{name}: the builds lie {apart:.4f} apart, on {found.images} images")
    changed = max((run.changed for run in runs if run.changed is not None), default=None)
    if changed is not None:
        lines.append(
            f"detections: up to {changed:.1%} of what a build and the first one find has no "
            "partner of IoU 0.95 in the other"
        )
    lines.append(_times(found))
    lines += [
        f"UNSTABLE: build {n}: {why}" for n, run in enumerate(runs, 1) for why in run.unstable
    ]
    return [*lines, *found.notes]


def _times(found: Builds) -> str:
    if found.is_unstable:
        return "inference: cannot tell, as some measurements are unstable"
    means = [run.mean_ms for run in found.runs]
    apart = (spread(means) or 0.0) / min(means)
    own = max(abs(a - b) / min(a, b) for a, b in (run.median_ms for run in found.runs))
    said = f"inference: the builds lie {apart:.1%} apart, one measured twice up to {own:.1%}"
    if len(found.runs) < _FEWEST:
        return f"{said}; so few builds cannot tell that from chance, {_FEWEST} can"
    if found.p > _ALPHA:
        return f"{said}; not told from chance (p {found.p:.3f})"
    return f"{said}; not by chance (p {found.p:.3f})"
