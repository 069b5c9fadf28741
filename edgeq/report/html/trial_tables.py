"""Tables of trials and stages, to be read, and in full to be taken away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgeq.records.accuracy import Interval
from edgeq.records.trial import Trial
from edgeq.records.tuning import TuningStage
from edgeq.report.figures import NOT_MEASURED, NOTHING
from edgeq.report.html.numbers import Cell, Numbers
from edgeq.report.html.spans import ends

_FIXED = "\N{NO-BREAK SPACE}"
"""An interval is not broken in two where a column is narrow."""
_INTERVALS = ("agreement, mask", "agreement, box", "mask AP lost", "box AP lost")
_IN_FULL = tuple(
    f"{name}{part}" for name in (*_INTERVALS, "latency") for part in ("", " low", " high")
)


def stages_shown(stages: Sequence[TuningStage]) -> Numbers:
    """The best trial of each stage, and what the stage took."""
    heads = ("stage", "its best", "used", "trials", *_INTERVALS, "latency", "CPU min")
    return Numbers(heads, tuple(_stage(stage) for stage in stages))


def stages_in_full(stages: Sequence[TuningStage]) -> Numbers:
    """The same with every figure in a column of its own."""
    heads = ("stage", "its best", "used", "trials", *_IN_FULL, "CPU, s", "s")
    rows = tuple(
        (
            stage.name,
            _named(stage.best),
            _yes(stage.taken),
            stage.trials,
            *_figures(stage.best, stage.judged),
            stage.cpu_s,
            stage.seconds,
        )
        for stage in stages
    )
    return Numbers(heads, rows)


def trials_shown(trials: Sequence[Trial]) -> Numbers:
    """Every trial in the order in which they were made."""
    heads = ("trial", "stage", "on", *_INTERVALS, "latency", "layers in float")
    return Numbers(heads, tuple(_trial(trial) for trial in trials))


def scores_shown(trials: Sequence[Trial]) -> Numbers:
    """Trials of a study, whose latency nobody asked for."""
    heads = ("trial", *_INTERVALS[:2], "mask AP", "box AP", *_INTERVALS[2:], "layers in float")
    rows = tuple(
        (
            trial.name,
            *(_interval(found, 4) for found in _agreements(trial)),
            trial.mask_ap,
            trial.box_ap,
            *(_interval(found, 4) for found in (trial.mask_ap_drop, trial.box_ap_drop)),
            _layers(trial),
        )
        for trial in trials
    )
    return Numbers(heads, rows)


def trials_in_full(trials: Sequence[Trial]) -> Numbers:
    """The same with every figure in a column of its own."""
    layers = ("layers in float", "layers in int8")
    heads = ("trial", "stage", "on", "AP on labels", *_IN_FULL, *layers, "s")
    rows = tuple(
        (
            trial.name,
            trial.stage,
            _images(trial),
            "of float's own" if trial.own_labels else "of the images",
            *_figures(trial, trial.model_copy(update={"own_labels": False})),
            trial.layers_float,
            trial.layers_quantized,
            trial.seconds,
        )
        for trial in trials
    )
    return Numbers(heads, rows)


def _stage(stage: TuningStage) -> tuple[Cell, ...]:
    return (
        stage.name,
        _named(stage.best),
        _yes(stage.taken),
        stage.trials,
        *_written(stage.best, stage.judged),
        f"{stage.cpu_s / 60:.1f}",
    )


def _trial(trial: Trial) -> tuple[Cell, ...]:
    return (
        trial.name,
        trial.stage,
        _images(trial),
        *_written(trial, trial),
        _layers(trial),
    )


def _written(compared: Trial | None, judged: Trial | None) -> Iterator[str]:
    for found in _agreements(compared):
        yield _interval(found, 3)
    for found in _drops(judged):
        yield _interval(found, 4)
    took = compared.latency if compared else None
    if took is None:
        yield NOTHING if compared is None or compared.is_weights_alone else NOT_MEASURED
    else:
        ratio = f"{took.estimate:.3f} [{took.low:.3f},{_FIXED}{took.high:.3f}]"
        yield "1" if took.is_exact else ratio


def _figures(compared: Trial | None, judged: Trial | None) -> Iterator[Cell]:
    for found in (*_agreements(compared), *_drops(judged)):
        yield from ends(found)
    took = compared.latency if compared else None
    yield from (took.estimate, took.low, took.high) if took else (None, None, None)


def _agreements(trial: Trial | None) -> tuple[Interval | None, Interval | None]:
    agreed = trial.agreement if trial else None
    return (agreed.mask, agreed.box) if agreed else (None, None)


def _drops(trial: Trial | None) -> tuple[Interval | None, Interval | None]:
    """Of its own labels the float model loses what it does not agree with, which is no AP."""
    is_known = trial is not None and not trial.own_labels
    return (trial.mask_ap_drop, trial.box_ap_drop) if trial and is_known else (None, None)


def _interval(found: Interval | None, digits: int) -> str:
    """An estimate with its interval; nothing lost has no sign."""
    if found is None:
        return NOTHING
    values = (found.estimate, found.low, found.high)
    mean, low, high = (f"{round(value, digits) + 0.0:.{digits}f}" for value in values)
    return f"{mean} [{low},{_FIXED}{high}]"


def _named(best: Trial | None) -> str:
    if best is None:
        return "nothing was tried"
    return f"{best.name}, with all else in float" if best.is_weights_alone else best.name


def _images(trial: Trial) -> str:
    return "evaluation" if trial.final else "tuning"


def _layers(trial: Trial) -> str:
    return f"{trial.layers_float} of {trial.layers_float + trial.layers_quantized}"


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def outcome_words(trial: Trial) -> str:
    """How far a trial agrees with float, and what AP it lost or won."""
    found = []
    if trial.agreement is not None:
        mask, box = trial.agreement.mask.estimate, trial.agreement.box.estimate
        found.append(f"agreement {mask:.4f}/{box:.4f} (masks/boxes)")
    for kind, drop in (("mask", trial.mask_ap_drop), ("box", trial.box_ap_drop)):
        if drop is not None and not (trial.own_labels and trial.agreement):
            way = "won" if drop.estimate < 0 else "lost"
            found.append(f"{abs(drop.estimate):.4f} {kind} AP {way}")
    return ", ".join(found) or "nothing known of it"
