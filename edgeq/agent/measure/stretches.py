"""The timed part in stretches: those that something disturbed are left out, and replaced."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Sequence

from .stability import disturbances, drift

if TYPE_CHECKING:
    from ..system.environment import Environment

STRETCH_S = 0.5
FEWEST = 3
"""Samples of a stretch, whatever time they take."""
PATIENCE = 3.0
"""It waits for so many times the shortest duration before it gives up ..."""
HOPELESS = 0.25
"""... where less than this share of the time was calm."""


class Extent(NamedTuple):
    """How long to measure: `aim_count` samples, where `max_duration_s` allows them.

    Fewer than `min_count` calm ones, or less than `min_duration_s`, are not enough for any figure.
    Reasons of the kinds that are `accepted` disturb nothing: they are what is to be measured.
    """

    threads: int
    min_duration_s: float
    max_duration_s: float
    min_count: int
    aim_count: int
    accepted: tuple[str, ...] = ()


class Stretch(NamedTuple):
    """Samples taken one after the other, and what disturbed them."""

    samples: list[Any]
    start_ns: int
    end_ns: int
    reasons: list[str]


class Timed(NamedTuple):
    """The stretches whose samples count: the calm ones, or all where too few were calm.

    `unstable` says then why; else `left_out` are those that do not count.
    """

    counted: list[Stretch]
    left_out: list[Stretch]
    unstable: list[str]

    @property
    def samples(self) -> list[Any]:
        """What was taken in them, in its order."""
        return [sample for stretch in self.counted for sample in stretch.samples]

    @property
    def duration_ns(self) -> int:
        """How long they took."""
        return _duration_ns(self.counted)

    def covers(self, at_ns: int) -> bool:
        """Whether that moment lies in one of them."""
        return any(stretch.start_ns <= at_ns <= stretch.end_ns for stretch in self.counted)

    def fields(self) -> dict[str, Any]:
        """What was left out, as JSON: how much, and how many stretches for each kind of reason."""
        kinds = [kind for stretch in self.left_out for kind in _kinds(stretch)]
        return {
            "stretches": len(self.left_out),
            "samples": sum(len(stretch.samples) for stretch in self.left_out),
            "duration_ns": _duration_ns(self.left_out),
            "reasons": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
        }


def timed(
    take: Callable[[int], Any],
    inference_ns: Callable[[Any], int],
    look: Callable[[], Environment],
    extent: Extent,
    progress: Callable[[int], None],
) -> Timed:
    """Take samples, numbered from 0, until enough of them are calm or the time is up."""
    found: list[Stretch] = []
    start_s = time.monotonic()
    deadline_s = start_s + extent.max_duration_s
    warm = before = look()
    while True:
        samples: list[Any] = []
        begin_ns = time.perf_counter_ns()
        first = sum(len(stretch.samples) for stretch in found)
        length_s = min(STRETCH_S, extent.min_duration_s)
        until_s, fewest = time.monotonic() + length_s, min(FEWEST, extent.min_count)
        while True:
            samples.append(take(first + len(samples)))
            now_s = time.monotonic()
            if now_s >= deadline_s or (now_s >= until_s and len(samples) >= fewest):
                break
        end_ns, after = time.perf_counter_ns(), look()
        reasons = [
            reason
            for reason in disturbances(warm, before, after, extent.threads)
            if reason.split(":")[0] not in extent.accepted
        ]
        found.append(Stretch(samples, begin_ns, end_ns, reasons))
        before = after

        calm = [stretch for stretch in found if not stretch.reasons]
        count = sum(len(stretch.samples) for stretch in calm)
        progress(count)
        elapsed_s = time.monotonic() - start_s
        calm_s = elapsed_s - (_duration_ns(found) - _duration_ns(calm)) / 1e9
        enough = calm_s >= extent.min_duration_s and count >= extent.min_count
        hopeless = calm_s < HOPELESS * elapsed_s
        over = now_s >= deadline_s or (hopeless and elapsed_s >= PATIENCE * extent.min_duration_s)
        if not over and not (enough and count >= extent.aim_count):
            continue
        drifted = drift([inference_ns(s) for stretch in calm for s in stretch.samples])
        if enough and not drifted:
            return _calm(found)
        if over:
            return Timed(found, [], _why(found))
        # What came first was another state of the device; it may have settled since.
        early = {id(stretch) for stretch in calm[: max(1, len(calm) // 3)]}
        found = [
            stretch._replace(reasons=drifted) if id(stretch) in early else stretch
            for stretch in found
        ]


def _calm(found: Sequence[Stretch]) -> Timed:
    calm = [stretch for stretch in found if not stretch.reasons]
    return Timed(calm, [stretch for stretch in found if stretch.reasons], [])


def _why(found: Sequence[Stretch]) -> list[str]:
    """Every kind of reason once, as it was first said, with how often it was."""
    kinds = [kind for stretch in found for kind in _kinds(stretch)]
    said: dict[str, str] = {}
    for stretch in found:
        for reason in stretch.reasons:
            said.setdefault(reason.split(":")[0], reason)
    return [
        f"{reason} (in {kinds.count(kind)} of {len(found)} stretches)"
        for kind, reason in said.items()
    ]


def _kinds(stretch: Stretch) -> list[str]:
    return list(dict.fromkeys(reason.split(":")[0] for reason in stretch.reasons))


def _duration_ns(stretches: Sequence[Stretch]) -> int:
    return sum(stretch.end_ns - stretch.start_ns for stretch in stretches)
