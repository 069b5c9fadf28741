"""The judgement whether a measurement can be trusted, and when a warm-up may end."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple, Sequence

import numpy as np

if TYPE_CHECKING:
    from ..system.environment import Environment
    from ..system.jetson import PowerMode

STEADY_WITHIN = 0.03
MAX_DRIFT = 0.10
MAX_SPREAD = 0.5
SPARE_CORES = 0.25
MIN_FREQUENCY_RATIO = 0.85
MAX_TEMPERATURE_C = 95.0

_WINDOW_NS = 250_000_000
_MIN_WINDOW = 3
_MAX_WINDOW = 50


class Conditions(NamedTuple):
    """How a measurement was run: what was asked for, and whether warm-up and count were reached."""

    threads: int
    steady: bool
    max_warmup_s: float
    min_count: int
    max_duration_s: float


def steady(samples_ns: Sequence[int]) -> bool:
    """Whether the medians of the last two windows of samples lie within 3% of each other.

    A window is a quarter of a second, but at least 3 and at most 50 samples.
    """
    if not samples_ns:
        return False
    typical_ns = max(1, int(median(samples_ns[-_MAX_WINDOW:])))
    window = min(max(_WINDOW_NS // typical_ns, _MIN_WINDOW), _MAX_WINDOW)
    if len(samples_ns) < 2 * window:
        return False
    earlier = median(samples_ns[-2 * window : -window])
    later = median(samples_ns[-window:])
    return abs(later - earlier) <= STEADY_WITHIN * earlier


def instability(inference_ns: Sequence[int], conditions: Conditions) -> list[str]:
    """The reasons, with figures, why samples cannot be trusted; empty when they can."""
    reasons = _incomplete(inference_ns, conditions) + drift(inference_ns)
    return reasons + (_spread(inference_ns) if len(inference_ns) >= 3 else [])


def disturbances(
    warm: Environment, before: Environment, after: Environment, threads: int
) -> list[str]:
    """The reasons, with figures, why what ran between two looks was not left alone.

    Clocks are held against those at the end of the warm-up: one that fell before may stay so.
    """
    alike = list(dict.fromkeys(_slowed(warm, before) + _slowed(warm, after)))
    return (
        _contention(before, after, threads) + _stolen(before, after) + alike + _hot(before, after)
    )


def slowed(before: Environment, after: Environment) -> list[str]:
    """The reasons why a device was not what it can be: clocks that fell, heat, throttling."""
    return _slowed(before, after) + _hot(before, after)


def mode_reasons(
    wanted: str | None,
    before: PowerMode | None,
    after: PowerMode | None,
    known: Sequence[PowerMode],
) -> list[str]:
    """Why the power mode makes a measurement unstable: another than wanted, or changed meanwhile.

    `known` are the modes that the board has; without a wanted one any will do.
    """
    if before is not None and after is not None and before.id != after.id:
        return [f"power mode: went from '{before.text}' to '{after.text}' during the measurement"]
    if wanted is None or (before is not None and before.name.lower() == wanted.lower()):
        return []
    is_in = f"the board is in '{before.text}'" if before else "the board's is not readable"
    ids = [str(mode.id) for mode in known if mode.name.lower() == wanted.lower()]
    where = "" if ids else ", with the ID that /etc/nvpmodel.conf gives it"
    if known and not ids:
        names = ", ".join(f"{mode.name} ({mode.id})" for mode in known)
        where = f"; it has {names}"
    return [
        f"power mode: {is_in}, the recipe asks for '{wanted}'; "
        f"set it with `sudo nvpmodel -m {ids[0] if ids else 'ID'}`{where}"
    ]


def other_cores(before: Environment, after: Environment) -> float | None:
    """How many cores everything but this process used on average; None when that is not known."""
    wall_s = (after.monotonic_ns - before.monotonic_ns) / 1e9
    if before.cpu_time is None or after.cpu_time is None or wall_s <= 0:
        return None
    busy_s = after.cpu_time.busy_s - before.cpu_time.busy_s
    own_s = after.cpu_time.own_s - before.cpu_time.own_s
    return max(0.0, (busy_s - own_s) / wall_s)


def _incomplete(inference_ns: Sequence[int], conditions: Conditions) -> list[str]:
    reasons = []
    if not conditions.steady:
        reasons.append(
            f"warm-up: not steady within {conditions.max_warmup_s:g} s "
            f"(medians of two windows further than {STEADY_WITHIN:.0%} apart)"
        )
    if len(inference_ns) < conditions.min_count:
        reasons.append(
            f"count: {len(inference_ns)} runs within {conditions.max_duration_s:g} s, "
            f"{conditions.min_count} were asked for"
        )
    return reasons


def drift(inference_ns: Sequence[int]) -> list[str]:
    """Why there is no one figure for them: the last third is another than the first.

    By its median, and by more than the samples vary on the way: of nine parts, the medians of the
    last three all lie on one side of those of the first three.
    """
    size = len(inference_ns) // 3
    if not size:
        return []
    first, last = median(inference_ns[:size]), median(inference_ns[-size:])
    if abs(last - first) <= MAX_DRIFT * first:
        return []
    parts = [median(part) for part in np.array_split(np.array(inference_ns), 9) if len(part)]
    few = len(parts) // 3
    early, late = parts[:few], parts[-few:]
    if min(late) <= max(early) and min(early) <= max(late):
        return []
    return [
        f"drift: median inference went from {first / 1e6:.2f} ms in the first third "
        f"to {last / 1e6:.2f} ms in the last ({last / first - 1:+.0%}, limit {MAX_DRIFT:.0%})"
    ]


def _spread(inference_ns: Sequence[int]) -> list[str]:
    p50, p90 = (float(p) for p in np.percentile(inference_ns, [50, 90]))
    if p90 - p50 <= MAX_SPREAD * p50:
        return []
    return [
        f"spread: p50 {p50 / 1e6:.2f} ms but p90 {p90 / 1e6:.2f} ms "
        f"({p90 / p50 - 1:+.0%}, limit {MAX_SPREAD:+.0%})"
    ]


def _contention(before: Environment, after: Environment, threads: int) -> list[str]:
    others = other_cores(before, after)
    limit = max(0, after.cores - threads) + SPARE_CORES
    if others is None or others <= limit:
        return []
    return [
        f"contention: other processes used {others:.2f} cores on average; "
        f"with {threads} threads on {after.cores} cores at most {limit:.2f} are free for them"
    ]


def _stolen(before: Environment, after: Environment) -> list[str]:
    """Time that the host of a virtual machine gave to others is lost on any core."""
    wall_s = (after.monotonic_ns - before.monotonic_ns) / 1e9
    if before.cpu_time is None or after.cpu_time is None or wall_s <= 0:
        return []
    cores = (after.cpu_time.stolen_s - before.cpu_time.stolen_s) / wall_s
    if cores <= SPARE_CORES:
        return []
    return [
        f"stolen: the virtual machine's host took {cores:.2f} cores on average "
        f"(limit {SPARE_CORES:.2f})"
    ]


def _slowed(before: Environment, after: Environment) -> list[str]:
    reasons = []
    for cpu, start_khz in before.frequencies_khz.items():
        end_khz = after.frequencies_khz.get(cpu, start_khz)
        if end_khz < MIN_FREQUENCY_RATIO * start_khz:
            reasons.append(
                f"frequency: {cpu} went from {start_khz / 1000:.0f} MHz "
                f"to {end_khz / 1000:.0f} MHz (limit {MIN_FREQUENCY_RATIO:.0%} of the start)"
            )
    return reasons


def _hot(before: Environment, after: Environment) -> list[str]:
    hot = [
        f"temperature: {zone.name} at {zone.temperature_c:.1f} C (limit {MAX_TEMPERATURE_C:g} C)"
        for zone in after.zones
        if zone.temperature_c is not None and zone.temperature_c >= MAX_TEMPERATURE_C
    ]
    throttled = [
        f"throttled: {name} rose from {before.throttle_counts[name]} to {count}"
        for name, count in after.throttle_counts.items()
        if count > before.throttle_counts.get(name, count)
    ]
    return hot + throttled + _alerts(before, after)


def _alerts(before: Environment, after: Environment) -> list[str]:
    """Being throttled all the while is steady, but it is not what the board can do."""
    states: dict[str, int] = {}
    for look in (before, after):
        for name, state in (look.jetson.throttle_states if look.jetson else {}).items():
            states[name] = max(state, states.get(name, 0))
    return [f"throttled: {name} is at {state} (0: not)" for name, state in states.items() if state]
