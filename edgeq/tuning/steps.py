"""The stages of tuning, in their order; each goes on from the best recipe so far."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from edgeq.errors import InputError
from edgeq.records.trial import Trial, lost
from edgeq.repair.equalization import equalized
from edgeq.repair.pairs import find_pairs
from edgeq.spec.recipe import Recipe
from edgeq.spec.repair import AdaRound, Reconstruct
from edgeq.tuning.changes import (
    calibrators,
    left_float,
    left_words,
    repaired,
    with_head,
    with_weights,
)
from edgeq.tuning.search import OutOfTimeError, Search
from edgeq.tuning.sensitivity import Options, rank, spread

SPENT = "the budget is spent"
LARGEST_SHARE = 0.1
"""Of the layers, that partial quantization may leave in float."""


def searched(search: Search, adaround: bool, reconstruct: bool = False) -> str:
    """Run stage after stage on the search; why it ended, in words."""
    stages: list[tuple[str, Callable[[Search], None]]] = [
        ("the recipe as it was", _as_it_was),
        ("weights", _weights),
        ("calibrators", _calibrators),
        ("repairs", _repairs),
        ("partial quantization", _partial),
    ]
    if adaround:
        stages.append(("AdaRound", _adaround))
    if reconstruct:
        stages.append(("reconstruction", _reconstruction))
    try:
        for name, stage in stages:
            stage(search)
            if search.is_met():
                return f"contract met: {name}"
    except OutOfTimeError:
        # What was found meets the contract or does not on the same images as ever.
        if search.compared is not None and search.is_met():
            return "contract met when the budget was spent"
        return SPENT
    return "all stages are done"


def _as_it_was(search: Search) -> None:
    trial = search.run("start", "as the recipe has it", search.best)
    search.take(search.best, trial, f"As it was: {lost(trial)}.")


def _weights(search: Search) -> None:
    """Weights alone: which granularity loses less."""
    found: dict[str, tuple[Recipe, Trial]] = {}
    for granularity in ("per-channel", "per-tensor"):
        search.need_time()
        recipe = with_weights(search.best, granularity=granularity)
        found[granularity] = recipe, search.trials.weights_alone(granularity, recipe)
    better = min(found, key=lambda name: search.loss(found[name][1]))
    words = "; ".join(f"{name} {lost(trial)}" for name, (_, trial) in found.items())
    if search.best.quantize.weights.granularity == better:
        search.reasons.append(f"Weights alone: {words}. {better} stays.")
        return
    recipe = found[better][0]
    trial = search.run("weights", f"{better}, with activations", recipe)
    _take_if_better(search, recipe, trial, f"Weights alone: {words}. So {better}")


def _calibrators(search: Search) -> None:
    """Every calibrator for the activations, in every scheme that the target has."""
    found: list[tuple[Recipe, Trial]] = []
    try:
        for name, recipe in calibrators(search.best, search.trials.prepared.placement):
            found.append((recipe, search.run("calibrator", name, recipe)))
    finally:
        # What was tried before the budget was spent counts.
        if found:
            _take_best(search, found)


def _take_best(search: Search, found: Sequence[tuple[Recipe, Trial]]) -> None:
    recipe, trial = min(found, key=lambda pair: search.loss(pair[1]))
    alike = [t.name for _, t in found if t is not trial and _is_alike(search, trial, t)]
    words = f"; not told apart from it: {'; '.join(alike)}" if alike else ""
    reason = f"Of {len(found)} ways to calibrate: {trial.name}: {lost(trial)}{words}."
    if search.compared is None or search.loss(trial) < search.loss(search.compared):
        change = _change(search, search.compared, trial) if search.compared else ""
        search.take(recipe, trial, f"{reason[:-1]}{change}.")
    else:
        search.reasons.append(f"{reason} No better than {lost(search.compared)}: not used.")


def _repairs(search: Search) -> None:
    """What costs nothing on the device: equalization where there are pairs, bias correction."""
    model = search.trials.prepared.model
    tries = [("bias correction", {"bias_correction": True})]
    if find_pairs(model).found:
        tries.insert(0, ("cross-layer equalization", {"equalize": True}))
    else:
        search.reasons += equalized(model).notes
    for name, keys in tries:
        recipe = repaired(search.best, **keys)
        if recipe == search.best:
            search.reasons.append(f"{name}: stays, the recipe has it.")
        else:
            _take_if_better(search, recipe, search.run("repair", name, recipe), name)


def _adaround(search: Search) -> None:
    if search.best.repair.adaround is not None:
        search.reasons.append("AdaRound: stays, the recipe has it.")
        return
    recipe = repaired(search.best, adaround=AdaRound())
    _take_if_better(search, recipe, search.run("adaround", "AdaRound", recipe), "AdaRound")


def _reconstruction(search: Search) -> None:
    """Blocks trained towards the float model; it has images of its own to be judged by first."""
    if search.best.repair.reconstruct is not None:
        search.reasons.append("Reconstruction: stays, the recipe has it.")
        return
    recipe = repaired(search.best, reconstruct=Reconstruct())
    try:
        trial = search.run("reconstruction", "reconstruction", recipe)
    except InputError as exc:
        # What the stages before found is not lost to a model that cannot be trained.
        search.reasons.append(f"Reconstruction: not possible: {exc}.")
        return
    _take_if_better(search, recipe, trial, "Reconstruction")


def _take_if_better(search: Search, recipe: Recipe, trial: Trial, name: str) -> None:
    assert search.compared is not None
    if search.loss(trial) < search.loss(search.compared):
        change = _change(search, search.compared, trial)
        text = f"{name}: {lost(trial)}, instead of {lost(search.compared)}{change}."
        search.take(recipe, trial, text)
    else:
        text = f"{name}: {lost(trial)}, no better than {lost(search.compared)}: not used."
        search.reasons.append(text)


def _partial(search: Search) -> None:
    """The fewest layers in float: those that feed the head's tail, then the most sensitive."""
    search.need_time()
    order = _ranked(search)
    most = max(1, int(LARGEST_SHARE * len(order)))
    feeders = [node for node in order if node in search.trials.prepared.tail.feeders]
    if 0 < len(feeders) <= most and search.best.quantize.head == "float-tail":
        recipe = with_head(search.best, "float-head")
        trial = search.run("partial", "head: float-head", recipe)
        _take_if_better(search, recipe, trial, "head: float-head")
        if search.best is recipe:
            search.reasons += _paid(search, feeders)
            if search.is_met():
                return
            order, most = [n for n in order if n not in feeders], most - len(feeders)
    if most > 0:
        _leave_out(search, order, most)


