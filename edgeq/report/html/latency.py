"""The section of latency: each stage's distribution, the run over time, streams, layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, get_args

from edgeq.records.answers import EngineFacts
from edgeq.records.dossier import Dossier
from edgeq.records.measurement import Measurement, Stage, percentile
from edgeq.records.report import Column, Report
from edgeq.report.figures import three_digits
from edgeq.report.html.conditions import conditions
from edgeq.report.html.drawing import DEVICE, INK, LOST, SOFT, STROKES, Caption, Chart, draw
from edgeq.report.html.numbers import Numbers
from edgeq.report.outcome import TITLES
from edgeq.significance import percentiles

STAGES: tuple[Stage, ...] = get_args(Stage)
_QUANTILES = (1, 25, 50, 75, 90, 99)
_BINS = 60
_LAYERS = 20


@dataclass(frozen=True)
class LatencyView:
    """The charts and tables of the section, and what has to be said of the measurement."""

    charts: tuple[Chart, ...] = ()
    stages: Numbers | None = None
    layers: Numbers | None = None
    without_layers: str = ""
    conditions: tuple[tuple[str, str], ...] = ()
    said: tuple[str, ...] = ()
    why_none: str = ""


def latency_view(dossier: Dossier) -> LatencyView:
    """What the device's measurement says, and that of the float model beside it."""
    report = dossier.report
    device = report.column("device")
    if device is None or device.measurement is None or not device.measurement.inference_ns:
        return LatencyView(why_none="not measured: no inference was timed")
    measured = device.measurement
    timed = [column for column in report.columns if column.measurement]
    charts = [stages_chart(timed), course_chart(measured)]
    if measured.soak:
        charts.append(soak_chart(measured))
    if measured.streams:
        charts.append(streams_chart(measured))
    layers = _layers(report)
    return LatencyView(
        charts=tuple(charts),
        stages=_stages(timed),
        layers=layers,
        without_layers=""
        if layers
        else "not measured: only an engine that TensorRT compiled on the device is profiled "
        "layer by layer, beside the same model in fp16",
        conditions=tuple(conditions(measured)),
        said=tuple(_said(timed)),
    )


def _said(timed: Sequence[Column]) -> Iterator[str]:
    """What keeps the times from being figures to go by, column by column."""
    for column in timed:
        measured = column.measurement
        if measured is not None and measured.unstable:
            yield f"{TITLES[column.name]} is unstable: {'; '.join(measured.unstable)}."
        if measured is not None and measured.emulated:
            yield f"{TITLES[column.name]} is of an emulated device, and says nothing of a real one."


def _samples_ms(measured: Measurement, stage: Stage) -> list[float]:
    return [ns / 1e6 for ns in measured.samples_ns(stage)]


def _stages(timed: Sequence[Column]) -> Numbers:
    heads = ("column", "stage", *(f"p{q}, ms" for q in _QUANTILES), "p90 at most, ms", "passes")
    rows = []
    for column in timed:
        measured = column.measurement
        for stage in STAGES:
            samples = measured.samples_ns(stage) if measured else ()
            if samples:
                bound = percentiles.bound(samples, 90)
                found = [percentile(samples, q) / 1e6 for q in _QUANTILES]
                most = None if bound is None else bound / 1e6
                rows.append((TITLES[column.name], stage, *found, most, len(samples)))
    return Numbers(heads, tuple(rows))


