"""Trials: a way to quantize, tried on the same images in the same order as all others."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from edgeq import cache
from edgeq.artifact.folder import Artifact
from edgeq.device.device import Device
from edgeq.evaluation.evaluator import KINDS, Kind
from edgeq.evaluation.resampled import difference, interval, resampled
from edgeq.graph.model import Model
from edgeq.progress import Progress
from edgeq.quantization import arithmetic, planner
from edgeq.quantization.decide import resolve_choices
from edgeq.quantization.plan import Plan
from edgeq.records.accuracy import Agreement, ImagePrediction, Interval, Resampled
from edgeq.records.record import Record
from edgeq.records.trial import Arithmetic, Trial
from edgeq.repair.constants import with_constants
from edgeq.spec.recipe import Recipe
from edgeq.stages import plan as planning
from edgeq.stages.build import Build, build
from edgeq.stages.one_file import float_artifact
from edgeq.stages.predict import Manner, predict
from edgeq.stages.prepare import Prepared, cores
from edgeq.stages.references import simulation
from edgeq.tuning.latency import Latencies
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
    latencies: Latencies | None = None
    """what measures on the target, where that is wanted"""
    done: list[Trial] = field(default_factory=list)
    _agreements: dict[str, dict[Kind, Resampled]] = field(default_factory=dict)

    def run(self, stage: str, name: str, recipe: Recipe, final: bool = False) -> Trial:
        """Try a recipe, on the yardstick or on the evaluation images."""
        started = time.monotonic()
        prepared = self.altered(recipe)
        built = build(prepared, self.progress)
        changes = _changes(self.prepared.recipe, prepared.recipe)
        counts = (built.plan.layers_quantized, built.plan.layers_float)
        tried = _Attempt(stage, name, final, changes, counts, started)
        return self._scored(tried, _ways(prepared, built), built)

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
        return self._scored(tried, {"float": _Way(artifact, "all")})

    def gained(self, before: Trial, after: Trial) -> dict[Kind, Interval]:
        """How much better the one agrees than the other, image by image of the same yardstick."""
        old, new = (self._agreements.get(_id(trial), {}) for trial in (before, after))
        return {
            kind: difference(new[kind], old[kind]) for kind in KINDS if kind in old and kind in new
        }

    def altered(self, recipe: Recipe) -> Prepared:
        """What was prepared, with another way to quantize. Raises InputError(s) for a wrong one."""
        planner.check(recipe.quantize, self.prepared.placement)
        choices = resolve_choices(self.prepared.model, recipe.quantize)
        return replace(self.prepared, recipe=recipe, choices=choices)

    def _scored(
        self, tried: _Attempt, ways: Mapping[Arithmetic, _Way], built: Build | None = None
    ) -> Trial:
        yardstick = self.final if tried.final else self.yardstick
        assert yardstick is not None
        key = _key(ways.values(), yardstick)
        known = CACHE.read(key)
        figures = None if known is None else _Figures.model_validate_json(known)
        is_new = figures is None
        if figures is None:
            figures = _figures(yardstick, [self._found(tried, way) for way in ways.values()])
        latency = self.latencies.of(built) if self.latencies and built else None
        trial = Trial(
            stage=tried.stage,
            name=tried.name,
            final=tried.final,
            changes=tried.changes,
            layers_quantized=tried.counts[0],
            layers_float=tried.counts[1],
            artifact=list(ways.values())[-1].artifact.id,
            latency=latency,
            seconds=round(time.monotonic() - tried.started_s, 3),
            mask_ap=figures.mask_ap,
            box_ap=figures.box_ap,
            mask_ap_drop=figures.mask_ap_drop,
            box_ap_drop=figures.box_ap_drop,
            agreement=figures.agreement,
            arithmetics=tuple(ways),
            own_labels=not yardstick.is_annotated,
        )
        self._agreements[_id(trial)] = figures.agreements
        if is_new:
            model, target = self.prepared.model, self.prepared.target
            self.keep(trial, str(model.path), model.sha256, target.name)
            CACHE.write(key, figures.model_dump_json().encode())
        self.done.append(trial)
        return trial

    def _found(self, tried: _Attempt, way: _Way) -> tuple[ImagePrediction, ...]:
        yardstick = self.final if tried.final else self.yardstick
        assert yardstick is not None
        files, label = yardstick.labels.files, f"{tried.stage}: {tried.name}"
        manner = Manner(cores(), way.optimization)
        return predict(self.here, way.artifact, files, manner, self.progress, label).images


class _Way(NamedTuple):
    """One arithmetic that a plan runs in on this machine."""

    artifact: Artifact
    optimization: str


class _Attempt(NamedTuple):
    """What a trial is of; `counts` are layers in int8 and in float, `started_s` is monotonic."""

    stage: str
    name: str
    final: bool
    changes: dict[str, object]
    counts: tuple[int, int]
    started_s: float


class _Figures(Record):
    """What is kept of a trial; the agreements by resamples, to be compared with others'."""

    mask_ap: float | None
    box_ap: float | None
    mask_ap_drop: Interval | None
    box_ap_drop: Interval | None
    agreements: dict[Kind, Resampled]

    @property
    def agreement(self) -> Agreement | None:
        found = {kind: interval(one) for kind, one in self.agreements.items()}
        return Agreement(mask=found["mask"], box=found["box"]) if found else None


