"""What a plan takes on the target beside the one that tuning began with, in turns with that."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from functools import cached_property

from edgeq import cache
from edgeq.artifact.folder import Artifact
from edgeq.cost.turns import COSTS, change, in_wrong_mode
from edgeq.device.connection import Address, connect
from edgeq.errors import DeviceError, InputError
from edgeq.progress import Progress
from edgeq.quantization.plan import Plan
from edgeq.records.trial import LatencyRatio
from edgeq.records.turns import Turns
from edgeq.spec.recipe import Compare
from edgeq.stages.bench import shown_images, threads
from edgeq.stages.build import Build
from edgeq.stages.fitness import check_device
from edgeq.stages.prepare import Prepared
from edgeq.stages.turns import take_turns

CACHE = cache.Cache("latencies")
LONGEST_S = 12.0
"""For one trial: several are measured, and each only has to be held against a budget."""
SHORTEST_S = 3.0
SHARE = 0.02
"""Of the time that is left, which one measurement may take where that is short."""
CONFIDENCE = 0.95
SEED = 20040
SAME = LatencyRatio(estimate=1.0, low=1.0, high=1.0)

Shape = tuple[frozenset[tuple[str, bool]], frozenset[str], frozenset[tuple[str, int | None]]]


class Latencies:
    """Measures on the target what plans take; plans that quantize the same nodes once.

    `unmeasured` says why nothing is measured any more, if so. All is beside the first plan that was
    asked for.
    """

    def __init__(
        self, prepared: Prepared, address: Address, deadline: float, progress: Progress
    ) -> None:
        self._prepared, self._address = prepared, address
        self._deadline, self._progress = deadline, progress
        self._first: Artifact | None = None
        self._known: dict[Shape, LatencyRatio] = {}
        is_named = prepared.target.transport == "local" or address.host is not None
        self.unmeasured = "" if is_named else "no board is named (--host)"

    def of(self, built: Build) -> LatencyRatio | None:
        """The ratio of what was built to the first; None where it cannot be measured."""
        shape = _shape(built.plan)
        if self._first is None:
            self._first = built.artifact
            self._known[shape] = SAME
        if shape not in self._known and not self.unmeasured:
            found = self._remembered(self._first, built.artifact)
            if found is not None:
                self._known[shape] = found
        return self._known.get(shape)

    def _remembered(self, first: Artifact, other: Artifact) -> LatencyRatio | None:
        measure, target = self._prepared.recipe.measure, self._prepared.target
        try:
            key = cache.key(
                {
                    "sides": [first.id, other.id],
                    # Behind another jump host the same name is another board.
                    "where": [self._address.host or platform.node(), self._address.jump],
                    "machine": self._machine,
                    "threads": [measure.threads, target.threads],
                    "power_mode": measure.power_mode,
                }
            )
            known = CACHE.read(key)
            if known is not None:
                return LatencyRatio.model_validate_json(known)
            found = self._measured((first, other))
        except (DeviceError, InputError) as exc:
            # What was found by then is worth more than what one more figure would tell.
            self.unmeasured = str(exc)
            return None
        if found is not None:
            CACHE.write(key, found.model_dump_json().encode())
        return found

    @cached_property
    def _machine(self) -> list[object]:
        """What its times depend on beside its name: a board may get another system overnight."""
        with connect(self._prepared.target, self._address) as device:
            probe = device.probe()
        return [probe.arch, probe.board, probe.cpu.model_dump(), probe.packages]

    def _measured(self, sides: tuple[Artifact, Artifact]) -> LatencyRatio | None:
        recipe, target = self._prepared.recipe, self._prepared.target
        # A session for each: the board belongs to others while this machine works.
        with connect(target, self._address) as device:
            device.lock("tune", wait_s=60.0)
            probe = check_device(target, device)
            if probe.emulated.emulated:
                self.unmeasured = "the board is emulated: its times say nothing"
                return None
            releases = tuple(device.push(side, self._progress) for side in sides)
            loads = take_turns(
                device,
                (releases[0], releases[1]),
                shown_images(None, self._prepared.calibration),
                self.options(),
                (threads(recipe.measure, target, probe), recipe.measure.power_mode),
                SEED,
                self._progress,
            )
        wrong = in_wrong_mode(loads)
        if wrong:
            self.unmeasured = wrong["inference"]
            return None
        return ratio(loads)

    def options(self) -> Compare:
        """As the recipe compares, but no longer than it takes to hold a trial against a budget."""
        said = self._prepared.recipe.compare
        left_s = max(SHORTEST_S, SHARE * (self._deadline - time.monotonic()))
        return said.model_copy(update={"duration_s": min(said.duration_s, LONGEST_S, left_s)})


def ratio(loads: Sequence[Turns]) -> LatencyRatio:
    """The second side's inference in units of the first side's, each load one observation."""
    found = change(loads, COSTS["inference"].figures, CONFIDENCE)
    assert found is not None  # every load has inferences
    return LatencyRatio(
        estimate=1 + found.mean,
        low=1 + found.low,
        high=1 + found.high,
        confidence=CONFIDENCE,
        pairs=sum(len(load.sides[0].inference_ns) for load in loads),
    )


def _shape(plan: Plan) -> Shape:
    """What a plan's graph is like: calibrators and repairs change the numbers in it alone.

    An engine may have other kernels for weights with one scale than for those with many.
    """
    nodes = frozenset((name, one.quantized) for name, one in plan.decisions.items())
    axes = frozenset((name, one.axis) for name, one in plan.weights.items())
    return nodes, frozenset(plan.tensors), axes
