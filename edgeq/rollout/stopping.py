"""Whether what is known of the boards is a reason to stop."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from edgeq.records.rollout import DeviceProgress
from edgeq.significance.stopping import slower_on_all
from edgeq.spec.strategy import Strategy

_TIMES = ("inference", "frame")


def reason_to_stop(
    strategy: Strategy, rows: Iterable[DeviceProgress], wave: int | None = None
) -> str:
    """Why the release goes no further; empty where it may. `wave` is one that has just ended."""
    known = [row for row in rows if row.is_evidence]
    bad = [row for row in known if row.is_bad]
    rule, boards = strategy.rule, len(known)
    if wave == 0 and not boards:
        return "no device of the canary told anything about the release"
    if wave == 0 and len(bad) == boards:
        return f"every device of the canary that told anything is bad; {_first(bad)}"
    least = rule.fewest(boards)
    if wave == 0:
        least = min(least, rule._replace(canary=boards).fewest_in_canary)
    if bad and len(bad) >= least:
        most = f"as no more than {least - 1} may be"
        return f"{len(bad)} of {boards} devices are bad, {most}; {_first(bad)}"
    return "" if wave is None else _slower(strategy, known, wave)


def _slower(strategy: Strategy, known: Sequence[DeviceProgress], wave: int) -> str:
    """At the end of a wave: whether all are slower, however little each of them is."""
    # Half of what is left at each wave, over both metrics.
    level = strategy.stop.false_stops / 2.0 ** (wave + 1) / len(_TIMES)
    for name in _TIMES:
        losses = [row.losses[name] for row in known if name in row.losses]
        if slower_on_all(losses, strategy.stop.slower_by, level):
            mean = math.expm1(sum(losses) / len(losses))
            limit = strategy.stop.slower_by
            return f"{name} is {mean:+.1%} on average of {len(losses)} devices (limit {limit:+.0%})"
    return ""


def trouble(strategy: Strategy, wave: Sequence[DeviceProgress]) -> str:
    """Why somebody has to look at the boards of a wave before it goes on; empty where not."""
    bad = [row for row in wave if row.is_in_trouble]
    limit = strategy.stop.trouble
    if len(bad) <= max(1.0, limit * len(wave)):
        return ""
    return f"{len(bad)} of {len(wave)} devices are in trouble (limit {limit:.0%}); {_first(bad)}"


def _first(bad: Sequence[DeviceProgress]) -> str:
    return f"{bad[0].device}: {bad[0].reason}"
