"""How a run ended, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgeq.records.report import ColumnName, Verdict

Ending = Literal["passed", "failed", "not judged", "nothing judged"]
TITLES: dict[ColumnName, str] = {
    "float": "float",
    "simulated": "simulated int8",
    "fp16": "device fp16",
    "device": "device int8",
}
"""What the columns of a report are called."""


def outcome(verdicts: Sequence[Verdict]) -> tuple[Ending, str]:
    """How it ended, and which gates made it so."""
    if not verdicts:
        return "nothing judged", "the recipe sets no gates."
    failed = [v.gate for v in verdicts if v.status == "failed"]
    unjudged = [v.gate for v in verdicts if v.status not in ("passed", "failed")]
    many = f"of {len(verdicts)} gates" if len(verdicts) > 1 else "of 1 gate"
    words = []
    if failed:
        words.append(f"{len(failed)} {many} failed: {', '.join(failed)}")
    if unjudged:
        words.append(f"{len(unjudged)} {many} could not be judged: {', '.join(unjudged)}")
    if not words:
        return "passed", f"{len(verdicts)} {many} passed."
    return "failed" if failed else "not judged", f"{'; '.join(words)}."