def _leave_out(search: Search, order: Sequence[str], most: int) -> None:
    """Leave out 1, 2, 4 ... layers until that is enough, then the fewest that are."""
    start, base = search.best, search.compared
    assert base is not None
    enough = search.loss(base) * _share_allowed(search)
    found: dict[int, tuple[Recipe, Trial]] = {}

    def loss(count: int) -> float:
        if count not in found:
            recipe = left_float(start, order[:count])
            found[count] = recipe, search.run("partial", left_words(count), recipe)
        return search.loss(found[count][1])

    try:
        count = 1
        while loss(count) > enough and count < most:
            count = min(2 * count, most)
        low = max((c for c in found if c < count), default=0)
        while count - low > 1 and loss(count) <= enough:
            middle = (low + count) // 2
            low, count = (low, middle) if loss(middle) <= enough else (middle, count)
    finally:
        if found:
            # What was tried before the budget was spent counts.
            count = min(found, key=lambda c: (max(search.loss(found[c][1]), enough), c))
            recipe, trial = found[count]
            words = f"{left_words(count)} of {len(order)} ({', '.join(order[:count])})"
            _take_if_better(search, recipe, trial, words)
            if search.best is recipe:
                search.reasons += _paid(search, order[:count])


def _paid(search: Search, nodes: Sequence[str]) -> list[str]:
    """What layers in float cost on the device."""
    known = [search.costs_ms[node] for node in nodes if node in search.costs_ms]
    if not known:
        return ["What they cost in time is not known: no device was profiled with this model."]
    return [f"In float they cost {sum(known):.3g} ms on the device, as last profiled there."]


def _ranked(search: Search) -> list[str]:
    """The layers, the most sensitive first, by the error of the outputs.

    AP on a few dozen images is no judge of one layer; here it judges how many are left out.
    """
    prepared = search.trials.altered(search.best)
    left_s = search.deadline - time.monotonic()
    options = Options(top=0, budget_s=left_s)
    found = rank(prepared, spread(prepared.calibration), None, options, search.trials.progress)
    if not found.complete:
        raise OutOfTimeError
    return [layer.node for layer in found.layers]


def _share_allowed(search: Search) -> float:
    """Which share of the yardstick's loss may stay, so that the contract should be met.

    Where choices are made on other images or labels than the contract is judged on, what is lost
    there is taken to shrink as it does here.
    """
    return 1 / max(search.decided().share, 1e-9)


def _change(search: Search, before: Trial, after: Trial) -> str:
    """How much better the one agrees than the other, with intervals, in words."""
    found = search.trials.gained(before, after).items()
    words = [f"{kind} {i.estimate:+.4f} [{i.low:+.4f}, {i.high:+.4f}]" for kind, i in found]
    return f"; agreement, paired: {', '.join(words)}" if words else ""


def _is_alike(search: Search, best: Trial, other: Trial) -> bool:
    """Whether the best agrees no better than another for sure, image by image."""
    found = search.trials.gained(other, best).values()
    return all(i.low <= 0 <= i.high for i in found)
