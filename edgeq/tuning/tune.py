"""Accuracy recovery in stages, after Wu et al. 2020 (arXiv 2004.09602), section 6.

Weights alone, calibrators, repairs, partial quantization, AdaRound: until the contract is met. What
is learned in training (quantization-aware training) would come behind these.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeq import checking, document, places
from edgeq.building import Prepared
from edgeq.calibration.images import shared
from edgeq.checking import Evaluation
from edgeq.device.connection import HERE, Address, host
from edgeq.errors import InputError
from edgeq.evaluation import score
from edgeq.graph.layers import layers
from edgeq.measurement import Record, Trial
from edgeq.progress import Progress, silent
from edgeq.recipe import AdaRound, Recipe
from edgeq.repair.equalization import equalized
from edgeq.repair.pairs import find_pairs
from edgeq.report.speedup import float_costs_ms
from edgeq.store import open_store
from edgeq.target import Target
from edgeq.tuning import rewrite, yardstick
from edgeq.tuning.changes import (
    calibrators,
    left_float,
    left_words,
    lost,
    repaired,
    with_head,
    with_weights,
)
from edgeq.tuning.contract import Contract, Limit
from edgeq.tuning.sensitivity import Options, rank, spread
from edgeq.tuning.trials import Trials
from edgeq.tuning.yardstick import Yardstick
from edgeq.version import version

ALLOWED = Limit(0.003)
_LEAST_LIMIT = 1e-4
"""For comparing, where nothing at all may be lost."""
_SPENT = "the budget is spent"
LARGEST_SHARE = 0.1
"""Of the layers, that partial quantization may leave in float."""


class Tuning(Record):
    """What tuning came to; `reasons` are the comments of the tuned recipe."""

    recipe: str
    target: str
    compared_on: str
    judged_on: str
    float_mask_ap: float | None
    float_box_ap: float | None
    largest_mask_drop: float
    largest_box_drop: float
    trials: tuple[Trial, ...]
    best: Trial
    met: bool
    resolved: bool
    ended: str
    reasons: tuple[str, ...]
    needed: tuple[str, ...]
    output: str

    @property
    def exit_code(self) -> int:
        """0 if the contract is met, otherwise 1."""
        return 0 if self.met else 1


@dataclass(frozen=True)
class Wanted:
    """How much AP may be lost, whether AdaRound may be tried, and how long all may take."""

    mask: Limit = ALLOWED
    box: Limit = ALLOWED
    adaround: bool = False
    budget_s: float | None = 1800.0


class _OutOfTimeError(Exception):
    """The budget does not reach for another trial."""


@dataclass
class _Search:
    """The best recipe so far, and how it was found."""

    trials: Trials
    contract: Contract
    deadline: float
    best: Recipe
    costs_ms: Mapping[str, float]
    """what a layer costs in float on the device, where one was profiled"""
    reasons: list[str] = field(default_factory=list)
    compared: Trial | None = None
    final: Trial | None = None

    def run(self, stage: str, name: str, recipe: Recipe) -> Trial:
        """A trial on the yardstick, if there is time."""
        self.need_time()
        return self.trials.run(stage, name, recipe)

    def need_time(self) -> None:
        """Raise when the budget is spent, or would be before a trial like the longest ends."""
        longest = max((trial.seconds for trial in self.trials.done), default=0.0)
        if time.monotonic() + longest > self.deadline:
            raise _OutOfTimeError

    def loss(self, trial: Trial) -> float:
        """What trials are ordered by: the worse of mask and box drop, in units of its limit."""
        drops = (trial.mask_ap_drop, self.contract.mask), (trial.box_ap_drop, self.contract.box)
        ratios = [drop.estimate / max(limit, _LEAST_LIMIT) for drop, limit in drops if drop]
        return max(ratios, default=0.0)

    def take(self, recipe: Recipe, trial: Trial, reason: str) -> None:
        """Go on from this recipe."""
        self.best, self.compared, self.final = recipe, trial, None
        self.reasons.append(reason)

    def is_met(self) -> bool:
        """Whether the best so far meets the contract, on the evaluation images if there are any."""
        assert self.compared is not None
        judged = self.compared
        if self.trials.final is not None:
            if self.final is None:
                self.final = self.trials.run("final", self.compared.name, self.best, final=True)
            judged = self.final
        return self.contract.is_met(judged.mask_ap_drop, judged.box_ap_drop)


def tune(
    recipe: Path,
    target: str | Target,
    output: Path,
    wanted: Wanted | None = None,
    store: str | None = None,
    progress: Progress = silent,
    address: Address = HERE,
) -> Tuning:
    """Find a recipe that meets the contract, stage by stage, and write it to `output`.

    Choices are made on the recipe's `tune` images, or on the calibration images with what the float
    model finds there; the evaluation images only say whether to go on. Trials that were made before
    are taken from the cache. Raises InputError(s) before any work.
    """
    wanted = wanted or Wanted()
    budget_s = math.inf if wanted.budget_s is None else wanted.budget_s
    deadline = time.monotonic() + budget_s
    rewrite.check_output(recipe, output)
    text = rewrite.read(recipe)
    prepared = checking.prepared_for_build(recipe, target, address)
    rewrite.check_text(text, recipe, prepared.recipe)
    compared = _named(prepared.recipe, recipe)
    evaluation = checking.evaluation_of(prepared.recipe)
    shelf = open_store(store)
    reports = shelf.reports(prepared.model.sha256, prepared.target.name)
    names = [layer.name for layer in layers(prepared.model)]
    profiles = (float_costs_ms(report.columns, names) for report in reports)
    costs_ms = next((found for found in profiles if found), {})
    with host() as here:
        if compared is None:
            scale = yardstick.self_labelled(here, prepared, prepared.calibration, progress)
        else:
            scale = yardstick.annotated(here, prepared, compared, progress)
        final = yardstick.annotated(here, prepared, evaluation, progress) if evaluation else None
        contract = _contract(final or scale, wanted)
        trials = Trials(here, prepared, scale, final, progress, shelf.add_trial)
        search = _Search(trials, contract, deadline, prepared.recipe, costs_ms)
        ended = _searched(search, wanted.adaround)
    return _concluded(search, prepared, text, recipe, output, ended, contract)


def _named(recipe: Recipe, file: Path) -> Evaluation | None:
    """The recipe's annotated images for tuning; InputError where evaluation has the same ones."""
    if recipe.tune is None:
        return None
    found = checking.annotated(recipe.tune, recipe.task)
    evaluation = checking.evaluation_of(recipe)
    pairs = shared(found.files.values(), evaluation.files.values() if evaluation else ())
    if pairs:
        where = document.read(file).at(("tune", "images"))
        what = f"tune: {len(pairs)} images are evaluated on, too, such as {pairs[0][0].path.name}"
        raise InputError(where, what, "split them: what is tuned on says nothing new")
    return found