def _ways(prepared: Prepared, built: Build) -> dict[Arithmetic, _Way]:
    """The simulation, and where this machine is the target the artifact itself, too.

    Which of two exact engines rounds which way is chance; what a plan loses is not.
    """
    ways: dict[Arithmetic, _Way] = {"simulated": _Way(simulation(prepared, built), "disabled")}
    if prepared.target.transport == "local":
        ways["device"] = _Way(built.artifact, "all")
    return ways


def _id(trial: Trial) -> str:
    return f"{trial.stage}/{trial.name}/{trial.final}"


def _rounded(model: Model, plan: Plan) -> Model:
    """The float model with the weights of its quantized layers on the integers' grid."""
    constants = {}
    for node, planned in plan.weights.items():
        values = np.asarray(model.constant(planned.tensor), np.float32)
        scales = np.array(planned.scales, np.float32)
        integers = arithmetic.quantize_weights(values, scales, planned.axis, planned.bits)
        constants[node, 1] = arithmetic.dequantize_weights(integers, scales, planned.axis)
    return with_constants(model, constants, f"weights of {plan.to_json()}")


def _figures(yardstick: Yardstick, runs: Sequence[Sequence[ImagePrediction]]) -> _Figures:
    """The means over runs of one plan."""
    matches = [yardstick.matches(images) for images in runs]
    own = [yardstick.agreeing(i, m) for i, m in zip(runs, matches, strict=True)]
    found = {kind: resampled(matches, kind) for kind in KINDS}
    agreed = {kind: resampled(own, kind) for kind in KINDS} if yardstick.is_annotated else found
    before = {kind: resampled([yardstick.reference], kind) for kind in KINDS}
    drops = {k: difference(b, f) if (b := before[k]) and (f := found[k]) else None for k in KINDS}
    aps = {kind: one.estimate if one else None for kind, one in found.items()}
    return _Figures(
        mask_ap=aps["mask"],
        box_ap=aps["box"],
        mask_ap_drop=drops["mask"],
        box_ap_drop=drops["box"],
        agreements={kind: one for kind, one in agreed.items() if one},
    )


def _changes(before: Recipe, after: Recipe) -> dict[str, object]:
    """What differs between two recipes' ways to quantize, by key."""
    found: dict[str, object] = {}
    for part in ("quantize", "repair"):
        old, new = (getattr(r, part).model_dump(mode="json") for r in (before, after))
        found |= {f"{part}.{key}": value for key, value in new.items() if value != old[key]}
    return found


def _key(ways: Iterable[_Way], yardstick: Yardstick) -> str:
    labels = yardstick.labels
    described = {
        "ways": [(way.artifact.id, way.optimization) for way in ways],
        "own": hashlib.sha256(repr(yardstick.own.annotations).encode()).hexdigest(),
        "labels": hashlib.sha256(repr(labels.annotations).encode()).hexdigest(),
        "images": {id_: image.key for id_, image in labels.files.items()},
        "categories": sorted(labels.categories.items()),
    }
    return cache.key(described)
