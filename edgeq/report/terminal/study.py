"""Studies for a terminal and for a Markdown file: the same tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.records.accuracy import Interval
from edgeq.records.study import Study
from edgeq.records.trial import Trial
from edgeq.report.figures import NOTHING

_HEADINGS = (
    *("mask agreement [95%]", "box agreement [95%]"),
    *("mask AP", "box AP", "mask AP drop [95%]", "box AP drop [95%]", "float layers"),
)


def render_study(found: Study) -> RenderableType:
    """The three tables, then the patterns."""
    parts: list[RenderableType] = [Text(study_subject(found)), Text()]
    for title, trials in study_tables(found):
        parts += [Text(title), _table(("",), _named(trials)), Text()]
    for pattern in found.patterns:
        state = "yes" if pattern.appears else "no"
        parts.append(Text(f"{state:>3}  {pattern.pattern}: {pattern.figures}"))
    return Group(*parts)


def markdown(found: Study, pictures: Sequence[str] = ()) -> str:
    """A study as a Markdown document; `pictures` are files beside it."""
    lines = [f"# Study of {Path(found.recipe).name}", "", study_subject(found) + ".", ""]
    for title, trials in study_tables(found):
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


def study_subject(found: Study) -> str:
    """Of what the study is, and what the float model has, in a line."""
    figures = ", ".join(
        f"{kind} AP {ap:.4f}"
        for kind, ap in (("mask", found.float_mask_ap), ("box", found.float_box_ap))
        if ap is not None
    )
    return f"{Path(found.recipe).name} for {found.target}, on {found.images}; float: {figures}"


def study_tables(found: Study) -> Iterator[tuple[str, Sequence[Trial]]]:
    """The trials of each table, under its title."""
    yield "Weights alone, by granularity", found.weights
    yield "Weights and activations, by calibrator", found.activations
    title = "Partial quantization of what agrees best: the most sensitive layers left in float"
    yield title, found.partial


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
