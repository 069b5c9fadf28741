"""A comparison as a page: what B is to A in words, then the figures of every board."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import DeviceError, listed
from edgeq.records.comparison import Compared, Comparison
from edgeq.records.files import write_text
from edgeq.report.figures import counted
from edgeq.report.html.comparison.forest import forest_charts
from edgeq.report.html.layout import Heading, Tone, check_page, laid_out
from edgeq.report.html.numbers import Cell, Numbers, data_link
from edgeq.report.html.provenance import Download
from edgeq.report.terminal.comparison import (
    change_text,
    figure_text,
    interval_title,
    limit_text,
    title_text,
)
from edgeq.significance.outcome import Outcome

Found = Comparison | DeviceError
_NAMED = 4
_ORDER: tuple[Outcome, ...] = ("worse", "cannot tell", "better", "same")
_ENDINGS: dict[Outcome, tuple[str, Tone]] = {
    "worse": ("B is worse", "failed"),
    "cannot tell": ("Cannot be told", "not-judged"),
    "better": ("B is better", "passed"),
    "same": ("B is the same", "passed"),
}


@dataclass(frozen=True)
class MetricLine:
    """A metric: what B is, its figures in words, and why it cannot be told."""

    outcome: Outcome
    metric: str
    words: str
    reason: str


@dataclass(frozen=True)
class BoardView:
    """What was found on one board."""

    name: str
    lines: tuple[MetricLine, ...]
    figures: Numbers
    remarks: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def write_comparison_html(boards: Sequence[Found], output: Path) -> None:
    """Write a page about what was compared, a board or several; InputError where it cannot be."""
    check_page(output)
    write_text(render_comparison(boards), output)


def render_comparison(boards: Sequence[Found]) -> str:
    """The page as HTML; the same for the same records. At least one board was compared."""
    compared = [board for board in boards if isinstance(board, Comparison)]
    failed = [board for board in boards if isinstance(board, DeviceError)]
    heading = _heading(compared, failed)
    return laid_out(
        "comparison.html",
        f"{heading.about}: {heading.ending}",
        (("verdict", "Verdict"), ("figures", "Figures"), ("provenance", "Provenance")),
        heading=heading,
        failed=tuple((error.where, str(error)) for error in failed),
        matrix=_matrix(compared) if len(compared) > 1 else None,
        boards=tuple(_board(board) for board in compared),
        charts=forest_charts(compared),
        downloads=tuple(_download(board) for board in compared),
    )


def _heading(compared: Sequence[Comparison], failed: Sequence[DeviceError]) -> Heading:
    first = compared[0]
    outcomes = {one.outcome for board in compared for one in _real(board)}
    found = (_ENDINGS[outcome] for outcome in _ORDER if outcome in outcomes)
    ending, tone = next(found, ("Nothing compared", "not-judged"))
    if failed and "worse" not in outcomes:
        ending, tone = "Not judged everywhere", "not-judged"
    words = "; ".join(
        f"{outcome}: {', '.join(names)}"
        for outcome in _ORDER
        if (names := _named(compared, outcome))
    )
    where = first.device if len(compared) == 1 else f"{len(compared)} boards"
    return Heading(
        about=f"{first.b.named} (B) against {first.a.named} (A)",
        where=f"on {first.target}, {where}, {first.created_at:%-d %B %Y, %H:%M} UTC",
        ending=ending,
        tone=tone,
        words=f"{words[:1].upper()}{words[1:]}."
        if words
        else "There are no figures of a real device.",
        sentences=tuple(_sentences(compared, failed)),
    )


def _real(board: Comparison) -> list[Compared]:
    """The metrics that say something of a device as it will be used."""
    return [one for one in board.metrics if not (board.emulated and one.unit in ("ms", "mJ"))]


def _named(compared: Sequence[Comparison], outcome: Outcome) -> list[str]:
    """The metrics of which that is said; of several boards with on how many."""
    found: dict[str, int] = {}
    for board in compared:
        for one in _real(board):
            if one.outcome == outcome:
                found[one.metric] = found.get(one.metric, 0) + 1
    many = len(compared)
    return [name if many == 1 else f"{name} ({n} of {many})" for name, n in found.items()]


def _sentences(compared: Sequence[Comparison], failed: Sequence[DeviceError]) -> Iterator[str]:
    pairs, seconds = sum(b.pairs for b in compared), sum(b.measured_s for b in compared)
    loads = sum(b.reloads for b in compared)
    took = f"{counted(pairs, 'pair')} in {seconds:.0f} s"
    yield f"Both took turns at every inference: {took}, with {counted(loads, 'load')} of each."
    emulated = [board.device for board in compared if board.emulated]
    if emulated:
        where = "The device is" if len(compared) == 1 else f"{listed(emulated, _NAMED)}:"
        yield f"{where} emulated: times say nothing about a real one; the heading leaves them out."
    if failed:
        yield f"{len(failed)} of {len(compared) + len(failed)} boards failed."


def _matrix(compared: Sequence[Comparison]) -> Numbers:
    """A row for each board, with what B is in each metric."""
    metrics = list(dict.fromkeys(one.metric for board in compared for one in board.metrics))
    rows = tuple(
        (board.device, *(_told(board.metric(metric)) for metric in metrics)) for board in compared
    )
    return Numbers(("board", *metrics), rows)


def _told(one: Compared | None) -> str:
    if one is None:
        return "not compared"
    change = change_text(one)[0]
    return one.outcome if one.change is None else f"{one.outcome}, {change}"


def _board(found: Comparison) -> BoardView:
    remarks = [text for text in (found.agreed,) if text]
    return BoardView(
        name=found.device,
        lines=tuple(_line(one) for one in found.metrics),
        figures=_figures(found),
        remarks=(*remarks, *found.differences, *found.notes),
        facts=tuple(_facts(found)),
    )


def _line(one: Compared) -> MetricLine:
    unit = title_text(one).removeprefix(one.metric).removeprefix(",")
    if one.a is None or one.b is None:
        return MetricLine(one.outcome, one.metric, "no figures", one.reason)
    words = f"{figure_text(one, one.b)}{unit} against {figure_text(one, one.a)}{unit}"
    if one.change is not None:
        change, ends = change_text(one)
        sure = ends if ends == "exact" else f"{one.change.confidence:.0%}: {ends}"
        words += f", {change} ({sure}; from {limit_text(one)} on it is worse)"
    return MetricLine(one.outcome, one.metric, words, one.reason)


def _figures(found: Comparison) -> Numbers:
    heads = ("metric", "A", "B", "B to A", interval_title(found), "limit", "B is")
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            title_text(one),
            figure_text(one, one.a),
            figure_text(one, one.b),
            *change_text(one),
            limit_text(one),
            one.outcome,
        )
        for one in found.metrics
    )
    return Numbers(heads, rows)


def _facts(found: Comparison) -> Iterator[tuple[str, str]]:
    for name, side in (("A", found.a), ("B", found.b)):
        yield name, f"{side.named}, {side.artifact_id}, {side.artifact_bytes} bytes, {side.engine}"
    yield "device", f"{found.device} ({found.target})"
    yield "recipe", found.recipe or "none: on images that were named"
    yield "measured", f"{found.pairs} pairs in {found.measured_s:.0f} s, {found.reloads} loads"
    yield "comparison", f"{found.id}, by edgeq {found.edgeq_version}"
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found.versions.items()))
    if versions:
        yield "versions here", versions


def _download(found: Comparison) -> Download:
    link = data_link(found.model_dump_json(indent=1), "application/json")
    return Download(f"comparison-{found.id}.json", link, f"all that is known of {found.device}")
