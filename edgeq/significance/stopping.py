"""When a roll-out stops itself: boards that turned out bad, against a share that is tolerated.

Two looks share the chance of a false stop by halves. At the end of the canary there is an exact
binomial test. Over all boards, at each result, the likelihood of the feared share is held against
that of the tolerated one: however often one looks, their ratio reaches 1/a with a probability of
at most a where no more than the tolerated share is bad.

Sources: Wald, Sequential tests of statistical hypotheses (1945); Ville, Étude critique de la
notion de collectif (1939).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeq.significance.student import two_sided

_FEWEST = 3


class StopRule(NamedTuple):
    """How many bad boards stop a roll-out; shares are of boards, each bad by itself."""

    canary: int
    """boards that are looked at first"""
    tolerated: float = 0.02
    """bad for reasons of their own"""
    feared: float = 0.10
    """bad because of what is rolled out"""
    false_stops: float = 0.01
    """the largest chance of a stop where no more than the tolerated share is bad"""

    def stops(self, bad: int, boards: int) -> bool:
        """Whether so many bad ones among the boards so far stop it."""
        if boards == self.canary and bad >= self.fewest_in_canary:
            return True
        return bad >= self.fewest(boards)

    def fewest(self, boards: int) -> int:
        """The fewest bad boards among so many that stop it, but for the canary's own look."""
        good = math.log((1 - self.tolerated) / (1 - self.feared))
        each = math.log(self.feared / self.tolerated) + good
        return math.ceil((math.log(2 / self.false_stops) + boards * good) / each - 1e-12)

    @property
    def fewest_in_canary(self) -> int:
        """The fewest bad boards that stop it at the end of the canary; more than it has: never."""
        level, tail = self.false_stops / 2, 0.0
        for bad in range(self.canary, -1, -1):
            tail += _binomial(bad, self.canary, self.tolerated)
            if tail > level:
                return bad + 1
        return 0

    def chances(self, share: float, boards: int) -> NDArray[np.float64]:
        """The probability that it has stopped by each number of boards, from 0: (boards + 1,).

        Exact where a share of them is bad: board by board, the distribution of the bad ones among
        those that went on.
        """
        going = np.zeros(boards + 2)
        going[0] = 1.0
        stopped = np.zeros(boards + 1)
        for done in range(1, boards + 1):
            going[1 : done + 1] = going[1 : done + 1] * (1 - share) + going[:done] * share
            going[0] *= 1 - share
            least = self.fewest(done)
            if done == self.canary:
                least = min(least, self.fewest_in_canary)
            stopped[done] = stopped[done - 1] + going[least : done + 1].sum()
            going[least : done + 1] = 0.0
        return stopped


def seen_by(boards: int, share: float) -> float:
    """The probability that a fault which hits a share of boards hits one of so many at least."""
    return 1.0 - (1.0 - share) ** boards


def slower_on_all(losses: Sequence[float], tolerated: float, level: float) -> bool:
    """Whether boards are slower on average than tolerated: Student's one-sided test of the mean.

    `losses` are log ratios of a board's new time to its old one, a figure a board; `level` is the
    largest chance to say so where they are just as slow as tolerated. Two boards tell nothing.
    """
    count = len(losses)
    if count < _FEWEST:
        return False
    values = np.asarray(losses, np.float64)
    above, spread = float(values.mean()) - math.log1p(tolerated), float(values.std(ddof=1))
    if spread == 0.0:
        return above > 0.0
    t = above / (spread / math.sqrt(count))
    return t > 0.0 and two_sided(t, count - 1) / 2 <= level


def _binomial(successes: int, trials: int, share: float) -> float:
    return float(
        math.comb(trials, successes) * share**successes * (1 - share) ** (trials - successes)
    )
