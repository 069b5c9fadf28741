"""A tuning as a page: met or missed, what each stage brought and took, and why it ended so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgeq.records.files import write_text
from edgeq.records.trial import slowed
from edgeq.records.tuning import Tuning
from edgeq.report.html.layout import Heading, check_page, laid_out
from edgeq.report.html.numbers import data_link
from edgeq.report.html.provenance import Download
from edgeq.report.html.trial_tables import (
    outcome_words,
    stages_in_full,
    stages_shown,
    trials_in_full,
    trials_shown,
)
from edgeq.report.html.tuning.charts import tuning_charts
from edgeq.report.terminal.tuning import doubts

_SECTIONS = (
    *(("verdict", "Verdict"), ("stages", "Stages"), ("trials", "Trials")),
    *(("reasons", "Reasons"), ("provenance", "Provenance")),
)


def write_tuning_html(found: Tuning, output: Path) -> None:
    """Write a page about a tuning. Raises InputError where it cannot be written."""
    check_page(output)
    write_text(render_tuning_html(found), output)


def render_tuning_html(found: Tuning) -> str:
    """The page as HTML; the same for the same record."""
    heading = _heading(found)
    return laid_out(
        "tuning.html",
        f"{found.recipe} tuned for {found.target}: {heading.ending}",
        _SECTIONS,
        heading=heading,
        needed=found.needed,
        charts=tuple(tuning_charts(found)),
        stages=stages_shown(found.stages),
        stage_figures=stages_in_full(found.stages),
        trials=trials_shown(found.trials),
        trial_figures=trials_in_full(found.trials),
        reasons=found.reasons,
        notes=found.notes,
        facts=tuple(_facts(found)),
        downloads=(
            Download(
                "tuning.json",
                data_link(found.model_dump_json(indent=1), "application/json"),
                "all trials, and what they came to",
            ),
        ),
    )


def _heading(found: Tuning) -> Heading:
    return Heading(
        about=found.recipe,
        where=f"tuned for {found.target}",
        ending="Contract met" if found.met else "Contract missed",
        tone="passed" if found.met else "failed",
        words=f"{found.best.name}: {outcome_words(found.best)}; {slowed(found.best)}. On "
        f"{found.judged_on if found.best.final else found.compared_on}.",
        sentences=tuple(_sentences(found)),
    )


def _sentences(found: Tuning) -> Iterator[str]:
    mask, box = found.largest_mask_drop, found.largest_box_drop
    yield (
        f"Allowed: a loss of {mask:.4f} mask AP and {box:.4f} box AP; where AP cannot tell, "
        f"agreement of {found.least_agreement:g} at least."
    )
    if found.largest_latency is not None:
        yield f"Allowed: {found.largest_latency:g} times the latency of the recipe as it was."
    yield f"Decided by {found.decided_by}{doubts(found)}."
    if found.unmeasured:
        yield f"Latency was not measured: {found.unmeasured}."
    yield f"Ended: {found.ended}. The tuned recipe is {found.output}."


def _facts(found: Tuning) -> Iterator[tuple[str, str]]:
    yield "recipe", found.recipe
    yield "tuned recipe", found.output
    yield "target", found.target
    yield "compared on", found.compared_on
    yield "judged on", found.judged_on
    for kind, ap in (("mask", found.float_mask_ap), ("box", found.float_box_ap)):
        yield f"{kind} AP of float", "nothing is annotated" if ap is None else f"{ap:.4f}"
    changes = ", ".join(f"{key} = {value}" for key, value in found.best.changes.items())
    yield "what was changed", changes or "nothing"
    yield "artifact", found.best.artifact
