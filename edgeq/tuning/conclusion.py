"""What tuning came to in words: what decided, whether that is sure, and what it would take."""

from __future__ import annotations

from collections.abc import Iterator

from edgeq.records.trial import slowed
from edgeq.tuning.contract import Contract, Judgement
from edgeq.tuning.search import Search
from edgeq.tuning.steps import SPENT, STAGES


def allowed(contract: Contract, decision: Judgement) -> str:
    """What was demanded of the figure that decided, and of the latency."""
    latency = "" if contract.latency is None else f", latency at most {contract.latency:g}"
    if decision.by == "agreement":
        return f"agreement {contract.agreement:g}{latency}"
    return f"mask AP -{contract.mask:.4f}, box AP -{contract.box:.4f}{latency}"


def undecided(decision: Judgement, own_labels: bool, images: int | None) -> Iterator[str]:
    """Why something else than AP decided, and whether that is sure."""
    if decision.by == "agreement":
        if own_labels:
            yield "Agreement with the float model decided: no image is annotated."
        else:
            enough = f"about {images} images would" if images else "no number of images would"
            yield f"Agreement with the float model decided: AP does not resolve it, {enough}."
        if not decision.resolved:
            yield "Its interval reaches beyond that, too."
    elif not decision.resolved:
        enough = f"; about {images} images would resolve it" if images else ""
        yield f"AP decided, as the float model is sure of nothing there{enough}."


def needed(search: Search, ended: str) -> Iterator[str]:
    """What it would take to meet the contract."""
    yield from _short(search)
    if ended == SPENT:
        yield "more time (--budget): not all stages were tried, and what was is kept"
    yield "more layers in float than one in ten ('exclude:'), at the cost of speed"
    for stage in STAGES:
        if stage.option and not stage.is_in(search.best) and not _is_tried(search, stage.name):
            words = "which takes minutes and costs nothing on the device"
            yield f"{stage.title} (--{stage.option}), {words}"
    yield "training with labels (edgeq train --loss; Wu et al. 2020, section 6)"


def _is_tried(search: Search, stage: str) -> bool:
    return any(found.name == stage for found in search.stages)


def _short(search: Search) -> Iterator[str]:
    """By how much the figure that decided falls short, and the latency."""
    contract, trial = search.contract, search.judged
    if not contract.is_fast_enough(trial):
        yield f"at most {contract.latency:g} times the latency of the start: it has {slowed(trial)}"
    if search.decided().met:
        return
    if search.decided().by == "agreement" and trial.agreement is not None:
        worse, found = trial.agreement.worse
        more = contract.agreement - found.estimate
        yield f"{worse} agreement {more:.4f} higher: it is {found.estimate:.4f}"
        return
    drops = ("mask", trial.mask_ap_drop, contract.mask), ("box", trial.box_ap_drop, contract.box)
    for kind, drop, limit in drops:
        if drop is not None and drop.estimate > limit:
            more = drop.estimate - limit
            yield f"{kind} AP {more:.4f} higher: {drop.estimate:.4f} is lost, {limit:.4f} allowed"
