"""Accuracy recovery in stages, after Wu et al. 2020 (arXiv 2004.09602), section 6.

Weights alone, calibrators, repairs, partial quantization, AdaRound: until the contract is met. What
is learned in training (quantization-aware training) would come behind these.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeq import places
from edgeq.calibration.inputs import shared
from edgeq.cost.profile import float_costs_ms
from edgeq.device.connection import HERE, Address, host
from edgeq.errors import InputError
from edgeq.evaluation import score
from edgeq.evaluation.dataset import Dataset, annotated, evaluation_of
from edgeq.graph.layers import layers
from edgeq.progress import Progress, silent
from edgeq.records.trial import Trial
from edgeq.records.tuning import Tuning
from edgeq.spec import document
from edgeq.spec.recipe import Recipe
from edgeq.spec.target import Target
from edgeq.stages.check import prepared_for_build
from edgeq.stages.prepare import Prepared
from edgeq.store import open_store
from edgeq.tuning import rewrite, yardstick
from edgeq.tuning.contract import Contract, Limit
from edgeq.tuning.search import Search
from edgeq.tuning.steps import SPENT, searched
from edgeq.tuning.trials import Trials
from edgeq.tuning.yardstick import Yardstick
from edgeq.versions import version

ALLOWED = Limit(0.003)


@dataclass(frozen=True)
class Wanted:
    """How much AP may be lost, whether AdaRound may be tried, and how long all may take."""

    mask: Limit = ALLOWED
    box: Limit = ALLOWED
    adaround: bool = False
    budget_s: float | None = 1800.0


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
    prepared = prepared_for_build(recipe, target, address)
    rewrite.check_text(text, recipe, prepared.recipe)
    compared = _named(prepared.recipe, recipe)
    evaluation = evaluation_of(prepared.recipe)
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
        search = Search(trials, contract, deadline, prepared.recipe, costs_ms)
        ended = searched(search, wanted.adaround)
    found = _concluded(search, prepared, text, recipe, output, ended, contract)
    return found.model_copy(update={"notes": tuple(shelf.notes)})


def _named(recipe: Recipe, file: Path) -> Dataset | None:
    """The recipe's annotated images for tuning; InputError where evaluation has the same ones."""
    if recipe.tune is None:
        return None
    found = annotated(recipe.tune, recipe.task)
    evaluation = evaluation_of(recipe)
    pairs = shared(found.files.values(), evaluation.files.values() if evaluation else ())
    if pairs:
        where = document.read(file).at(("tune", "images"))
        what = f"tune: {len(pairs)} images are evaluated on, too, such as {pairs[0][0].path.name}"
        raise InputError(where, what, "split them: what is tuned on says nothing new")
    return found


def _contract(judged: Yardstick, wanted: Wanted) -> Contract:
    accuracy = score.accuracy(judged.reference)
    return Contract.of(wanted.mask, wanted.box, accuracy.mask.ap or 0.0, accuracy.box.ap or 0.0)


def _concluded(
    search: Search,
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


def _judged_on(search: Search) -> str:
    final = search.trials.final
    return search.trials.yardstick.source if final is None or search.final is None else final.source


def _needed(search: Search, judged: Trial, contract: Contract, ended: str) -> Iterator[str]:
    """What it would take to meet the contract."""
    kinds = ("mask", judged.mask_ap_drop, contract.mask), ("box", judged.box_ap_drop, contract.box)
    for kind, drop, limit in kinds:
        if drop is not None and drop.estimate > limit:
            more = drop.estimate - limit
            yield f"{kind} AP {more:.4f} higher: {drop.estimate:.4f} is lost, {limit:.4f} allowed"
    if ended == SPENT:
        yield "more time (--budget): not all stages were tried, and what was is kept"
    yield "more layers in float than one in ten ('exclude:'), at the cost of speed"
    is_tried = any(trial.stage == "adaround" for trial in search.trials.done)
    if not is_tried and search.best.repair.adaround is None:
        yield "AdaRound (--adaround), which takes minutes and costs nothing on the device"
    yield "training with quantization (Wu et al. 2020, section 6), which edgeq does not do yet"