def stages_chart(timed: Sequence[Column]) -> Chart:
    """Where most passes lie, stage by stage, of each column that was timed."""
    numbers = _stages(timed)
    device = next(column for column in timed if column.name == "device").measurement
    assert device is not None
    medians = ", ".join(
        f"{stage} {three_digits(device.latency_ms(50, stage))}"
        for stage in STAGES
        if device.samples_ns(stage)
    )
    caption = Caption(
        name="stages",
        title="Time of each stage",
        description="From the fastest to the slowest hundredth of all passes (thin), half of them "
        f"(thick), and the median (mark). Medians of the device in ms: {medians}.",
        numbers=numbers,
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        wide = 0.8 / len(timed)
        for place, column in enumerate(timed):
            stroke = STROKES[column.name]
            shift = (place - (len(timed) - 1) / 2) * wide
            for row, stage in enumerate(STAGES):
                samples = column.measurement.samples_ns(stage) if column.measurement else ()
                if not samples:
                    continue
                ends = [percentile(samples, q) / 1e6 for q in (1, 25, 50, 75, 99)]
                at, label = row + shift, TITLES[column.name] if row == 0 else None
                axes.hlines(at, ends[0], ends[4], color=stroke.colour, linewidth=1)
                axes.hlines(at, ends[1], ends[3], color=stroke.colour, linewidth=4)
                axes.plot([ends[2]], [at], stroke.marker, color=stroke.colour, label=label)
        axes.set_yticks(range(len(STAGES)), STAGES)
        axes.set_ylim(len(STAGES) - 0.4, -0.6)
        axes.set_xlim(left=0)
        axes.set_xlabel("ms")
        axes.grid(axis="x")
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
        figure.legend(loc="outside upper left", ncols=len(timed), borderpad=0)

    return draw(caption, 2.7, paint)


def course_chart(measured: Measurement) -> Chart:
    """The device's frames from the first to the last, as medians of stretches."""
    stage: Stage = "frame" if measured.postprocess_ns else "inference"
    samples = _samples_ms(measured, stage)
    ends_s = list(accumulate(ms / 1e3 for ms in samples))
    size = max(1, -(-len(samples) // _BINS))
    rows = tuple(
        (ends_s[min(at + size, len(samples)) - 1], *_three(samples[at : at + size]))
        for at in range(0, len(samples), size)
    )
    drawn = f"the median of each {size} (line), and where four of five of them lie (band)"
    drawn = drawn if size > 1 else "one by one"
    caption = Caption(
        name="course",
        title="The run from first to last",
        description=f"The device's {stage}s in the order of the run, {drawn}. "
        "Where it is level, nothing got in the way.",
        numbers=Numbers(("s of timed passes", "median, ms", "p10, ms", "p90, ms"), rows),
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        seconds = [row[0] for row in rows]
        axes.fill_between(
            seconds,
            [row[2] for row in rows],
            [row[3] for row in rows],
            color=DEVICE,
            alpha=0.2,
            linewidth=0,
        )
        axes.plot(seconds, [row[1] for row in rows], color=DEVICE)
        axes.set_xlabel("s of timed passes")
        axes.set_ylabel(f"{stage}, ms")
        axes.set_ylim(0, 1.15 * max(row[3] for row in rows))
        axes.grid(axis="y")

    return draw(caption, 2.7, paint)


def _three(samples: Sequence[float]) -> tuple[float, float, float]:
    ordered = sorted(samples)
    at = [ordered[round(share * (len(ordered) - 1))] for share in (0.5, 0.1, 0.9)]
    return at[0], at[1], at[2]


def soak_chart(measured: Measurement) -> Chart:
    """Minute by minute before what is timed: latency, the hottest sensor, the slowest clock."""
    minutes = measured.soak
    rows = tuple(
        (
            n,
            one.median_ns / 1e6,
            one.frame_median_ns / 1e6,
            one.hottest_c,
            None if one.slowest_khz is None else one.slowest_khz / 1e6,
            ", ".join(one.reasons),
        )
        for n, one in enumerate(minutes, 1)
    )
    parts = [("inference, ms", 1, DEVICE), ("hottest, C", 3, LOST), ("slowest clock, GHz", 4, SOFT)]
    shown = [part for part in parts if any(row[part[1]] is not None for row in rows)]
    caption = Caption(
        name="soak",
        title="Minute by minute, until it is as hot as it gets",
        description=f"{len(minutes)} minutes before what is timed: "
        + ", ".join(n for n, *_ in shown),
        numbers=Numbers(
            ("minute", "inference, ms", "frame, ms", "hottest, C", "slowest, GHz", "slowed by"),
            rows,
        ),
    )

    def paint(figure: Any) -> None:
        every = figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (label, place, colour) in zip(every, shown, strict=True):
            known = [(row[0], row[place]) for row in rows if row[place] is not None]
            axes.plot(*zip(*known, strict=True), "o-", color=colour, markersize=3)
            axes.set_ylabel(label)
            axes.grid(axis="y")
        every[-1].set_xlabel("minute")
        every[-1].xaxis.get_major_locator().set_params(integer=True)

    return draw(caption, 1 + 1.1 * len(shown), paint)


def streams_chart(measured: Measurement) -> Chart:
    """Frames a second by how many streams run side by side."""
    runs = measured.streams
    names = [f"{one.streams} x {one.threads}" if one.streams else "pipeline" for one in runs]
    rows = tuple(
        (
            name,
            one.streams,
            one.threads,
            None if one.reasons else one.frames_per_s,
            one.p99_bound_ms(),
            "; ".join(one.reasons),
        )
        for name, one in zip(names, runs, strict=True)
    )
    caption = Caption(
        name="streams",
        title="Frames a second by streams",
        description="Streams side by side, each with so many threads; a pipeline prepares the next "
        "frame while the engine runs. What was disturbed has no bar.",
        numbers=Numbers(
            ("arrangement", "streams", "threads", "frames/s", "p99 at most, ms", "disturbed by"),
            rows,
        ),
    )

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        heights = [0.0 if one.reasons else one.frames_per_s for one in runs]
        axes.barh(range(len(runs)), heights, color=DEVICE, height=0.55)
        for place, height in enumerate(heights):
            text = three_digits(height) if height else "disturbed"
            axes.annotate(f" {text}", (height, place), va="center", color=INK, fontsize=8.5)
        axes.set_yticks(range(len(runs)), names)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set_xlabel("frames/s of all streams together")
        axes.tick_params(length=0)

    return draw(caption, 0.9 + 0.3 * len(runs), paint)


def _layers(report: Report) -> Numbers | None:
    """What each layer of the engine takes in int8, and reformats among them; None unprofiled."""
    found = {}
    for name in ("device", "fp16"):
        column = report.column(name)
        facts = column.measurement.engine_facts if column and column.measurement else None
        times = EngineFacts.model_validate(facts).layer_times if facts else ()
        found[name] = {one.layer: one.ms for one in times}
    if not found["device"]:
        return None
    slowest = sorted(found["device"].items(), key=lambda item: -item[1])[:_LAYERS]
    slower = {one.name: one for one in report.speedup.slower} if report.speedup else {}
    rows = [(layer, ms, found["fp16"].get(layer), "") for layer, ms in slowest]
    rows += [(one.name, one.int8_ms, one.fp16_ms, "slower in int8") for one in slower.values()]
    if report.speedup and report.speedup.reformat_int8_ms is not None:
        both = (report.speedup.reformat_int8_ms, report.speedup.reformat_fp16_ms)
        rows.append(("all reformats", *both, "change only layout or type"))
    return Numbers(("layer of the engine", "int8, ms", "fp16, ms", "remark"), tuple(rows))
