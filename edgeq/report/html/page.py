"""The page: every section's view in its template, in one file that asks for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeq.errors import require
from edgeq.records.files import check_writable, write_text
from edgeq.report.html.accuracy import accuracy_view
from edgeq.report.html.choices import choices_view
from edgeq.report.html.drawing import EXTRA
from edgeq.report.html.latency import latency_view
from edgeq.report.html.opening import opening_view
from edgeq.report.html.pictures import pictures_view
from edgeq.report.html.provenance import provenance_view
from edgeq.report.html.quantization import quantization_view
from edgeq.verbs.dossier import dossier

if TYPE_CHECKING:
    from edgeq.records.dossier import Dossier

_TEMPLATES = Path(__file__).parent / "templates"


def check_page(path: Path) -> None:
    """InputError when no page could be written there; to be asked before any work."""
    require("jinja2", EXTRA)
    require("matplotlib", EXTRA)
    check_writable(path)


def write_html(runs: Sequence[str | Path], output: Path, store: str | None = None) -> None:
    """Write a page about a run, the first of `runs`, beside the others or all of its recipe.

    A run is named by its id in the store, or how that begins, or by its report.json. Raises
    InputError for what names none, and where the page cannot be written.
    """
    check_page(output)
    write_text(render(dossier(runs, store)), output)


def render(found: Dossier) -> str:
    """The page as HTML; the same for the same dossier."""
    require("jinja2", EXTRA)
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Our own style and script; and the inside of a chart, whose letters matplotlib has escaped.
    environment.filters["drawn"] = Markup
    return environment.get_template("page.html").render(
        report=found.report,
        opening=opening_view(found.report),
        pictures=pictures_view(found),
        accuracy=accuracy_view(found),
        latency=latency_view(found),
        quantization=quantization_view(found),
        choices=choices_view(found),
        provenance=provenance_view(found),
        style=Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8")),
        script=Markup((_TEMPLATES / "page.js").read_text(encoding="utf-8")),
    )
