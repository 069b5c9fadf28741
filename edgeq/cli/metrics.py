"""Figures as a file of metrics, for a collector that reads such files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from edgeq.regression.figures import Figure

Metrics = Annotated[
    Path | None,
    typer.Option(
        "--metrics", metavar="FILE", help="also as OpenMetrics text, for node_exporter's textfiles"
    ),
]


def check_metrics(path: Path | None) -> None:
    """InputError where the file could not be written; before any work."""
    from edgeq.records.files import check_writable

    if path is not None:
        check_writable(path)


def write_metrics(path: Path | None, labels: Mapping[str, str], figures: Iterable[Figure]) -> None:
    """Write the file whole, so that a collector never reads half of it; nothing without a path."""
    from edgeq.records.files import write_text
    from edgeq.regression.openmetrics import render

    if path is not None:
        write_text(render([(labels, figures)]), path)
