"""What `edgeq compare` finds of changes that are known, as its loads are drawn and not measured.

The rule is the command's own, of docs/decisions/0011-a-second-look.md; only the loads are drawn:
log ratios with the deviations that loads of 7.5 s had beside other work, and beside little.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.figure import Figure, Limit, at_least, at_most
from edgeq.records.comparison import MetricName
from edgeq.significance.ratios import Estimate, mean_of
from edgeq.spec.recipe import Compare
from edgeq.stages.compared import CONFIDENCE, Difference
from edgeq.stages.looks import Grounds, look

PART = "looks"
COUNT = int(os.environ.get("LOOKS", "1000"))
DEVIATIONS = {"busy": 0.0306, "calm": 0.0173}
"""Of a load's log ratio, on two cores: docs/decisions/0010-a-load-is-one-observation.md."""
CHANGES = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06)
LIMITS: dict[tuple[str, float], Limit] = {
    ("busy", 0.05): at_least(95),
    ("calm", 0.05): at_least(95),
}
FALSE_ALARMS = at_most(1)
_TOGETHER, _FRAME_SHARE, _MEMORY_DEVIATION = 0.7, 0.8, 0.001
"""Correlation of inference and frame; how much of a change a frame shows; memory's own noise."""


class Load(NamedTuple):
    """Log ratios of one load of both sides."""

    inference: float
    frame: float
    memory: float


class Found(NamedTuple):
    """Of one comparison: what was said, and what its first look alone would have said."""

    worse: bool
    better: bool
    is_twice: bool
    confirmed: bool
    """by the rule before: worse in the first look, and again in the second"""


def measure() -> Iterator[Figure]:
    """Shares of drawn comparisons that find a change, by its size and the noise of the loads."""
    for kind, deviation in DEVIATIONS.items():
        for change in CHANGES:
            found = [drawn(change, deviation, seed, Compare()) for seed in range(COUNT)]
            worse, better, twice, confirmed = np.mean(found, axis=0).tolist()
            note = (
                f"better {better:.1%}, looked at twice {twice:.0%}; by the first look, confirmed, "
                f"{confirmed:.1%}"
            )
            value, name, limit = worse, "worse", LIMITS.get((kind, change))
            if not change:
                value, name, limit = worse + better, "worse or better", FALSE_ALARMS
                note = f"worse {worse:.1%}, {note}"
            yield Figure(PART, f"{kind}, {change:+.0%}: {name}", 100 * value, "%", limit, note)


def drawn(change: float, deviation: float, seed: int, options: Compare) -> Found:
    """One comparison, of drawn loads."""
    chance = np.random.default_rng([seed, round(1000 * change), round(1e4 * deviation)])
    looks: list[list[Load]] = []

    def turns(_: int) -> list[Load]:
        looks.append([_load(change, deviation, chance) for _ in range(options.reloads)])
        return looks[-1]

    grounds = Grounds[Load](partial(_costs, options), (), {}, lambda _: {})
    seen = look(turns, grounds)
    said = {one.outcome for one in seen.metrics}
    confirmed = bool(seen.again) and any(
        first.outcome == "worse" and second.loss.mean > second.limit and second.loss.p <= 0.05
        for first, second in zip(
            grounds.verdicts(looks[0]), _costs(options, looks[-1]), strict=True
        )
    )
    return Found("worse" in said, "better" in said, bool(seen.again), confirmed)


def _load(change: float, deviation: float, chance: np.random.Generator) -> Load:
    first, other, memory = chance.normal(size=3)
    second = _TOGETHER * first + math.sqrt(1 - _TOGETHER**2) * other
    size = math.log1p(change)
    return Load(
        inference=size + deviation * first,
        frame=_FRAME_SHARE * size + deviation * second,
        memory=_MEMORY_DEVIATION * memory,
    )


def _costs(options: Compare, loads: Sequence[Load]) -> list[Difference]:
    found = []
    limits = (options.slower_by, options.slower_by, options.larger_by)
    names: tuple[MetricName, ...] = ("inference", "frame", "peak memory")
    for name, limit, ratios in zip(names, limits, zip(*loads, strict=True), strict=True):
        mean = mean_of(ratios, CONFIDENCE)
        loss = Estimate(math.expm1(mean.mean), math.expm1(mean.low), math.expm1(mean.high), mean.p)
        found.append(Difference(name, "ms", 1.0, 1.0 + loss.mean, loss, limit, "loads"))
    return found
