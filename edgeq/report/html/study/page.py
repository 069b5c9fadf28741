"""A study as a page: its tables, its pictures, and the patterns that show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgeq.records.files import write_text
from edgeq.records.study import Study
from edgeq.report.html.layout import Heading, check_page, laid_out
from edgeq.report.html.numbers import Numbers, data_link
from edgeq.report.html.provenance import Download
from edgeq.report.html.study.charts import study_charts
from edgeq.report.html.trial_tables import outcome_words, scores_shown, trials_in_full
from edgeq.report.terminal.study import study_subject, study_tables

_SECTIONS = (
    *(("verdict", "Verdict"), ("patterns", "Patterns")),
    *(("tables", "Tables"), ("provenance", "Provenance")),
)


def write_study_html(found: Study, output: Path) -> None:
    """Write a page about a study. Raises InputError where it cannot be written."""
    check_page(output)
    write_text(render_study_html(found), output)


def render_study_html(found: Study) -> str:
    """The page as HTML; the same for the same record."""
    heading = _heading(found)
    patterns = tuple(
        (one.pattern, "yes" if one.appears else "no", one.figures) for one in found.patterns
    )
    text = found.model_dump_json(indent=1)
    return laid_out(
        "study.html",
        f"Study of {found.recipe} for {found.target}",
        _SECTIONS,
        heading=heading,
        charts=tuple(study_charts(found)),
        patterns=Numbers(("pattern", "shows here", "figures"), patterns),
        tables=tuple(
            (title, scores_shown(trials), trials_in_full(trials))
            for title, trials in study_tables(found)
        ),
        order=Numbers(("", "layer"), tuple(enumerate(found.order, 1))),
        facts=tuple(_facts(found)),
        downloads=(
            Download("study.json", data_link(text, "application/json"), "all trials, in full"),
        ),
    )


def _heading(found: Study) -> Heading:
    best, ways = found.partial[0], len(found.activations)
    return Heading(
        about=found.recipe,
        where=f"for {found.target}",
        ending="Study",
        tone="neutral",
        words=f"Best of {ways} ways to calibrate: {best.name}, with {outcome_words(best)}.",
        sentences=(f"{study_subject(found)}.",),
    )


def _facts(found: Study) -> Iterator[tuple[str, str]]:
    yield "recipe", found.recipe
    yield "target", found.target
    yield "images", found.images
    yield "tables of", "Wu et al. 2020, arXiv 2004.09602"
