"""Trials: a way to quantize, tried on the same images in the same order as all others."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from edgeq import cache
from edgeq.artifact.folder import Artifact
from edgeq.device.device import Device
from edgeq.evaluation import bootstrap, score
from edgeq.graph.model import Model
from edgeq.progress import Progress
from edgeq.quantization import arithmetic, planner
from edgeq.quantization.decide import resolve_choices
from edgeq.quantization.plan import Plan
from edgeq.records.accuracy import ImagePrediction, Interval
from edgeq.records.record import Record
from edgeq.records.trial import Trial
from edgeq.repair.constants import with_constants
from edgeq.spec.recipe import Recipe
from edgeq.stages import plan as planning
from edgeq.stages.build import Build, build
from edgeq.stages.one_file import float_artifact
from edgeq.stages.predict import Manner, predict
from edgeq.stages.prepare import Prepared, cores
from edgeq.stages.references import simulation
from edgeq.tuning.yardstick import Yardstick

CACHE = cache.Cache("trials")


@dataclass
class Trials:
    """Runs trials on this machine, each at most once: what is known is taken from the cache."""

    here: Device
    prepared: Prepared
    yardstick: Yardstick
    final: Yardstick | None
    progress: Progress
    keep: Callable[[Trial, str, str, str], None]
    done: list[Trial] = field(default_factory=list)

    def run(self, stage: str, name: str, recipe: Recipe, final: bool = False) -> Trial:
        """Try a recipe, on the yardstick or on the evaluation images."""
        started = time.monotonic()
        prepared = self.altered(recipe)
        built = build(prepared, self.progress)
        artifact, optimization = self._runnable(prepared, built)
        changes = _changes(self.prepared.recipe, prepared.recipe)
        counts = (built.plan.layers_quantized, built.plan.layers_float)
        tried = _Attempt(stage, name, final, changes, counts, started)
        return self._scored(tried, artifact, optimization)

    def weights_alone(self, name: str, recipe: Recipe) -> Trial:
        """Try the weights of a recipe, with everything else in float."""
        started = time.monotonic()
        prepared = self.altered(recipe)
        made = planning.planned(prepared, self.progress)
        plan = made.plan
        artifact = float_artifact(replace(prepared, model=_rounded(made.model, plan)))
        changes = _changes(self.prepared.recipe, prepared.recipe)
        counts = (plan.layers_quantized, plan.layers_float)
        tried = _Attempt("weights", name, False, changes, counts, started)
        return self._scored(tried, artifact, "all")

    def altered(self, recipe: Recipe) -> Prepared:
        """What was prepared, with another way to quantize. Raises InputError(s) for a wrong one."""
        planner.check(recipe.quantize, self.prepared.placement)
        choices = resolve_choices(self.prepared.model, recipe.quantize)
        return replace(self.prepared, recipe=recipe, choices=choices)

    def _runnable(self, prepared: Prepared, built: Build) -> tuple[Artifact, str]:
        """The artifact itself where this machine is the target, otherwise its simulation."""
        if prepared.target.transport == "local":
            return built.artifact, "all"
        return simulation(prepared, built), "disabled"

    def _scored(self, tried: _Attempt, artifact: Artifact, optimization: str) -> Trial:
        yardstick = self.final if tried.final else self.yardstick
        assert yardstick is not None
        key = _key(artifact, optimization, yardstick)
        known = CACHE.read(key)
        figures = None if known is None else _Figures.model_validate_json(known)
        is_new = figures is None
        if figures is None:
            label = f"{tried.stage}: {tried.name}"
            files, manner = yardstick.labels.files, Manner(cores(), optimization)
            found = predict(self.here, artifact, files, manner, self.progress, label)
            figures = _figures(yardstick, found.images)
        trial = Trial(
            stage=tried.stage,
            name=tried.name,
            final=tried.final,
            changes=tried.changes,
            layers_quantized=tried.counts[0],
            layers_float=tried.counts[1],
            artifact=artifact.id,
            seconds=round(time.monotonic() - tried.started_s, 3),
            **dict(figures),
        )
        if is_new:
            model, target = self.prepared.model, self.prepared.target
            self.keep(trial, str(model.path), model.sha256, target.name)
            CACHE.write(key, figures.model_dump_json().encode())
        self.done.append(trial)
        return trial


class _Attempt(NamedTuple):
    """What a trial is of; `counts` are layers in int8 and in float, `started_s` is monotonic."""

    stage: str
    name: str
    final: bool
    changes: dict[str, object]
    counts: tuple[int, int]
    started_s: float


class _Figures(Record):
    mask_ap: float | None
    box_ap: float | None
    mask_ap_drop: Interval | None
    box_ap_drop: Interval | None


def _rounded(model: Model, plan: Plan) -> Model:
    """The float model with the weights of its quantized layers on the integers' grid."""
    constants = {}
    for node, planned in plan.weights.items():
        values = np.asarray(model.constant(planned.tensor), np.float32)
        scales = np.array(planned.scales, np.float32)
        integers = arithmetic.quantize_weights(values, scales, planned.axis, planned.bits)
        constants[node, 1] = arithmetic.dequantize_weights(integers, scales, planned.axis)
    return with_constants(model, constants, f"weights of {plan.to_json()}")


def _figures(yardstick: Yardstick, images: Sequence[ImagePrediction]) -> _Figures:
    matches = yardstick.matches(images)
    accuracy = score.accuracy(matches)
    return _Figures(
        mask_ap=accuracy.mask.ap,
        box_ap=accuracy.box.ap,
        mask_ap_drop=bootstrap.drop(yardstick.reference, matches, "mask"),
        box_ap_drop=bootstrap.drop(yardstick.reference, matches, "box"),
    )


def _changes(before: Recipe, after: Recipe) -> dict[str, object]:
    """What differs between two recipes' ways to quantize, by key."""
    found: dict[str, object] = {}
    for part in ("quantize", "repair"):
        old, new = (getattr(r, part).model_dump(mode="json") for r in (before, after))
        found |= {f"{part}.{key}": value for key, value in new.items() if value != old[key]}
    return found


def _key(artifact: Artifact, optimization: str, yardstick: Yardstick) -> str:
    labels = yardstick.labels
    described = {
        "artifact": artifact.id,
        "optimization": optimization,
        "labels": hashlib.sha256(repr(labels.annotations).encode()).hexdigest(),
        "images": {id_: image.key for id_, image in labels.files.items()},
        "categories": sorted(labels.categories.items()),
    }
    return cache.key(described)
