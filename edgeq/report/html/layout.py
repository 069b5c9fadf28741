"""What all pages have in common: head, style, navigation, and how a template is filled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeq.errors import require
from edgeq.records.files import check_writable
from edgeq.report.html.drawing import EXTRA

_TEMPLATES = Path(__file__).parent / "templates"
Tone = Literal["passed", "failed", "not-judged", "neutral"]
"""Of the verdict, by its class in the style sheet."""


@dataclass(frozen=True)
class Heading:
    """What a reader sees first: of what the page is, the verdict, and what it comes to."""

    about: str
    where: str
    ending: str
    tone: Tone
    words: str
    sentences: tuple[str, ...] = ()


def check_page(path: Path) -> None:
    """InputError when no page could be written there; to be asked before any work."""
    require("jinja2", EXTRA)
    require("matplotlib", EXTRA)
    check_writable(path)


def laid_out(
    template: str, title: str, sections: Sequence[tuple[str, str]], **views: object
) -> str:
    """A page as HTML; `sections` are those of its navigation, by the ids of their elements."""
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
    return environment.get_template(template).render(
        title=title,
        sections=tuple(sections),
        style=Markup((_TEMPLATES / "page.css").read_text(encoding="utf-8")),
        script=Markup((_TEMPLATES / "page.js").read_text(encoding="utf-8")),
        **views,
    )
