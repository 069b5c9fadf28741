"""Build: from a recipe and a target to an artifact, with nothing done twice."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from edgeq import cache
from edgeq.artifact import shelf
from edgeq.artifact.folder import Artifact
from edgeq.artifact.manifest import Manifest, RuntimeEntry, describe
from edgeq.errors import InputError, raise_all
from edgeq.graph.mixing import Mixing
from edgeq.progress import Progress, silent
from edgeq.quantization.plan import Plan
from edgeq.runtimes import runtime
from edgeq.runtimes.base import Runtime
from edgeq.spec.recipe import Recipe
from edgeq.stages.outputs import task_of
from edgeq.stages.plan import measured_mixing, planned
from edgeq.stages.prepare import Prepared, input_of
from edgeq.versions import versions

CACHE = cache.Cache("builds")
WITHOUT_EFFECT = {
    *("name", "description", "alternatives", "facts", "limits"),
    *("threads", "transport", "root", "python", "allowed_signers", "share_engines", "prices"),
}
"""What of a target no artifact depends on; whatever else it says is part of a build's key."""


@dataclass(frozen=True)
class Build:
    """An artifact, the plan it was written from, and what was noticed on the way."""

    artifact: Artifact
    plan: Plan
    mixing: tuple[Mixing, ...]
    notes: tuple[str, ...]
    cached: bool


def build(prepared: Prepared, progress: Progress = silent) -> Build:
    """The artifact, from the cache where the same inputs made it before."""
    key = key_of(prepared)
    remembered = _remembered(key)
    if remembered is not None:
        done, found, repairs = remembered
        plan = Plan.from_json(done.path("plan.json").read_text(encoding="utf-8"))
        engine = runtime(prepared.target.runtime)
        linted = _linted(engine, done.path(engine.written.model).read_bytes())
        return Build(done, plan, found, (*prepared.notes, *repairs, *linted), cached=True)
    model, images = prepared.model, prepared.calibration
    found = measured_mixing(model, images, prepared.recipe.preprocess, progress)
    made = planned(prepared, progress)
    progress("build", 0, 1)
    plan = made.plan
    engine = runtime(prepared.target.runtime)
    written = {**engine.write(made.model, plan), "plan.json": plan.to_json().encode()}
    notes = (*prepared.notes, *made.notes, *_linted(engine, written[engine.written.model]))
    manifest = Manifest(
        runtime=RuntimeEntry(
            name=engine.name,
            model=engine.written.model,
            compile=engine.compiled(plan.form, "int8"),
            delegate=engine.delegate(prepared.target),
        ),
        task=task_of(prepared.recipe),
        preprocess=input_of(prepared.recipe.preprocess).model_copy(
            update={"layout": engine.written.layout}
        ),
        files=describe(written),
        provenance={
            "build": key,
            "model": model.sha256,
            "statistics": made.statistics,
            "quantize": prepared.recipe.quantize.model_dump(mode="json"),
            **_repair_of(prepared.recipe),
            "target": prepared.target.model_dump(mode="json", exclude=WITHOUT_EFFECT),
            "versions": versions(*engine.written_with),
        },
    )
    result = shelf.keep(manifest, written)
    mixed = [asdict(mix) for mix in found]
    about = {"artifact": result.id, "mixing": mixed, "repairs": made.notes}
    CACHE.write(key, json.dumps(about).encode())
    progress("build", 1, 1)
    return Build(result, plan, found, notes, cached=False)


def _repair_of(recipe: Recipe) -> dict[str, Any]:
    """The recipe's repairs; nothing where there are none, as if there were no such key."""
    repair = recipe.repair
    return {"repair": repair.model_dump(mode="json")} if repair.is_wanted else {}


def _linted(engine: Runtime, content: bytes) -> tuple[str, ...]:
    """The engine's warnings about what was written; InputError(s) for what it would refuse."""
    found = engine.lint(content)
    errors = [complaint for complaint in found if complaint.severity == "error"]
    raise_all([InputError(f"{c.node} ({c.rule})", c.what, c.remedy) for c in errors])
    return tuple(str(complaint) for complaint in found)


def is_built(prepared: Prepared) -> bool:
    """Whether `build` would only take the artifact from the cache."""
    return _remembered(key_of(prepared)) is not None


def key_of(prepared: Prepared) -> str:
    """Hash of all that the artifact depends on, whatever folder it lies in."""
    recipe, placement = prepared.recipe, prepared.placement
    described = {
        "model": prepared.model.sha256,
        "task": task_of(recipe).model_dump(mode="json"),
        "preprocess": recipe.preprocess.model_dump(mode="json"),
        "quantize": recipe.quantize.model_dump(mode="json"),
        **_repair_of(recipe),
        "images": [image.sha256 for image in prepared.calibration],
        "runtime": [
            placement.runtime,
            placement.activation_type,
            placement.weight_bits,
            placement.pair_limit,
            placement.form,
        ],
        "target": prepared.target.model_dump(mode="json", exclude=WITHOUT_EFFECT),
        "versions": versions(*runtime(prepared.target.runtime).written_with),
    }
    return cache.key(described)


def _remembered(key: str) -> tuple[Artifact, tuple[Mixing, ...], tuple[str, ...]] | None:
    """An earlier build's artifact, what its lint found, its repairs; None if it has to be made."""
    content = CACHE.read(key)
    if content is None:
        return None
    about = json.loads(content)
    done = shelf.kept(about["artifact"])
    found = tuple(Mixing(**mix) for mix in about["mixing"])
    return None if done is None else (done, found, tuple(about["repairs"]))
