"""The pictures of a study: agreement and AP lost, by calibrator and by layers in float."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from edgeq.records.accuracy import Interval
from edgeq.records.study import Study
from edgeq.records.trial import Trial
from edgeq.report.html.drawing import DEVICE, INK, SIMULATED, Caption, Chart, draw
from edgeq.report.html.numbers import Numbers
from edgeq.report.html.spans import Span, ends, spans_chart, spans_numbers

_KINDS = (("mask", DEVICE, "D", 0.0), ("box", SIMULATED, "s", 0.05))
"""The last is by how much one is drawn beside the other."""


@dataclass(frozen=True)
class StudyMeasure:
    """What trials are held against float by: its name, how it is read, and that of a trial.

    `of` gives the interval of mask and of box; `is_level` says that 0 is where float is.
    """

    name: str
    title: str
    said: str
    axis: str
    of: Callable[[Trial], tuple[Interval | None, Interval | None]]
    is_level: bool = False


def _agreement(one: Trial) -> tuple[Interval | None, Interval | None]:
    return (one.agreement.mask, one.agreement.box) if one.agreement else (None, None)


MEASURES = (
    StudyMeasure(
        "agreement",
        "Agreement",
        "AP against what the float model itself finds, which has 1 of it, with its 95% interval",
        "agreement with float",
        _agreement,
    ),
    StudyMeasure(
        "lost",
        "AP lost",
        "Float minus int8 with its 95% interval",
        "AP lost against float",
        lambda one: (one.mask_ap_drop, one.box_ap_drop),
        is_level=True,
    ),
)
"""What tells more comes first: AP on labels moves by what it cannot tell from chance."""


def study_charts(found: Study) -> Iterator[Chart]:
    """Two by each measure that trials have."""
    for by in MEASURES:
        if any(any(by.of(one)) for one in (*found.activations, *found.partial)):
            yield calibrators_chart(found, by)
            yield partial_chart(found, by)


def calibrators_chart(found: Study, by: StudyMeasure) -> Chart:
    """Each way to quantize weights, and activations."""
    spans = [Span(f"weights {one.name}", *by.of(one)) for one in found.weights]
    spans += [Span(one.name, *by.of(one), one == found.partial[0]) for one in found.activations]
    caption = Caption(
        name=f"calibrators-{by.name}",
        title=f"{by.title} by each way to quantize",
        description=f"{by.said}, on {found.images}. The first rows have weights alone in int8. "
        "What agrees best is in bold.",
        numbers=spans_numbers("quantized by", spans),
    )
    return spans_chart(caption, by.axis, spans)


def partial_chart(found: Study, by: StudyMeasure) -> Chart:
    """With more and more layers in float."""
    base = found.partial[0].layers_float
    points = [(one.layers_float - base, by.of(one)) for one in found.partial]
    caption = Caption(
        name=f"partial-{by.name}",
        title=f"{by.title} by layers in float",
        description=f"{found.partial[0].name}, with the most sensitive layers left in float. "
        f"{by.said}. The scale is logarithmic from 1 on.",
        numbers=Numbers(
            ("layers", "mask", "mask low", "mask high", "box", "box low", "box high"),
            tuple((count, *ends(mask), *ends(box)) for count, (mask, box) in points),
        ),
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for place, (kind, colour, marker, shift) in enumerate(_KINDS):
            known = [(count, one) for count, both in points if (one := both[place]) is not None]
            counts = [count + shift * max(1, count) for count, _ in known]
            lows, highs = ([getattr(one, end) for _, one in known] for end in ("low", "high"))
            axes.vlines(counts, lows, highs, color=colour, linewidth=1.2)
            values = [one.estimate for _, one in known]
            axes.plot(counts, values, f"{marker}-", color=colour, label=kind, markersize=4.5)
        if by.is_level:
            axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xticks([count for count, *_ in points], [str(count) for count, *_ in points])
        axes.minorticks_off()
        axes.set_xlim(-0.3, 1.2 * points[-1][0] + 0.3)
        axes.set_xlabel("layers left in float, the most sensitive first")
        axes.set_ylabel(by.axis)
        axes.grid(axis="y")
        figure.legend(loc="outside upper left", ncols=2, borderpad=0)

    return draw(caption, 2.8, paint)
