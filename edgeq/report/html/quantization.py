"""The section of quantization: each layer's decision, what it loses, and where ranges end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgeq.records.dossier import Dossier
from edgeq.records.evidence import LayerSeen, TensorHistogram
from edgeq.records.report import Report
from edgeq.report.figures import counted
from edgeq.report.html.drawing import DEVICE, INK, LOST, SOFT, Caption, Chart, draw
from edgeq.report.html.numbers import Numbers

_SHOWN = 12
_FINE_DB = 40.0
"""What loses less draws no longer bar: nobody finds such a tensor to blame."""
_LEGIBLE = 2
_SMALL = {"markersize": 2, "linewidth": 0.8}
_STYLES = ("--", "-.", ":", (0, (1, 2, 5, 2)))


@dataclass(frozen=True)
class LayerRow:
    """A layer, and how long the bar of its loss is, in tenths."""

    node: str
    op_type: str
    kind: str
    reason: str
    snr: str
    tenths: int
    arrived: str
    on_device: str


@dataclass(frozen=True)
class QuantizationView:
    """Layers with weights, the worst first; the reasons of what stays float; the histograms."""

    worst: tuple[LayerRow, ...] = ()
    others: tuple[LayerRow, ...] = ()
    reasons: Numbers | None = None
    depth: Chart | None = None
    charts: tuple[Chart, ...] = ()
    numbers: Numbers | None = None
    why_none: str = ""
    without_histograms: str = ""
    lead: str = ""
    simulated: str = ""
    on_device: str = ""


def quantization_view(dossier: Dossier) -> QuantizationView:
    """What the plan decided of each layer, and what that loses."""
    report, evidence = dossier.report, dossier.evidence
    if evidence is None:
        return QuantizationView(why_none=dossier.without_evidence)
    layers = evidence.layers
    heavy = sorted((one for one in layers if one.is_heavy or one.quantized), key=_order)
    stay = Counter(one.reason for one in layers if not one.quantized)
    depth = depth_chart(layers)
    charts = []
    for number, found in enumerate(evidence.histograms, 1):
        charts.append(histogram_chart(number, found))
    return QuantizationView(
        worst=tuple(map(_row, heavy[:_SHOWN])),
        others=tuple(map(_row, heavy[_SHOWN:])),
        reasons=Numbers(("why it stays float", "nodes"), tuple(stay.most_common())),
        depth=depth,
        charts=tuple(charts),
        numbers=_numbers(layers),
        without_histograms=""
        if charts
        else "no output that is known loses anything by itself; "
        "the statistics may not be in the cache any more",
        lead=_lead(report, len(heavy)),
        simulated=evidence.simulated_errors or _before(layers),
        on_device=evidence.device_errors or "not measured",
    )


def _before(layers: Sequence[LayerSeen]) -> str:
    """Of a run from before it was said."""
    is_known = any(one.arrived_db is not None for one in layers)
    return "over a few calibration images" if is_known else "not measured"


def _lead(report: Report, nodes: int) -> str:
    layers = report.layers_quantized + report.layers_float
    verb = "computes" if layers == 1 else "compute"
    return (
        f"{report.layers_quantized} of {counted(layers, 'layer')} with weights {verb} in int8. "
        f"Below stand all {counted(nodes, 'node')} with weights or in int8, what loses most by "
        "being integers first: rounding and clipping of that output alone, over the calibration "
        "images; 6 dB are one bit."
    )


def _order(layer: LayerSeen) -> tuple[bool, float]:
    return layer.snr_db is None, layer.snr_db or 0.0


def _row(layer: LayerSeen) -> LayerRow:
    known = layer.snr_db is not None
    lost = max(0.0, _FINE_DB - layer.snr_db) / _FINE_DB if layer.snr_db is not None else 0.0
    return LayerRow(
        node=layer.node,
        op_type=layer.op_type,
        kind="int8" if layer.quantized else "float",
        reason=layer.reason,
        snr=f"{layer.snr_db:.1f} dB" if known else "",
        tenths=max(1, round(10 * lost)) if known else 0,
        arrived=_said(layer.arrived_db),
        on_device=_said(layer.device_db),
    )


def _said(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1f} dB"


def _numbers(layers: Sequence[LayerSeen]) -> Numbers:
    return Numbers(
        (
            *("node", "operator", "computes in", "reason", "worst output"),
            *("its own, dB", "arrived, dB", "on the device, dB"),
        ),
        tuple(
            (
                one.node,
                one.op_type,
                "int8" if one.quantized else "float",
                one.reason,
                one.tensor,
                one.snr_db,
                one.arrived_db,
                one.device_db,
            )
            for one in layers
        ),
    )


def depth_chart(layers: Sequence[LayerSeen]) -> Chart | None:
    """How much error has arrived behind each layer with weights, from the first to the last.

    None where it was not computed.
    """
    known = [one for one in layers if one.arrived_db is not None or one.device_db is not None]
    if len(known) < _LEGIBLE:
        return None
    least, worst = min((ratio, one.node) for one in known for ratio in _arrived(one))
    caption = Caption(
        name="depth",
        title="Error along the network",
        description="Signal to all error that has come together behind each layer with weights, in "
        "the simulation (diamonds) and on the device (squares), where they are known; higher is "
        f"better. Least is left at {worst}: {least:.1f} dB. The small marks are what each output "
        "loses by itself. Where the engine computes a layer with its activation, the device's is "
        "behind that.",
        numbers=Numbers(
            ("layer", "arrived, dB", "on the device, dB", "its own, dB"),
            tuple((one.node, one.arrived_db, one.device_db, one.snr_db) for one in known),
        ),
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for style, colour, label, ratios in (
            ("D-", DEVICE, "simulated", [one.arrived_db for one in known]),
            ("s--", INK, "on the device", [one.device_db for one in known]),
            ("o", SOFT, "its own", [one.snr_db for one in known]),
        ):
            there = [(at, ratio) for at, ratio in enumerate(ratios, 1) if ratio is not None]
            if there:
                axes.plot(*zip(*there, strict=True), style, color=colour, label=label, **_SMALL)
        axes.set_xlabel("layer with weights, in the model's order")
        axes.set_ylabel("dB")
        axes.set_ylim(bottom=min(0.0, least))
        axes.grid(axis="y")
        figure.legend(loc="outside upper left", ncols=3, borderpad=0)

    return draw(caption, 2.7, paint)


def _arrived(layer: LayerSeen) -> list[float]:
    return [ratio for ratio in (layer.arrived_db, layer.device_db) if ratio is not None]


def histogram_chart(number: int, found: TensorHistogram) -> Chart:
    """A tensor's values, linear above and logarithmic below, with every calibrator's range."""
    width = (found.high - found.low) / len(found.counts)
    centres = [found.low + (at + 0.5) * width for at in range(len(found.counts))]
    total = sum(found.counts) or 1.0
    shares = [count / total for count in found.counts]
    said = {one: f"{one.calibrator}, {one.low:.3g} to {one.high:.3g}" for one in found.ends}
    chosen = next((text for one, text in said.items() if one.chosen), "range")
    others = "; ".join(text for one, text in said.items() if not one.chosen)
    caption = Caption(
        name=f"histogram-{number}",
        title=found.node or found.tensor,
        description=f"Output {found.tensor}: its values as shares of all, linear above, "
        f"logarithmic below. Solid is the range that it got, {chosen}; the others: {others}.",
        numbers=Numbers(("value", "share"), tuple(zip(centres, shares, strict=True))),
    )

    def paint(figure: Any) -> None:
        linear, logarithmic = figure.subplots(2, 1, sharex=True, height_ratios=(2, 3))
        for axes in (linear, logarithmic):
            axes.stairs(
                shares,
                [found.low + at * width for at in range(len(shares) + 1)],
                fill=True,
                color=SOFT,
                alpha=0.55,
            )
            for place, one in enumerate(found.ends):
                colour = DEVICE if one.chosen else LOST
                style = "-" if one.chosen else _STYLES[place % len(_STYLES)]
                for at, end in enumerate((one.low, one.high)):
                    label = one.calibrator if axes is logarithmic and at else None
                    axes.axvline(end, color=colour, linestyle=style, linewidth=1.3, label=label)
            axes.set_ylabel("share", color=INK)
        logarithmic.set_yscale("log")
        logarithmic.yaxis.set_major_formatter(lambda share, _: f"{share:g}")
        logarithmic.set_xlabel("value")
        figure.legend(loc="outside upper left", ncols=4, borderpad=0, columnspacing=1.2)

    return draw(caption, 3.2, paint)
