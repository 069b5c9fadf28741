"""The stages of tuning, in their order; each goes on from the best recipe so far."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from edgeq.errors import InputError
from edgeq.records.trial import Trial, lost
from edgeq.repair.equalization import equalized
from edgeq.repair.pairs import find_pairs
from edgeq.spec.recipe import Recipe
from edgeq.spec.repair import AdaRound, Reconstruct
from edgeq.stages.build import is_built
from edgeq.tuning.changes import calibrators, reconstructions, repaired, with_weights
from edgeq.tuning.partial import partial
from edgeq.tuning.search import OutOfTimeError, Search
from edgeq.tuning.taking import gained, take_if_better
from edgeq.tuning.training_time import reconstruction_s

SPENT = "the budget is spent"


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
    take_if_better(search, recipe, trial, f"Weights alone: {words}. So {better}")


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
        change = gained(search, search.compared, trial) if search.compared else ""
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
            take_if_better(search, recipe, search.run("repair", name, recipe), name)


def _adaround(search: Search) -> None:
    if search.best.repair.adaround is not None:
        search.reasons.append("AdaRound: stays, the recipe has it.")
        return
    recipe = repaired(search.best, adaround=AdaRound())
    take_if_better(search, recipe, search.run("adaround", "AdaRound", recipe), "AdaRound")


def _reconstruction(search: Search) -> None:
    """Blocks trained towards the float model; it has images of its own to be judged by first."""
    if search.best.repair.reconstruct is not None:
        search.reasons.append("Reconstruction: stays, the recipe has it.")
        return
    for name, recipe in reconstructions(search.best):
        _require_time(search, recipe)
        try:
            trial = search.run("reconstruction", name, recipe)
        except InputError as exc:
            # What the stages before found is not lost to a model that cannot be trained.
            search.reasons.append(f"Reconstruction: not possible: {exc}.")
            return
        take_if_better(search, recipe, trial, name.capitalize())
        if search.best is recipe:
            return


def _require_time(search: Search, recipe: Recipe) -> None:
    """OutOfTimeError, which is said, where the budget does not reach for a training."""
    altered = search.trials.altered(recipe)
    likely_s = 0.0 if is_built(altered) else reconstruction_s(altered, Reconstruct())
    try:
        search.need_time(likely_s)
    except OutOfTimeError:
        text = f"Reconstruction: the budget did not reach: it takes about {likely_s / 60:.1f} min."
        search.reasons.append(text)
        raise


def _is_alike(search: Search, best: Trial, other: Trial) -> bool:
    """Whether the best agrees no better than another for sure, image by image."""
    found = search.trials.gained(other, best).values()
    return all(i.low <= 0 <= i.high for i in found)


@dataclass(frozen=True)
class Stage:
    """One stage: the name of its trials, what it is called, and what it does to a search.

    With an `option` it is tried only where that is asked for.
    """

    name: str
    title: str
    run: Callable[[Search], None]
    option: str = ""

    def is_in(self, recipe: Recipe) -> bool:
        """Whether a recipe has already what the option asks for."""
        return bool(self.option) and getattr(recipe.repair, self.option) is not None


STAGES = (
    Stage("start", "the recipe as it was", _as_it_was),
    Stage("weights", "weights", _weights),
    Stage("calibrator", "calibrators", _calibrators),
    Stage("repair", "repairs", _repairs),
    Stage("partial", "partial quantization", partial),
    Stage("adaround", "AdaRound", _adaround, option="adaround"),
    Stage("reconstruction", "reconstruction", _reconstruction, option="reconstruct"),
)
"""In the order of Wu et al., section 6: what costs nothing on the device first."""


def searched(search: Search, options: Collection[str]) -> str:
    """Run stage after stage on the search, with these options; why it ended, in words."""
    for stage in STAGES:
        if stage.option and stage.option not in options:
            continue
        with search.stage(stage.name):
            is_spent = False
            try:
                stage.run(search)
            except OutOfTimeError:
                is_spent = True
            # What was found meets the contract or does not on the same images as ever.
            is_met = search.compared is not None and search.is_met()
        if is_met:
            return f"contract met{' when the budget was spent' if is_spent else f': {stage.title}'}"
        if is_spent:
            return SPENT
    return "all stages are done"