def _contract(judged: Yardstick, wanted: Wanted) -> Contract:
    accuracy = score.accuracy(judged.reference)
    return Contract.of(wanted.mask, wanted.box, accuracy.mask.ap or 0.0, accuracy.box.ap or 0.0)


def _searched(search: _Search, adaround: bool) -> str:
    """Run stage after stage on the search; why it ended, in words."""
    stages: list[tuple[str, Callable[[_Search], None]]] = [
        ("the recipe as it was", _as_it_was),
        ("weights", _weights),
        ("calibrators", _calibrators),
        ("repairs", _repairs),
        ("partial quantization", _partial),
    ]
    if adaround:
        stages.append(("AdaRound", _adaround))
    try:
        for name, stage in stages:
            stage(search)
            if search.is_met():
                return f"contract met: {name}"
    except _OutOfTimeError:
        # What was found meets the contract or does not on the same images as ever.
        if search.compared is not None and search.is_met():
            return "contract met when the budget was spent"
        return _SPENT
    return "all stages are done"


def _as_it_was(search: _Search) -> None:
    trial = search.run("start", "as the recipe has it", search.best)
    search.take(search.best, trial, f"As it was: {lost(trial)}.")


def _weights(search: _Search) -> None:
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


def _calibrators(search: _Search) -> None:
    """Every calibrator for the activations, in every scheme that the target has."""
    found: list[tuple[Recipe, Trial]] = []
    try:
        for name, recipe in calibrators(search.best, search.trials.prepared.placement):
            found.append((recipe, search.run("calibrator", name, recipe)))
    finally:
        # What was tried before the budget was spent counts.
        if found:
            _take_best(search, found)


def _take_best(search: _Search, found: Sequence[tuple[Recipe, Trial]]) -> None:
    recipe, trial = min(found, key=lambda pair: search.loss(pair[1]))
    alike = [t.name for _, t in found if t is not trial and _is_alike(trial, t)]
    words = f"; not told apart from it: {'; '.join(alike)}" if alike else ""
    reason = f"Of {len(found)} ways to calibrate: {trial.name}: {lost(trial)}{words}."
    if search.compared is None or search.loss(trial) < search.loss(search.compared):
        search.take(recipe, trial, reason)
    else:
        search.reasons.append(f"{reason} No better than {lost(search.compared)}: not used.")


def _repairs(search: _Search) -> None:
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


def _adaround(search: _Search) -> None:
    if search.best.repair.adaround is not None:
        search.reasons.append("AdaRound: stays, the recipe has it.")
        return
    recipe = repaired(search.best, adaround=AdaRound())
    _take_if_better(search, recipe, search.run("adaround", "AdaRound", recipe), "AdaRound")


def _take_if_better(search: _Search, recipe: Recipe, trial: Trial, name: str) -> None:
    assert search.compared is not None
    if search.loss(trial) < search.loss(search.compared):
        search.take(recipe, trial, f"{name}: {lost(trial)}, instead of {lost(search.compared)}.")
    else:
        text = f"{name}: {lost(trial)}, no better than {lost(search.compared)}: not used."
        search.reasons.append(text)


