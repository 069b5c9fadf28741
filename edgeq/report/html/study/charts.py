"""The two pictures of a study: AP lost by calibrator, and by how many layers stay in float."""

from __future__ import annotations

from typing import Any

from edgeq.records.accuracy import Interval
from edgeq.records.study import Study
from edgeq.records.trial import Trial
from edgeq.report.html.drawing import DEVICE, INK, SIMULATED, Caption, Chart, draw
from edgeq.report.html.numbers import Numbers
from edgeq.report.html.spans import Span, ends, spans_chart, spans_numbers

_KINDS = (("mask", DEVICE, "D", 0.0), ("box", SIMULATED, "s", 0.05))
"""The last is by how much one is drawn beside the other."""


def study_charts(found: Study) -> tuple[Chart, Chart]:
    """Both, as `edgeq study` draws them into its folder."""
    return calibrators_chart(found), partial_chart(found)


def calibrators_chart(found: Study) -> Chart:
    """AP lost by each way to quantize weights, and activations."""
    spans = [_span(f"weights {one.name}", one) for one in found.weights]
    spans += [_span(one.name, one, one == found.partial[0]) for one in found.activations]
    caption = Caption(
        name="calibrators",
        title="AP lost by each way to quantize",
        description=f"Float minus int8 with its 95% interval, on {found.images}. The first rows "
        "have weights alone in int8. What agrees best is in bold.",
        numbers=spans_numbers("quantized by", spans),
    )
    return spans_chart(caption, "AP lost against float", spans)


def partial_chart(found: Study) -> Chart:
    """AP lost with more and more layers in float."""
    base = found.partial[0].layers_float
    points = [(one.layers_float - base, one) for one in found.partial]
    caption = Caption(
        name="partial",
        title="AP lost by layers in float",
        description=f"{found.partial[0].name}, with the most sensitive layers left in float: float "
        "minus int8 with its 95% interval. The scale is logarithmic from 1 on.",
        numbers=Numbers(
            ("layers", "mask", "mask low", "mask high", "box", "box low", "box high"),
            tuple(
                (count, *ends(one.mask_ap_drop), *ends(one.box_ap_drop)) for count, one in points
            ),
        ),
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for kind, colour, marker, shift in _KINDS:
            known = [(count, drop) for count, one in points if (drop := _drop(one, kind))]
            counts = [count + shift * max(1, count) for count, _ in known]
            axes.vlines(
                counts,
                [drop.low for _, drop in known],
                [drop.high for _, drop in known],
                color=colour,
                linewidth=1.2,
            )
            values = [drop.estimate for _, drop in known]
            axes.plot(counts, values, f"{marker}-", color=colour, label=kind, markersize=4.5)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xticks([count for count, _ in points], [str(count) for count, _ in points])
        axes.minorticks_off()
        axes.set_xlim(-0.3, 1.2 * points[-1][0] + 0.3)
        axes.set_xlabel("layers left in float, the most sensitive first")
        axes.set_ylabel("AP lost against float")
        axes.grid(axis="y")
        figure.legend(loc="outside upper left", ncols=2, borderpad=0)

    return draw(caption, 2.8, paint)


def _span(label: str, one: Trial, is_chosen: bool = False) -> Span:
    return Span(label, one.mask_ap_drop, one.box_ap_drop, is_chosen)


def _drop(one: Trial, kind: str) -> Interval | None:
    return one.mask_ap_drop if kind == "mask" else one.box_ap_drop
