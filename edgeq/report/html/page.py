"""The page of a run: every section's view in its template, in one file that asks for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.records.files import write_text
from edgeq.report.html.accuracy import accuracy_view
from edgeq.report.html.choices import choices_view
from edgeq.report.html.latency import latency_view
from edgeq.report.html.layout import check_page, laid_out
from edgeq.report.html.opening import opening_view
from edgeq.report.html.pictures import pictures_view
from edgeq.report.html.provenance import provenance_view
from edgeq.report.html.quantization import quantization_view
from edgeq.verbs.dossier import dossier

if TYPE_CHECKING:
    from edgeq.records.dossier import Dossier

_NAMES = ("Verdict", "Images", "Accuracy", "Latency", "Quantization", "Choices", "Provenance")
_SECTIONS = tuple((name.lower(), name) for name in _NAMES)


def write_html(runs: Sequence[str | Path], output: Path, store: str | None = None) -> None:
    """Write a page about a run, the first of `runs`, beside the others or all of its recipe.

    A run is named by its id in the store, or how that begins, or by its report.json. Raises
    InputError for what names none, and where the page cannot be written.
    """
    check_page(output)
    write_text(render(dossier(runs, store)), output)


def render(found: Dossier) -> str:
    """The page as HTML; the same for the same dossier."""
    report, opening = found.report, opening_view(found.report)
    return laid_out(
        "page.html",
        f"{report.recipe} on {report.target}: {opening.ending}",
        _SECTIONS,
        report=report,
        opening=opening,
        pictures=pictures_view(found),
        accuracy=accuracy_view(found),
        latency=latency_view(found),
        quantization=quantization_view(found),
        choices=choices_view(found),
        provenance=provenance_view(found),
    )