def _partial(search: _Search) -> None:
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


def _leave_out(search: _Search, order: Sequence[str], most: int) -> None:
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


def _paid(search: _Search, nodes: Sequence[str]) -> list[str]:
    """What layers in float cost on the device."""
    known = [search.costs_ms[node] for node in nodes if node in search.costs_ms]
    if not known:
        return ["What they cost in time is not known: no device was profiled with this model."]
    return [f"In float they cost {sum(known):.3g} ms on the device, as last profiled there."]


def _ranked(search: _Search) -> list[str]:
    """The layers, the most sensitive first, by the error of the outputs.

    AP on a few dozen images is no judge of one layer; here it judges how many are left out.
    """
    prepared = search.trials.altered(search.best)
    left_s = search.deadline - time.monotonic()
    options = Options(top=0, budget_s=left_s)
    found = rank(prepared, spread(prepared.calibration), None, options, search.trials.progress)
    if not found.complete:
        raise _OutOfTimeError
    return [layer.node for layer in found.layers]


def _share_allowed(search: _Search) -> float:
    """Which share of the yardstick's loss may stay, so that the contract should be met.

    Where choices are made on other images or labels than the contract is judged on, a drop there
    is taken to shrink as one here does.
    """
    judged = search.final or search.compared
    assert judged is not None
    return 1 / max(search.loss(judged), 1e-9)


def _is_alike(best: Trial, other: Trial) -> bool:
    """Whether another trial's drops lie within the intervals of the best one's."""
    pairs = (best.mask_ap_drop, other.mask_ap_drop), (best.box_ap_drop, other.box_ap_drop)
    return all(a.low <= b.estimate <= a.high for a, b in pairs if a and b)


def _concluded(
    search: _Search,
    prepared: Prepared,
    text: str,
    recipe: Path,
    output: Path,
    ended: str,
    contract: Contract,
) -> Tuning:
    """Write the tuned recipe with its reasons, and say what came of it."""
    if search.compared is None:
        what = "the budget did not reach for one trial"
        raise InputError("--budget", what, "give it more; what was done is kept")
    judged = search.final or search.compared
    met = contract.is_met(judged.mask_ap_drop, judged.box_ap_drop)
    resolved = contract.is_resolved(judged.mask_ap_drop, judged.box_ap_drop)
    allowed = f"mask AP -{contract.mask:.4f}, box AP -{contract.box:.4f}"
    verdict = "meets" if met else "MISSES"
    known = "" if resolved else "; the intervals reach beyond it, so more images may say otherwise"
    head = [
        f"Tuned for {prepared.target.name} by edgeq {version()} from {recipe.name}.",
        f"It {verdict} the contract ({allowed}) on {_judged_on(search)}{known}.",
        f"Compared on {search.trials.yardstick.source}.",
    ]
    reasons = (*head, *search.reasons, f"Ended: {ended}.")
    tuned = rewrite.rewritten(text, search.best, reasons)
    rewrite.check_same(tuned, recipe, search.best)
    places.write_whole(output, tuned.encode())
    reference = score.accuracy((search.trials.final or search.trials.yardstick).reference)
    return Tuning(
        recipe=str(recipe),
        target=prepared.target.name,
        compared_on=search.trials.yardstick.source,
        judged_on=_judged_on(search),
        float_mask_ap=reference.mask.ap,
        float_box_ap=reference.box.ap,
        largest_mask_drop=contract.mask,
        largest_box_drop=contract.box,
        trials=tuple(search.trials.done),
        best=judged,
        met=met,
        resolved=resolved,
        ended=ended,
        reasons=reasons,
        needed=() if met else tuple(_needed(search, judged, contract, ended)),
        output=str(output),
    )


def _judged_on(search: _Search) -> str:
    final = search.trials.final
    return search.trials.yardstick.source if final is None or search.final is None else final.source


def _needed(search: _Search, judged: Trial, contract: Contract, ended: str) -> Iterator[str]:
    """What it would take to meet the contract."""
    kinds = ("mask", judged.mask_ap_drop, contract.mask), ("box", judged.box_ap_drop, contract.box)
    for kind, drop, limit in kinds:
        if drop is not None and drop.estimate > limit:
            more = drop.estimate - limit
            yield f"{kind} AP {more:.4f} higher: {drop.estimate:.4f} is lost, {limit:.4f} allowed"
    if ended == _SPENT:
        yield "more time (--budget): not all stages were tried, and what was is kept"
    yield "more layers in float than one in ten ('exclude:'), at the cost of speed"
    is_tried = any(trial.stage == "adaround" for trial in search.trials.done)
    if not is_tried and search.best.repair.adaround is None:
        yield "AdaRound (--adaround), which takes minutes and costs nothing on the device"
    yield "training with quantization (Wu et al. 2020, section 6), which edgeq does not do yet"
