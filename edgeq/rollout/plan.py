"""Roll-outs: who goes when, and what a strategy can find; nothing is touched."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edgeq.errors import InputError
from edgeq.records.rollout import Odds, RolloutPlan, Wave
from edgeq.significance.stopping import StopRule, seen_by
from edgeq.spec import strategy as strategies
from edgeq.spec.fleet import file as fleets
from edgeq.spec.fleet.fleet import Fleet
from edgeq.spec.strategy import Strategy

SHARES = (0.02, 0.05, 0.10, 0.20, 0.50, 1.0)
"""Of devices that a release may spoil."""


def plan_rollout(
    fleet: str | Path | Fleet, strategy: str | Path | Strategy | None = None, on: str = "all"
) -> RolloutPlan:
    """Divide devices of a fleet into waves, and say how probably which fault is found when.

    `on` is a label expression. The order is drawn from the names, the same each time, so that a
    wave has devices of everywhere. Raises InputError(s).
    """
    known = fleet if isinstance(fleet, Fleet) else fleets.load(fleet)
    if strategy is None:
        strategy = Strategy()
    where = "canary" if isinstance(strategy, Strategy) else f"{strategy}: canary"
    wanted = strategy if isinstance(strategy, Strategy) else strategies.load(Path(strategy))
    names = [device.name for device in known.select(on)]
    first = {device.name for device in known.select(wanted.canary.on or "all", where)}
    names.sort(key=lambda name: hashlib.sha256(name.encode()).digest())
    canary = [name for name in names if name in first][: wanted.canary.count]
    if len(canary) < wanted.canary.count:
        what = f"{wanted.canary.count} devices were asked for, and there are {len(canary)}"
        raise InputError(where, what, "ask for fewer, or for others")
    waves = tuple(_waves(names, canary, wanted.waves))
    rule = wanted.rule
    return RolloutPlan(
        fleet=str(known.path),
        waves=waves,
        odds=tuple(_odds(rule, share, waves) for share in SHARES),
        tolerated=rule.tolerated,
        false_stops=float(rule.chances(rule.tolerated, len(names))[-1]),
    )


def _waves(names: Sequence[str], canary: Sequence[str], shares: Sequence[float]) -> Iterator[Wave]:
    """The canary, then what each share adds; a wave that would add nobody is none."""
    yield Wave(name="canary", devices=tuple(canary), boards=len(canary))
    rest = [name for name in names if name not in set(canary)]
    done, number = len(canary), 0
    for share in (*shares, 1.0):
        upto = max(round(share * len(names)), done)
        if upto == done:
            continue
        number += 1
        devices = tuple(rest[done - len(canary) : upto - len(canary)])
        yield Wave(name=f"wave {number}", devices=devices, boards=upto)
        done = upto


def _odds(rule: StopRule, share: float, waves: Sequence[Wave]) -> Odds:
    chances = rule.chances(share, waves[-1].boards)
    half = int(np.argmax(chances >= 0.5)) if chances[-1] >= 0.5 else None
    return Odds(
        bad_share=share,
        seen_by_canary=seen_by(rule.canary, share),
        stopped_by=tuple(float(chances[wave.boards]) for wave in waves),
        median_boards=half,
    )
