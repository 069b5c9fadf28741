"""A comparison as Markdown, for the summary of a job."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edgeq.errors import DeviceError
from edgeq.report.terminal.comparison import change_text, figure_text, limit_text, title_text
from edgeq.report.terminal.printable import printable

if TYPE_CHECKING:
    from edgeq.records.comparison import Comparison, Side

_SIGNS = {"better": "🟢", "same": "⚪", "worse": "🔴", "cannot tell": "🟡"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>~&@])")


def render(found: Comparison | DeviceError) -> str:
    """A heading, a table with a line for each metric, and the remarks; of a failed board why."""
    if isinstance(found, DeviceError):
        return f"### edgeq compare: {plain(found.where)}\n\n🔴 failed: {plain(str(found))}\n"
    sides = [f"{name}: {plain(s.named)} (`{s.artifact_id[:12]}`)" for name, s in _sides(found)]
    lines = [
        f"### edgeq compare: {plain(found.target)} on {plain(found.device)}",
        "",
        ", ".join(sides) + f"; {found.pairs} pairs, both loaded {found.reloads} times",
        "",
        "| | A | B | B to A | interval | limit | B is |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    for one in found.metrics:
        cells = (title_text(one), figure_text(one, one.a), figure_text(one, one.b))
        words = (*cells, *change_text(one), limit_text(one))
        outcome = f"{_SIGNS[one.outcome]} {one.outcome}"
        lines.append(f"| {' | '.join(map(plain, words))} | {outcome} |")
    remarks = [f"{one.metric}: {one.reason}" for one in found.metrics if one.reason]
    if found.emulated:
        remarks.append("emulated: these times say nothing about a real device")
    remarks += [*([found.agreed] if found.agreed else []), *found.differences, *found.notes]
    lines += ["", *(f"- {plain(remark)}" for remark in remarks)] if remarks else []
    return "\n".join(lines) + "\n"


def _sides(found: Comparison) -> tuple[tuple[str, Side], ...]:
    return ("A", found.a), ("B", found.b)


def plain(text: str) -> str:
    """Words as they are: nothing of them is markup, an address or a line of its own."""
    return _SPECIAL.sub(r"\\\1", " ".join(printable(text).split()))
