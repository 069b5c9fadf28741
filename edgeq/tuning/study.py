"""The tables of Wu et al. 2020 (arXiv 2004.09602) for one's own model.

Weights alone by granularity (their table 3), activations by calibrator (5), partial quantization as
a curve (6 and figure 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edgeq.device.connection import HERE, Address, host
from edgeq.evaluation import score
from edgeq.evaluation.dataset import evaluation_of
from edgeq.progress import Progress, silent
from edgeq.records.accuracy import Interval
from edgeq.records.study import Pattern, Study
from edgeq.records.trial import Trial, disagreement
from edgeq.spec.quantize import Weights
from edgeq.spec.recipe import Recipe
from edgeq.spec.target import Target
from edgeq.stages.check import prepared_for_build
from edgeq.store import open_store
from edgeq.tuning import yardstick
from edgeq.tuning.changes import calibrators, left_float, left_words, with_weights
from edgeq.tuning.sensitivity import Options, rank, spread
from edgeq.tuning.trials import Trials

NEXT_TO_NOTHING = 0.01
"""Of the float model's AP: the paper's bar for an accuracy that is kept."""
FEW = 8
COLLAPSE = 0.5
"""Of the float model's AP: what is called a collapse here."""


def study(
    recipe: Path,
    target: str | Target,
    store: str | None = None,
    progress: Progress = silent,
    address: Address = HERE,
) -> Study:
    """Run the tables on the recipe's evaluation images, or, without, on its calibration images.

    Layers are left in float of what agrees best of the second table, as tuning would choose.
    Trials made before are taken from the cache. Raises InputError(s) before any work.
    """
    prepared = prepared_for_build(recipe, target, address)
    evaluation = evaluation_of(prepared.recipe)
    shelf = open_store(store)
    with host() as here:
        if evaluation is None:
            scale = yardstick.self_labelled(here, prepared, prepared.calibration, progress)
        else:
            scale = yardstick.annotated(here, prepared, evaluation, progress)
        trials = Trials(here, prepared, scale, None, progress, shelf.add_trial)
        weights = tuple(_weights(trials, prepared.recipe))
        best_weights = with_weights(prepared.recipe, granularity="per-channel")
        activations = [
            (changed, trials.run("activations", name, changed))
            for name, changed in calibrators(best_weights, prepared.placement)
        ]
        recipe_of_best, best = min(activations, key=lambda pair: disagreement(pair[1]))
        altered = trials.altered(recipe_of_best)
        ranking = rank(altered, spread(altered.calibration), None, Options(top=0), progress)
        order = [layer.node for layer in ranking.layers]
        partial = [best, *_partial(trials, recipe_of_best, order)]
    reference = score.accuracy(scale.reference)
    found = [trial for _, trial in activations]
    return Study(
        recipe=str(recipe),
        target=prepared.target.name,
        images=scale.source,
        float_mask_ap=reference.mask.ap,
        float_box_ap=reference.box.ap,
        weights=weights,
        activations=tuple(found),
        partial=tuple(partial),
        order=tuple(order),
        patterns=tuple(patterns(reference.mask.ap or 0.0, weights, found, partial)),
    )


def _weights(trials: Trials, recipe: Recipe) -> Iterator[Trial]:
    for granularity in ("per-channel", "per-tensor"):
        changed = with_weights(recipe, **Weights().model_dump() | {"granularity": granularity})
        yield trials.weights_alone(f"{granularity}, max", changed)


def _partial(trials: Trials, recipe: Recipe, order: Sequence[str]) -> Iterator[Trial]:
    """The curve at 1, 2, 4, 8 ... layers, and at half of them."""
    half = max(1, len(order) // 2)
    # The last power of two would lie too near to the half to be told from it.
    counts = [2**i for i in range(half.bit_length()) if 2**i <= 0.7 * half]
    for count in [*counts, half]:
        changed = left_float(recipe, order[:count])
        yield trials.run("partial", left_words(count), changed)


def patterns(
    float_ap: float,
    weights: Sequence[Trial],
    activations: Sequence[Trial],
    partial: Sequence[Trial],
) -> Iterator[Pattern]:
    """What the paper found on its networks, looked for in mask AP here."""
    channel, tensor = (_drop(trial) for trial in weights)
    little, much = NEXT_TO_NOTHING * float_ap, COLLAPSE * float_ap
    text = f"{_figure(channel)} of {float_ap:.4f}"
    yield Pattern(
        pattern="weights alone cost next to nothing per-channel (1% of float's AP at most)",
        appears=channel is not None and channel.estimate <= little,
        figures=text,
    )
    yield Pattern(
        pattern="weights alone can collapse per-tensor, with BatchNorm folded",
        appears=tensor is not None and tensor.estimate >= much,
        figures=f"{_figure(tensor)} of {float_ap:.4f}",
    )
    by_name: dict[str, Interval | None] = {}
    for trial in activations:  # the scheme that the target prefers comes first
        by_name.setdefault(trial.name.partition(",")[0], _drop(trial))
    maximum, clipped = by_name.get("max"), by_name.get("percentile 99.9")
    yield Pattern(
        pattern="max collapses on outliers of the activations",
        appears=maximum is not None and maximum.estimate >= much,
        figures=_figure(maximum),
    )
    drops = {trial.name: d for trial in activations if (d := _drop(trial)) is not None}
    best = min(drops, key=lambda name: drops[name].estimate, default="")
    yield Pattern(
        pattern="percentile 99.9 clips too much: outside the interval of the best",
        appears=bool(best) and clipped is not None and clipped.estimate > drops[best].high,
        figures=f"99.9 {_figure(clipped)}, {best} {_figure(drops.get(best))}",
    )
    worst = max(drops, key=lambda name: drops[name].estimate, default="")
    yield Pattern(
        pattern="the choice of the calibrator matters: the worst is outside the best's interval",
        appears=bool(best) and drops[worst].estimate > drops[best].high,
        figures=f"{worst} {_figure(drops.get(worst))}, {best} {_figure(drops.get(best))}",
    )
    few = [t for t in partial[1:] if t.layers_float - partial[0].layers_float <= FEW]
    start = _drop(partial[0])
    least = min((d.estimate for t in few if (d := _drop(t))), default=None)
    yield Pattern(
        pattern=f"a few layers carry most of the loss: {FEW} in float or fewer win back half of it",
        appears=start is not None and least is not None and least <= start.estimate / 2,
        figures=f"{_figure(start)} with none, {'' if least is None else f'{-least:+.4f}'} at best",
    )


def _drop(trial: Trial) -> Interval | None:
    return trial.mask_ap_drop


def _figure(drop: Interval | None) -> str:
    return "not measured" if drop is None else f"mask AP {-drop.estimate:+.4f}"
