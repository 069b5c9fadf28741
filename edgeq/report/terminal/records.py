"""Records as text for a person; the report has a renderer of its own."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgeq.records.measurement import Stage
from edgeq.report.figures import left_out, snr_by_part, soaked, streams, tail, three_digits

if TYPE_CHECKING:
    from edgeq.cache import Usage
    from edgeq.records.device import Pushed, Status
    from edgeq.records.examination import Examination
    from edgeq.records.inspection import Inspection, RangeMixing
    from edgeq.records.lint import Lint
    from edgeq.records.measurement import Measurement, Minute
    from edgeq.spec.target import Target
    from edgeq.stages.build import Build


def build_record(build: Build, output: Path | None) -> dict[str, Any]:
    """A build for `--json`."""
    return {
        "artifact": build.artifact.id,
        "folder": str(build.artifact.folder),
        "output": None if output is None else str(output),
        "bytes": build.artifact.size_bytes,
        "cached": build.cached,
        "layers_quantized": build.plan.layers_quantized,
        "nodes_float": {n: d.reason for n, d in build.plan.decisions.items() if not d.quantized},
        "notes": list(build.notes),
        "range_mixing": [str(mix) for mix in build.mixing],
    }


def build_text(build: Build, output: Path | None) -> RenderableType:
    """A build for a person."""
    made = "found as it was built before" if build.cached else "built"
    lines = [
        f"artifact {build.artifact.id}, {made}",
        f"{build.plan.layers_quantized} layers int8, {build.artifact.size_bytes / 2**20:.2f} MiB",
        f"in {output or build.artifact.folder}",
        *(f"note: {note}" for note in build.notes),
    ]
    for mix in build.mixing:
        quantized = build.plan.decisions[mix.node].quantized
        lines.append(f"range mixing: {mix} ({'quantized: a collapse' if quantized else 'float'})")
    return Text("\n".join(lines))


def measurement_text(measurement: Measurement) -> RenderableType:
    """A measurement for a person."""
    table = Table("ms", "p50", "p90", "p99", box=None, header_style="")
    for stage in get_args(Stage):
        figures = (_latency(measurement, q, stage) for q in (50, 90, 99))
        table.add_row(stage, *figures)
    memory = (
        f"memory: {measurement.rss_before_load_bytes / 2**20:.1f} MiB before loading, "
        f"{measurement.rss_after_load_bytes / 2**20:.1f} loaded, "
        f"{measurement.peak_rss_bytes / 2**20:.1f} peak ({measurement.peak_rss_source})"
    )
    rate = f"{len(measurement.inference_ns)} inferences with {measurement.threads} threads"
    if not measurement.unstable:
        rate += f", {measurement.throughput_per_s:.3g} images/s"
    state = [Text(f"UNSTABLE: {reason}") for reason in measurement.unstable]
    if measurement.left_out.stretches:
        state.append(Text(f"left out: {left_out(measurement)}"))
    state += [Text(streams(run)) for run in measurement.streams]
    if measurement.emulated:
        state.append(Text("EMULATED: this latency says nothing about a real board"))
    return Group(
        *_minutes(measurement.soak),
        table,
        Text(rate),
        Text(memory),
        *(state if measurement.unstable or measurement.emulated else [*state, Text("stable")]),
    )


def _minutes(soak: Sequence[Minute]) -> list[RenderableType]:
    """A long run minute by minute, and what it came to; nothing where there was none."""
    if not soak:
        return []
    table = Table(box=None, header_style="")
    for heading in ("minute", "p50, ms", "p99, ms", "frame p50, ms", "hottest, C", "slowest, MHz"):
        table.add_column(heading, justify="right")
    table.add_column("disturbed by")
    for number, minute in enumerate(soak, 1):
        times = (minute.median_ns, minute.p99_ns, minute.frame_median_ns)
        hot, clock = minute.hottest_c, minute.slowest_khz
        table.add_row(
            str(number),
            *(three_digits(ns / 1e6) for ns in times),
            "-" if hot is None else f"{hot:.0f}",
            "-" if clock is None else f"{clock / 1000:.0f}",
            ", ".join(minute.reasons),
        )
    return [table, Text(soaked(soak)), Text()]


def _latency(measurement: Measurement, q: float, stage: Stage) -> str:
    """No figure rather than a wrong one; `--json` has the raw samples all the same."""
    return "unstable" if measurement.unstable else tail(measurement.samples_ns(stage), q)


def inspection_text(inspection: Inspection) -> RenderableType:
    """An inspection for a person."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("layer", overflow="fold", ratio=1)
    table.add_column("type")
    for heading in ("output", "params", "M madds", "ops/byte"):
        table.add_column(heading, justify="right")
    table.add_column("int8")
    for layer in inspection.layers:
        table.add_row(
            layer.name,
            layer.op_type,
            "x".join(map(str, layer.output_shape[1:])),
            f"{layer.parameters:,}",
            "unknown" if layer.macs is None else f"{layer.macs / 1e6:.1f}",
            "unknown" if layer.intensity is None else f"{layer.intensity:.0f}",
            "yes" if layer.quantized else "no",
        )
    head = Text(
        f"{inspection.model}: opset {inspection.opset}, {inspection.nodes} nodes, "
        f"{inspection.parameters / 1e6:.2f} M parameters, {_multiply_adds(inspection)}; "
        f"tail of {inspection.tail_nodes} nodes"
    )
    notes = [Text(f"note: {note}") for note in inspection.notes]
    floats = [Text("\nWhat would stay float:")]
    for group in inspection.stays_float:
        types = ", ".join(f"{count} {name}" for name, count in group.op_types.items())
        floats.append(Text(f"  {types}: {group.reason}"))
    mixed = [Text(f"\nRange mixing (ranges from {inspection.ranges_from}):")]
    for mix in inspection.range_mixing:
        mixed.append(Text(f"  {mix.text}; {_place(mix)}"))
    if not inspection.range_mixing:
        mixed.append(Text("  none"))
    return Group(head, *notes, Text(), table, *floats, *mixed)


