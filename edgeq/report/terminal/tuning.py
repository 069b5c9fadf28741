"""Tuning for a terminal: every trial on a line, the stages as a table, then the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.records.accuracy import Interval
from edgeq.records.trial import LatencyRatio, Trial, lost, slowed
from edgeq.records.tuning import Tuning, TuningStage
from edgeq.report.figures import NOT_MEASURED, NOTHING, average_precision

_ROW = "  {:<4} {:>20} {:>25} {:>15} {:>8}"


def render_tuning(found: Tuning) -> RenderableType:
    """All of it; readable from 80 columns on and without colour."""
    lines = [Text(line) for line in _verdict(found)]
    return Group(_trials(found.trials), Text(), *_stages(found.stages), Text(), *lines)


def doubts(found: Tuning) -> str:
    """Why it was not AP, how many images would change that, and whether it is sure."""
    words = []
    if found.best.own_labels:
        words.append("no image is annotated")
    elif found.images_needed:
        words.append(f"for AP to tell, about {found.images_needed} images like these are needed")
    if not found.resolved:
        words.append("its interval reaches beyond the limit")
    return f": {'; '.join(words)}" if words else ""


def _trials(trials: Sequence[Trial]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for heading in ("stage", "trial"):
        table.add_column(heading, overflow="fold")
    for heading in ("agreement", "AP drop", "latency", "float"):
        table.add_column(heading, justify="right", no_wrap=True)
    for trial in trials:
        drops = (trial.mask_ap_drop, trial.box_ap_drop)
        agreed = trial.agreement
        cells = (
            _pair(*((agreed.mask, agreed.box) if agreed else (None, None))),
            # Of its own labels the float model loses what it does not agree with.
            NOTHING if trial.own_labels else _pair(*drops),
            _ratio(trial.latency),
            f"{trial.layers_float} of {trial.layers_float + trial.layers_quantized}",
        )
        table.add_row(*map(Text, (trial.stage, trial.name, *cells)))
    return table


def _stages(stages: Sequence[TuningStage]) -> Iterator[Text]:
    """Three lines for each stage, as side by side its figures need 130 columns."""
    head = ("", "agreement [95%]", "AP drop [95%]", "latency", "CPU min")
    yield Text("The best of each stage:")
    yield Text(_ROW.format(*head).rstrip())
    for stage in stages:
        trial, judged = stage.best, stage.judged
        yield Text(f"{stage.name}: {_named(stage)}", overflow="ellipsis", no_wrap=True)
        agreed = trial.agreement if trial else None
        is_known = judged is not None and not judged.own_labels
        drops = (judged.mask_ap_drop, judged.box_ap_drop) if judged and is_known else (None, None)
        took = (f"{stage.cpu_s / 60:.1f}", "")
        for place, kind in enumerate(("mask", "box")):
            cells = (
                kind,
                _interval((agreed.mask, agreed.box)[place] if agreed else None, 3),
                _interval(drops[place], 4),
                _latency(trial)[place],
                took[place],
            )
            yield Text(_ROW.format(*cells).rstrip())


def _named(stage: TuningStage) -> str:
    if stage.best is None:
        return "nothing was tried"
    if stage.best.is_weights_alone:
        return f"{stage.best.name}, with all else in float"
    return stage.best.name if stage.taken else f"{stage.best.name}, not used"


def _latency(trial: Trial | None) -> tuple[str, str]:
    """The ratio, and below it its interval."""
    if trial is None or trial.is_weights_alone:
        return NOTHING, ""
    found = trial.latency
    if found is None:
        return NOT_MEASURED, ""
    return _ratio(found), "" if found.is_exact else f"[{found.low:.3f}, {found.high:.3f}]"


def _ratio(found: LatencyRatio | None) -> str:
    if found is None:
        return NOTHING
    return "1" if found.is_exact else f"{found.estimate:.3f}"


def _pair(mask: Interval | None, box: Interval | None) -> str:
    return "/".join(average_precision(one.estimate if one else None) for one in (mask, box))


def _interval(found: Interval | None, digits: int) -> str:
    if found is None:
        return NOTHING
    values = (found.estimate, found.low, found.high)
    # Nothing lost has no sign.
    mean, low, high = (f"{round(value, digits) + 0.0:.{digits}f}" for value in values)
    return f"{mean} [{low}, {high}]"


def _verdict(found: Tuning) -> Iterator[str]:
    allowed = f"mask AP -{found.largest_mask_drop:.4f}, box AP -{found.largest_box_drop:.4f}"
    yield f"Compared by agreement on {found.compared_on}; judged on {found.judged_on}."
    yield f"Allowed: {allowed}; where AP cannot tell, agreement {found.least_agreement:g}."
    if found.largest_latency is not None:
        took, doubt = found.best.latency, ""
        if took and not took.is_exact and took.low <= found.largest_latency <= took.high:
            doubt = ", which is not resolved"
        allowed = f"{found.largest_latency:g} times the latency of the recipe as it was"
        yield f"Allowed: {allowed}{doubt}."
    yield f"Best: {found.best.name}, {lost(found.best)}; {slowed(found.best)}."
    if found.unmeasured:
        yield f"Latency was not measured: {found.unmeasured}."
    yield f"Decided by {found.decided_by}{doubts(found)}."
    yield f"Ended: {found.ended}. {'CONTRACT MET' if found.met else 'CONTRACT MISSED'}."
    if found.needed:
        yield "It would take:"
    for need in found.needed:
        yield f"- {need}"
    yield from (f"note: {note}" for note in found.notes)
    yield f"tuned recipe: {found.output}"
