"""Partial quantization: the fewest layers in float, those first that win most for their cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from edgeq.graph.layers import layers
from edgeq.records.trial import Trial, slowed
from edgeq.spec.recipe import Recipe
from edgeq.tuning.changes import left_float, left_words, with_head
from edgeq.tuning.float_costs import FEW_CHANNELS, by_worth, float_costs, of_few_channels
from edgeq.tuning.search import OutOfTimeError, Search
from edgeq.tuning.sensitivity import Options, rank, spread
from edgeq.tuning.taking import refused, take_if_better

Tried = tuple[Recipe, Trial]
Change = Callable[[Recipe, Sequence[str]], Recipe]
Group = tuple[str, Sequence[str], Change]

LARGEST_SHARE = 0.1
"""Of the layers, that partial quantization may leave in float."""


def partial(search: Search) -> None:
    """The fewest layers in float: those that int8 hardly speeds up, the head, then what wins most.

    The first make room for the others, where latency has a limit.
    """
    search.need_time()
    order = _ranked(search)
    most = max(1, int(LARGEST_SHARE * len(order)))
    prepared = search.trials.prepared
    few = [node for node in of_few_channels(layers(prepared.model)) if node in order]
    feeders = [node for node in order if node in prepared.tail.feeders and node not in few]
    groups: list[Group] = [
        (f"layers of less than {FEW_CHANNELS} channels in float", few, left_float)
    ]
    if search.best.quantize.head == "float-tail":
        groups.append(("head: float-head", feeders, _with_float_head))
    for name, nodes, changed in groups:
        if not 0 < len(nodes) <= most:
            continue
        taken = _is_taken(search, name, nodes, changed)
        if taken and search.is_met():
            return
        if taken or len(nodes) == 1:  # else one of them alone may be worth it
            order = [node for node in order if node not in nodes]
        most -= len(nodes) if taken else 0
    if most > 0:
        _leave_out(search, order, most)


def _is_taken(search: Search, name: str, nodes: Sequence[str], changed: Change) -> bool:
    """Whether some layers at once are worth it; then tuning goes on from there."""
    recipe = changed(search.best, nodes)
    take_if_better(search, recipe, search.run("partial", name, recipe), name)
    if search.best is not recipe:
        return False
    search.reasons += _paid(search, nodes)
    return True


def _with_float_head(recipe: Recipe, nodes: Sequence[str]) -> Recipe:
    return with_head(recipe, "float-head")


def _leave_out(search: Search, order: Sequence[str], most: int) -> None:
    """Leave out 1, 2, 4 ... layers until that is enough, then the fewest that are."""
    start, base = search.best, search.compared
    assert base is not None
    enough = search.loss(base) * _share_allowed(search)
    found: dict[int, Tried] = {}

    def tried(count: int) -> Tried:
        if count not in found:
            recipe = left_float(start, order[:count])
            found[count] = recipe, search.run("partial", left_words(count), recipe)
        return found[count]

    def is_enough(count: int) -> bool:
        return search.loss(tried(count)[1]) <= enough

    def is_too_slow(count: int) -> bool:
        # More layers in float are no faster; what they would win is not to be had.
        return not search.contract.is_fast_enough(tried(count)[1])

    try:
        count = 1
        while not is_enough(count) and not is_too_slow(count) and count < most:
            count = min(2 * count, most)
        low = max((c for c in found if c < count), default=0)
        while count - low > 1 and (is_enough(count) or is_too_slow(count)):
            middle = (low + count) // 2
            if is_enough(middle) or is_too_slow(middle):
                count = middle
            else:
                low = middle
    finally:
        if found:
            # What was tried before the budget was spent counts.
            count = _worth_most(search, found, enough)
            recipe, trial = found[count]
            words = f"{left_words(count)} of {len(order)} ({', '.join(order[:count])})"
            take_if_better(search, recipe, trial, words)
            if search.best is recipe:
                search.reasons += _paid(search, order[:count])


def _worth_most(search: Search, found: Mapping[int, Tried], enough: float) -> int:
    """Of how many layers left out: the fewest that are enough, or else go on while it is worth it.

    Where nothing is worth its cost, what won most, for that to be said.
    """
    base = search.compared
    assert base is not None
    chosen, last = 0, base
    for count in sorted(found):
        trial = found[count][1]
        won = search.trials.gained(last, trial).values()
        why = refused(last, trial, won, search.contract.latency)
        if search.loss(trial) < search.loss(last) and not why:
            chosen, last = count, trial
            if search.loss(trial) <= enough:
                break
    return chosen or min(found, key=lambda count: (search.loss(found[count][1]), count))


def _paid(search: Search, nodes: Sequence[str]) -> list[str]:
    """What layers in float cost on the device."""
    trial = search.compared
    assert trial is not None
    known = [search.costs_ms[node] for node in nodes if node in search.costs_ms]
    profiled = f", {sum(known):.3g} ms as last profiled on the device" if known else ""
    latencies = search.trials.latencies
    why = f" ({latencies.unmeasured})" if latencies and latencies.unmeasured else ""
    return [f"What they cost in float: {slowed(trial)}{why}{profiled}."]


def _ranked(search: Search) -> list[str]:
    """The layers, first those that win most for what they cost in float.

    What one wins is how much of the outputs' error it makes alone: AP on a few dozen images is no
    judge of one layer; here agreement judges how many are left out.
    """
    prepared = search.trials.altered(search.best)
    left_s = search.deadline - time.monotonic()
    options = Options(top=0, budget_s=left_s)
    found = rank(prepared, spread(prepared.calibration), None, options, search.trials.progress)
    if not found.complete:
        raise OutOfTimeError
    snr_db = {layer.node: layer.alone.snr_db for layer in found.layers}
    known = [layer for layer in layers(prepared.model) if layer.name in snr_db]
    return by_worth(snr_db, float_costs(known, search.costs_ms))


def _share_allowed(search: Search) -> float:
    """Which share of the yardstick's loss may stay, so that the contract should be met.

    Where choices are made on other images or labels than the contract is judged on, what is lost
    there is taken to shrink as it does here.
    """
    return 1 / max(search.decided().share, 1e-9)
