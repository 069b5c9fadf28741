"""Recipes that differ from another in how they quantize."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from edgeq import calibrators as registry
from edgeq.quantization.rules import Placement
from edgeq.spec.quantize import Activations, HeadPolicy
from edgeq.spec.recipe import Recipe
from edgeq.spec.repair import Reconstruct

PERCENTILES = (99.9, 99.99, 99.999, 99.9999)


def calibrators(recipe: Recipe, placement: Placement) -> Iterator[tuple[str, Recipe]]:
    """The recipe with every calibrator in every scheme that a runtime has, and what to call it."""
    # Max first, which wins a tie. Those with a parameter of their own come with values of it.
    found = registry.calibrators().values()
    names = [calibrator.name for calibrator in found if calibrator.parameter is None]
    names.sort(key=lambda name: name != "max")
    ways = [(name, Activations(calibrator=name)) for name in names]
    ways += [
        (f"percentile {p:g}", Activations(calibrator="percentile", percentile=p))
        for p in PERCENTILES
    ]
    for scheme in sorted(placement.schemes, key=lambda name: name != placement.scheme):
        label = f", {scheme}" if len(placement.schemes) > 1 else ""
        for name, activations in ways:
            chosen = activations.model_copy(update={"scheme": scheme})
            yield name + label, _quantized(_without_ranges(recipe, name), activations=chosen)


def with_weights(recipe: Recipe, **keys: Any) -> Recipe:
    """The recipe with these keys under `quantize.weights`."""
    return _quantized(recipe, weights=recipe.quantize.weights.model_copy(update=keys))


def with_head(recipe: Recipe, head: HeadPolicy) -> Recipe:
    """The recipe with another policy for the head."""
    return _quantized(recipe, head=head)


def left_float(recipe: Recipe, nodes: Sequence[str]) -> Recipe:
    """The recipe with more nodes under `quantize.exclude`."""
    excluded = tuple(dict.fromkeys((*recipe.quantize.exclude, *nodes)))
    return _quantized(recipe, exclude=excluded)


def left_words(count: int) -> str:
    """What a trial is called in which so many layers are left in float."""
    return "1 layer in float" if count == 1 else f"{count} layers in float"


def repaired(recipe: Recipe, **keys: Any) -> Recipe:
    """The recipe with these keys under `repair`."""
    return recipe.model_copy(update={"repair": recipe.repair.model_copy(update=keys)})


def reconstructions(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """The recipe with reconstruction, and what to call it: the one that is likely best first.

    From max the ranges of activations are learned along, and rounding with the weights; from
    another calibrator they stay what it made them.
    """
    activations = recipe.quantize.activations
    widest = activations.model_copy(update={"calibrator": "max", "percentile": None})
    changed = repaired(recipe, adaround=None, reconstruct=Reconstruct())
    yield "reconstruction, ranges learned from max", _quantized(changed, activations=widest)
    if activations.calibrator != "max":
        yield "reconstruction", repaired(recipe, reconstruct=Reconstruct())


def _without_ranges(recipe: Recipe, calibrator: str) -> Recipe:
    """The recipe as it may be with a calibrator: ranges are learned from max alone."""
    options = recipe.repair.reconstruct
    if calibrator == "max" or options is None or not options.ranges:
        return recipe
    return repaired(recipe, reconstruct=options.model_copy(update={"ranges": None}))


def _quantized(recipe: Recipe, **keys: Any) -> Recipe:
    return recipe.model_copy(update={"quantize": recipe.quantize.model_copy(update=keys)})
