"""Accuracy recovery in stages, after Wu et al. 2020 (arXiv 2004.09602), section 6.

Weights alone, calibrators, repairs, partial quantization, AdaRound, reconstruction: until the
contract is met, of accuracy and of latency. What is learned from labels comes behind
these, by `edgeq train`.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

from edgeq import places
from edgeq.calibration.inputs import shared
from edgeq.cost.profile import float_costs_ms
from edgeq.device.connection import HERE, Address, host
from edgeq.errors import InputError, check_present
from edgeq.evaluation import score
from edgeq.evaluation.agreement import LABEL_SCORE
from edgeq.evaluation.dataset import Dataset, annotated, evaluation_of
from edgeq.graph.layers import layers
from edgeq.progress import Progress, silent
from edgeq.records.trial import Trial, slowed
from edgeq.records.tuning import Tuning
from edgeq.spec import document
from edgeq.spec.recipe import Recipe
from edgeq.spec.target import Target
from edgeq.stages.check import prepared_for_build
from edgeq.stages.prepare import Prepared
from edgeq.store import open_store
from edgeq.tuning import rewrite, yardstick
from edgeq.tuning.conclusion import allowed, needed, undecided
from edgeq.tuning.contract import Contract, Judgement, Limit
from edgeq.tuning.latency import Latencies
from edgeq.tuning.search import Search
from edgeq.tuning.steps import STAGES, searched
from edgeq.tuning.trials import Trials
from edgeq.tuning.yardstick import Yardstick
from edgeq.versions import version

ALLOWED = Limit(0.003)
AGREES = 0.9
"""Agreement that will do where neither the caller nor a gate of the recipe says another."""


@dataclass(frozen=True)
class Wanted:
    """How much AP may be lost, what that takes minutes may be tried, and how long all may take.

    Where AP on labels cannot tell, the `agreement` with the float model that will do: that of the
    recipe's gate if there is one, otherwise .9. `latency` is how long the tuned model may take on
    the target, in units of what the given recipe's takes; None is without a limit.
    """

    mask: Limit = ALLOWED
    box: Limit = ALLOWED
    adaround: bool = False
    budget_s: float | None = 1800.0
    agreement: float | None = None
    reconstruct: bool = False
    latency: float | None = None


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

    Choices are made by agreement with the float model on the recipe's `tune` images, or on the
    calibration images; the evaluation images only say whether to go on. Trials that were made
    before are taken from the cache. Raises InputError(s) before any work.
    """
    wanted = wanted or Wanted()
    if wanted.reconstruct:
        check_present("torch", "train")
    budget_s = math.inf if wanted.budget_s is None else wanted.budget_s
    deadline = time.monotonic() + budget_s
    rewrite.check_output(recipe, output)
    text = rewrite.read(recipe)
    prepared = prepared_for_build(recipe, target, address)
    rewrite.check_text(text, recipe, prepared.recipe)
    compared = _named(prepared.recipe, recipe)
    evaluation = evaluation_of(prepared.recipe)
    latencies = Latencies(prepared, address, deadline, progress)
    if wanted.latency is not None and latencies.unmeasured:
        remedy = "name the board it is to be measured on, or leave the limit out"
        raise InputError("--max-latency", latencies.unmeasured, remedy)
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
        _require_sure(scale, recipe)
        contract = _contract(final or scale, wanted, prepared.recipe)
        trials = Trials(here, prepared, scale, final, progress, shelf.add_trial, latencies)
        search = Search(trials, contract, deadline, prepared.recipe, costs_ms)
        options = [one.option for one in STAGES if one.option and getattr(wanted, one.option)]
        ended = searched(search, options)
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


def _require_sure(scale: Yardstick, file: Path) -> None:
    """InputError where there is nothing that a trial could agree with."""
    if not scale.own.annotations.instances:
        what = f"tune: the float model finds nothing above {LABEL_SCORE} on {scale.source}"
        where = document.read(file).at(("tune", "images"))
        raise InputError(where, what, "name images of what it finds")


def _contract(judged: Yardstick, wanted: Wanted, recipe: Recipe) -> Contract:
    accuracy = score.accuracy(judged.reference)
    asked = (wanted.agreement, recipe.gates.agreement, AGREES)
    least = next(value for value in asked if value is not None)
    aps = (accuracy.mask.ap or 0.0, accuracy.box.ap or 0.0)
    return Contract.of(wanted.mask, wanted.box, least, *aps, wanted.latency)


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
    judged, decision = search.judged, search.decided()
    scale = _judging(search)
    images = _images_needed(judged, contract, decision, len(scale.labels.files))
    met = decision.met and contract.is_fast_enough(judged)
    verdict = "meets" if met else "MISSES"
    unmeasured = search.trials.latencies.unmeasured if search.trials.latencies else ""
    why = f": {unmeasured}" if unmeasured and judged.latency is None else ""
    head = [
        f"Tuned for {prepared.target.name} by edgeq {version()} from {recipe.name}.",
        f"It {verdict} the contract ({allowed(contract, decision)}) on {scale.source}.",
        *undecided(decision, judged.own_labels, images),
        f"Compared by agreement on {search.trials.yardstick.source}.",
        f"On the target: {slowed(judged)}{why}.",
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
        judged_on=scale.source,
        float_mask_ap=reference.mask.ap,
        float_box_ap=reference.box.ap,
        largest_mask_drop=contract.mask,
        largest_box_drop=contract.box,
        least_agreement=contract.agreement,
        largest_latency=contract.latency,
        unmeasured=unmeasured,
        stages=tuple(search.stages),
        trials=tuple(search.trials.done),
        best=judged,
        met=met,
        resolved=decision.resolved,
        decided_by=decision.by,
        images_needed=images,
        ended=ended,
        reasons=reasons,
        needed=() if met else tuple(needed(search, ended)),
        output=str(output),
    )


def _judging(search: Search) -> Yardstick:
    final = search.trials.final
    return search.trials.yardstick if final is None or search.final is None else final


def _images_needed(
    judged: Trial, contract: Contract, decision: Judgement, images: int
) -> int | None:
    """How many annotated images would have AP decide; None where it does, or there are none."""
    if judged.own_labels or (decision.by == "AP" and decision.resolved):
        return None
    return contract.images_needed(images, judged.mask_ap_drop, judged.box_ap_drop)