def _multiply_adds(inspection: Inspection) -> str:
    """What is known of them: layers whose shapes only a run tells are in no share."""
    said = f"{inspection.macs / 1e9:.3f} G multiply-adds"
    if inspection.macs:
        quantized = sum(layer.macs or 0 for layer in inspection.layers if layer.quantized)
        said += f", {quantized / inspection.macs:.1%} of them can be int8"
    if inspection.unknown_layers:
        said += (
            f", and an UNKNOWN number in {inspection.unknown_layers} layers, as only a run can tell"
        )
    return said


def _place(mix: RangeMixing) -> str:
    """Whether a Concat that mixes ranges harms anything."""
    if not mix.quantized:
        return "in the head's tail, which stays float" if mix.in_tail else "it stays float"
    return "QUANTIZED in the head's tail" if mix.in_tail else "INSIDE THE NETWORK"


def lint_text(lint: Lint) -> RenderableType:
    """What a lint found, for a person."""
    noise = [f"left of float, on this machine: {snr_by_part(lint.snr_db)}"] if lint.snr_db else []
    if not lint.findings:
        said = f"{lint.source} for {lint.target}: nothing to complain about"
        return Text("\n".join([said, *noise]))
    lines = [f"{lint.source} for {lint.target}:", *noise]
    for found in lint.findings:
        lines += [f"{found.severity}: {found.rule}: {found.node}"]
        lines += [f"  {found.what}; {found.remedy}"]
    return Text("\n".join(lines))


def pushed_text(pushed: Pushed) -> str:
    """A push for a person."""
    return f"release {pushed.artifact_id} on {pushed.device}: {sent_text(pushed)}"


def sent_text(pushed: Pushed) -> str:
    """What was sent in a push, and whether it counts now."""
    sent = f"{pushed.blobs_sent} files, {pushed.bytes_sent / 2**20:.2f} MiB sent"
    state = "current" if pushed.current else "not current: say --activate, or deploy its recipe"
    made = sent if pushed.new else "it was there already" if not pushed.blobs_sent else sent
    return f"{made}; {state}"


def status_text(status: Status) -> RenderableType:
    """What is on a device, for a person."""
    table = Table("release", "MiB", "signed", "", box=None, header_style="")
    before = "rolled back" if status.rolled_back else "previous"
    roles = {status.previous: before, status.current: "current"}
    for release in status.releases:
        signed = "yes" if release.signed else "no"
        table.add_row(release.id, f"{release.bytes / 2**20:.2f}", signed, roles.get(release.id, ""))
    holder = status.lock
    accepts = "signed releases only" if status.signed_only else "releases without a signature, too"
    lines = [
        f"{status.device}:{status.root}",
        f"{status.used_bytes / 2**20:.1f} MiB used, {status.free_bytes / 2**20:.0f} MiB free",
        f"environment {status.environment}" if status.environment else "no environment of its own",
        f"at work: {holder.who}, {holder.what}, since {holder.since}"
        if holder
        else "nobody is at work there",
        f"accepts {accepts}",
    ]
    return Group(*map(Text, lines), table if status.releases else Text("no releases"))


def examination_text(examination: Examination) -> RenderableType:
    """What a board is and lacks, for a person."""
    table = Table("", "", "", "", box=None, show_header=False)
    for finding in examination.findings:
        table.add_row(finding.name, finding.state, finding.found, finding.remedy)
    state = "ready" if examination.ready else "NOT ready"
    made = ", with a new environment" if examination.changed else ""
    head = f"{examination.device} as {examination.target}: {state}{made}"
    return Group(Text(head), table)


def targets_text(found: Mapping[str, tuple[Target, Path]]) -> RenderableType:
    """The list of targets for a person."""
    table = Table("name", "runtime", "architecture", "description", box=None)
    table.add_column("file", overflow="fold")
    for name, (target, path) in found.items():
        engines = ", ".join((target.runtime, *(f":{other}" for other in target.alternatives)))
        table.add_row(name, engines, target.architecture, target.description, str(path))
    return table


def caches_text(found: Sequence[Usage]) -> RenderableType:
    """The caches for a person."""
    table = Table("cache", box=None, header_style="")
    for name in ("entries", "MiB", "longest unused since", "last used"):
        table.add_column(name, justify="right")
    for one in found:
        times = (_local_time(one.oldest_use_s), _local_time(one.last_use_s))
        table.add_row(one.name, str(one.entries), f"{one.size_bytes / 2**20:.1f}", *times)
    entries, size = sum(one.entries for one in found), sum(one.size_bytes for one in found)
    table.add_row("all", str(entries), f"{size / 2**20:.1f}", "", "")
    return table


def _local_time(time_s: float | None) -> str:
    if time_s is None:
        return ""
    return datetime.datetime.fromtimestamp(time_s).strftime("%Y-%m-%d %H:%M")
