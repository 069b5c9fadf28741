"""Tuning and studies for a terminal and for a Markdown file: the same tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.records.accuracy import Interval
from edgeq.records.study import Study
from edgeq.records.trial import Trial, lost
from edgeq.records.tuning import Tuning
from edgeq.report.figures import NOTHING

_HEADINGS = (
    *("mask agreement [95%]", "box agreement [95%]"),
    *("mask AP", "box AP", "mask AP drop [95%]", "box AP drop [95%]", "float layers"),
)


def render_tuning(found: Tuning) -> RenderableType:
    """All trials, then the verdict and what would be needed; readable without colour."""
    lines = [Text(line) for line in _verdict(found)]
    return Group(_table(("stage", "trial"), _staged(found.trials)), Text(), *lines)


def render_study(found: Study) -> RenderableType:
    """The three tables, then the patterns."""
    parts: list[RenderableType] = [Text(_subject(found)), Text()]
    for title, trials in _tables(found):
        parts += [Text(title), _table(("",), _named(trials)), Text()]
    for pattern in found.patterns:
        state = "yes" if pattern.appears else "no"
        parts.append(Text(f"{state:>3}  {pattern.pattern}: {pattern.figures}"))
    return Group(*parts)


def markdown(found: Study, pictures: Sequence[str] = ()) -> str:
    """A study as a Markdown document; `pictures` are files beside it."""
    lines = [f"# Study of {Path(found.recipe).name}", "", _subject(found) + ".", ""]
    for title, trials in _tables(found):
        lines += [f"## {title}", "", *_markdown_table(("",), _named(trials)), ""]
    lines += ["Layers in the order in which the curve leaves them out: "]
    lines[-1] += ", ".join(f"`{node}`" for node in found.order[:16])
    lines[-1] += " ..." if len(found.order) > 16 else "."
    lines += [""]
    lines += [f"![{picture}]({picture})" for picture in pictures]
    lines += ["", "## Patterns of the paper", ""]
    rows = [(p.pattern, "yes" if p.appears else "no", p.figures) for p in found.patterns]
    lines += _markdown_rows(("pattern", "appears", "figures"), rows)
    return "\n".join(lines) + "\n"


def _subject(found: Study) -> str:
    figures = ", ".join(
        f"{kind} AP {ap:.4f}"
        for kind, ap in (("mask", found.float_mask_ap), ("box", found.float_box_ap))
        if ap is not None
    )
    return f"{Path(found.recipe).name} for {found.target}, on {found.images}; float: {figures}"


def _tables(found: Study) -> Iterator[tuple[str, Sequence[Trial]]]:
    yield "Weights alone, by granularity", found.weights
    yield "Weights and activations, by calibrator", found.activations
    yield "Partial quantization: the most sensitive layers left in float", found.partial


def _verdict(found: Tuning) -> Iterator[str]:
    allowed = f"mask AP -{found.largest_mask_drop:.4f}, box AP -{found.largest_box_drop:.4f}"
    yield f"Compared by agreement on {found.compared_on}; judged on {found.judged_on}."
    yield f"Allowed: {allowed}; where AP cannot tell, agreement {found.least_agreement:g}."
    yield f"Best: {found.best.name}, {lost(found.best)}."
    yield f"Decided by {found.decided_by}{_doubts(found)}."
    yield f"Ended: {found.ended}. {'CONTRACT MET' if found.met else 'CONTRACT MISSED'}."
    if found.needed:
        yield "It would take:"
    for need in found.needed:
        yield f"- {need}"
    yield from (f"note: {note}" for note in found.notes)
    yield f"tuned recipe: {found.output}"


def _doubts(found: Tuning) -> str:
    """Why it was not AP, how many images would change that, and whether it is sure."""
    words = []
    if found.best.own_labels:
        words.append("no image is annotated")
    elif found.images_needed:
        words.append(f"for AP to tell, about {found.images_needed} images like these are needed")
    if not found.resolved:
        words.append("its interval reaches beyond the limit")
    return f": {'; '.join(words)}" if words else ""


def _staged(trials: Sequence[Trial]) -> list[tuple[str, ...]]:
    return [(trial.stage, trial.name, *_figures(trial)) for trial in trials]


def _named(trials: Sequence[Trial]) -> list[tuple[str, ...]]:
    return [(trial.name, *_figures(trial)) for trial in trials]


def _figures(trial: Trial) -> tuple[str, ...]:
    agreed = trial.agreement
    return (
        _interval(agreed.mask if agreed else None),
        _interval(agreed.box if agreed else None),
        _ap(trial.mask_ap),
        _ap(trial.box_ap),
        _interval(trial.mask_ap_drop),
        _interval(trial.box_ap_drop),
        f"{trial.layers_float} of {trial.layers_float + trial.layers_quantized}",
    )


def _ap(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}"


def _interval(found: Interval | None) -> str:
    if found is None:
        return NOTHING
    return f"{found.estimate:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _table(first: Sequence[str], rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in first:
        table.add_column(heading, overflow="fold", min_width=len(heading))
    for heading in _HEADINGS:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _markdown_table(first: Sequence[str], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return _markdown_rows((*first, *_HEADINGS), rows)


def _markdown_rows(head: Sequence[str], rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]
