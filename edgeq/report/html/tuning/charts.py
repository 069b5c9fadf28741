"""The charts of tuning: how far each trial agrees with float, what it loses, and what it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from edgeq.records.accuracy import Interval
from edgeq.records.trial import LatencyRatio, Trial, disagreement
from edgeq.records.tuning import Tuning
from edgeq.report.html.drawing import DEVICE, FLOAT, INK, LOST, SOFT, Caption, Chart, draw
from edgeq.report.html.numbers import Numbers
from edgeq.report.html.spans import (
    LimitLine,
    Span,
    ends,
    shortened,
    spans_chart,
    spans_numbers,
)

_Pair = tuple[Interval | None, Interval | None]
_MOST_ROWS = 32


def tuning_charts(found: Tuning) -> Iterator[Chart]:
    """Those that there is something to draw of."""
    compared = [one for one in found.trials if not one.final and one.agreement is not None]
    if compared:
        yield agreement_chart(found, compared)
    timed = [(one, one.latency) for one in compared if one.latency is not None]
    # Where all of them are the graph that tuning began with there is one latency.
    if any(not took.is_exact for _, took in timed):
        yield latency_chart(found, timed)
    judged = [
        one
        for one in found.trials
        if not one.own_labels and (one.final or found.best == one) and one.mask_ap_drop
    ]
    if judged:
        yield lost_chart(found, judged)


def agreement_chart(found: Tuning, trials: Sequence[Trial]) -> Chart:
    """Agreement with the float model, of what choices were made by."""
    spans = _spans(found, trials, _agreements)
    rows = _most(trials, spans)
    left = len(spans) - len(rows)
    rest = f" The {left} that agree least are in the numbers only." if left else ""
    caption = Caption(
        name="agreement",
        title="Agreement by trial",
        description=f"AP against the float model's own detections, which has 1 of it, with its 95% "
        f"interval, on {found.compared_on}; in the order of the trials. What was taken in the end "
        f"is in bold.{rest}",
        numbers=spans_numbers("trial", spans),
    )
    least = LimitLine(found.least_agreement, f"at least {found.least_agreement:g}")
    return spans_chart(caption, "agreement with float", rows, (least,))


def lost_chart(found: Tuning, trials: Sequence[Trial]) -> Chart:
    """AP lost on the images that judge."""
    spans = _spans(found, trials, _drops)
    caption = Caption(
        name="lost",
        title="AP lost, where it was judged",
        description=f"Float minus int8 with its 95% interval, on {found.judged_on}. The dashed "
        "lines are what the contract allows.",
        numbers=spans_numbers("trial", spans),
    )
    limits = (
        LimitLine(found.largest_mask_drop, f"mask: at most {found.largest_mask_drop:.4f}", "mask"),
        LimitLine(found.largest_box_drop, f"box: at most {found.largest_box_drop:.4f}", "box"),
    )
    same = found.largest_mask_drop == found.largest_box_drop
    both = (LimitLine(found.largest_mask_drop, f"at most {found.largest_mask_drop:.4f}"),)
    rows = _most(trials, spans)
    return spans_chart(caption, "AP lost against float", rows, both if same else limits)


def latency_chart(found: Tuning, timed: Sequence[tuple[Trial, LatencyRatio]]) -> Chart:
    """The kind that agrees less, against what an inference takes."""
    points = [(one, took, _worse(one)) for one, took in timed]
    plans = [one for one in found.trials if not (one.final or one.is_weights_alone)]
    unmeasured = len(plans) - len(points)
    gone = f" Not measured: {unmeasured} of {len(plans)} trials." if unmeasured else ""
    caption = Caption(
        name="latency",
        title="Agreement against latency",
        description="The one of mask and box that agrees less, against the time of an inference on "
        "the target in units of what it took as tuning began, both with their 95% intervals. "
        f"Higher and further left is better; those that no other beats in both are joined.{gone}",
        numbers=Numbers(
            ("trial", "agreement", "low", "high", "latency", "low", "high"),
            tuple(
                (f"{one.stage}: {one.name}", *ends(at), took.estimate, took.low, took.high)
                for one, took, at in points
            ),
        ),
    )
    best = sorted(
        (took.estimate, at.estimate)
        for _, took, at in points
        if not any(
            (other.estimate, -there.estimate) != (took.estimate, -at.estimate)
            and other.estimate <= took.estimate
            and there.estimate >= at.estimate
            for _, other, there in points
        )
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.step(*zip(*best, strict=True), where="post", color=FLOAT, linestyle=":")
        for one, took, at in points:
            is_chosen = _is_chosen(found, one)
            colour, marker = (DEVICE, "D") if is_chosen else (SOFT, "o")
            axes.vlines(took.estimate, at.low, at.high, color=colour, linewidth=1)
            if not took.is_exact:
                axes.hlines(at.estimate, took.low, took.high, color=colour, linewidth=1)
            axes.plot([took.estimate], [at.estimate], marker, color=colour)
            if is_chosen:
                axes.annotate(
                    shortened(one.name, 24),
                    (took.estimate, at.estimate),
                    (-6, 7),
                    textcoords="offset points",
                    ha="right",
                    color=INK,
                    fontsize=8.5,
                )
        axes.axhline(found.least_agreement, color=LOST, linestyle="--", linewidth=1)
        if found.largest_latency is not None:
            axes.axvline(found.largest_latency, color=LOST, linestyle="--", linewidth=1)
        axes.set_xlabel("latency, of the start's")
        axes.set_ylabel("agreement with float")
        axes.margins(x=0.18, y=0.12)
        axes.grid()

    return draw(caption, 3.0, paint)


def _worse(trial: Trial) -> Interval:
    assert trial.agreement is not None
    return trial.agreement.worse[1]


def _is_chosen(found: Tuning, trial: Trial) -> bool:
    return trial.artifact == found.best.artifact


def _spans(found: Tuning, trials: Sequence[Trial], of: Callable[[Trial], _Pair]) -> list[Span]:
    names = [one.name for one in trials]
    spans = []
    for one in trials:
        is_told = one.is_weights_alone or names.count(one.name) > 1
        mask, box = of(one)
        label = f"{one.stage}: {one.name}" if is_told else one.name
        spans.append(Span(label, mask, box, _is_chosen(found, one)))
    return spans


def _agreements(trial: Trial) -> _Pair:
    return (trial.agreement.mask, trial.agreement.box) if trial.agreement else (None, None)


def _drops(trial: Trial) -> _Pair:
    return trial.mask_ap_drop, trial.box_ap_drop


def _most(trials: Sequence[Trial], spans: Sequence[Span]) -> list[Span]:
    """As many as can be told apart: the first, what was chosen, and those that agree best."""
    order = sorted(
        range(len(trials)),
        key=lambda at: (at > 0, not spans[at].is_chosen, disagreement(trials[at])),
    )
    return [spans[at] for at in sorted(order[:_MOST_ROWS])]
