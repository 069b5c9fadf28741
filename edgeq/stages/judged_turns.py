"""Two releases in turns, judged, and once more where the first time does not settle it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeq.cost.turns import COSTS
from edgeq.device.device import Device
from edgeq.progress import Progress
from edgeq.records.comparison import Compared, MetricName
from edgeq.records.turns import Turns
from edgeq.spec.images import Image
from edgeq.spec.recipe import Compare
from edgeq.stages.compared import cost_differences, judged, settled, unsettled
from edgeq.stages.turns import take_turns

SEED = 20040


@dataclass(frozen=True)
class JudgedTurns:
    """What each release costs beside the other: `metrics` of time, memory and energy."""

    metrics: tuple[Compared, ...]
    loads: tuple[Turns, ...]


def judged_turns(
    device: Device,
    releases: tuple[str, str],
    images: Sequence[Image],
    options: Compare,
    manner: tuple[int, str | None],
    progress: Progress,
) -> JudgedTurns:
    """Have two release folders of a device take turns. Raises DeviceError as `take_turns`."""

    def turns(seed: int) -> list[Turns]:
        return take_turns(device, releases, images, options, manner, seed, progress)

    def verdicts(loads: Sequence[Turns]) -> tuple[Compared, ...]:
        costs = cost_differences(loads, options)
        counts = {one.grows_with: len(loads) for one in costs}
        return judged(costs, counts, in_wrong_mode(loads))

    loads = turns(SEED)
    found = verdicts(loads)
    if unsettled(found, in_wrong_mode(loads)):
        more = turns(SEED + 1)
        loads = [*loads, *more]
        differing = cost_differences(more, options)
        found = settled(found, differing, verdicts(loads), in_wrong_mode(loads))
    return JudgedTurns(found, tuple(loads))


def in_wrong_mode(loads: Sequence[Turns]) -> dict[MetricName, str]:
    """Why what the board takes is not judged: it was in another power mode than asked for."""
    wrong = list(dict.fromkeys(reason for load in loads for reason in load.wrong_mode))
    return {name: "; ".join(wrong) for name in COSTS} if wrong else {}
