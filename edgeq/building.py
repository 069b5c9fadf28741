"""Build: from a recipe and a target to an artifact, with nothing done twice."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from edgeq import artifact, cache
from edgeq.agent import manifest as agent
from edgeq.agent.decode import decode
from edgeq.agent.detections import Output
from edgeq.agent.errors import AgentError
from edgeq.agent.letterbox import geometry_of
from edgeq.answers import Probe
from edgeq.artifact import Artifact, Engine, Input, Manifest, Task
from edgeq.calibration import collect, statistics
from edgeq.calibration.images import choose, shared, tensors
from edgeq.errors import InputError, Key, Problems, raise_all
from edgeq.graph.load import load
from edgeq.graph.mixing import Mixing, concat_inputs, mixing
from edgeq.graph.model import Model
from edgeq.graph.tail import Tail, find_tail
from edgeq.images import Image, images_of
from edgeq.listing import image_files
from edgeq.progress import Progress, silent
from edgeq.quantization.decide import Choices, resolve_choices
from edgeq.quantization.plan import Plan
from edgeq.quantization.planner import check, make_plan
from edgeq.quantization.rules import Placement
from edgeq.recipe import Preprocess, Recipe
from edgeq.repair.equalization import equalized
from edgeq.repair.model import Images, refined
from edgeq.repair.refinement import plan_for
from edgeq.repair.repaired import Repaired
from edgeq.runtimes import REFERENCE, runtime
from edgeq.runtimes.base import Runtime
from edgeq.runtimes.qdq import write_qdq
from edgeq.target import Target
from edgeq.version import versions

CACHE = cache.Cache("builds")
MIXING_IMAGES = 4
"""Images that the range-mixing lint looks at; ranges of pixels and scores differ at the first."""


@dataclass(frozen=True)
class Prepared:
    """Everything that was checked before any work: what a build starts from."""

    recipe: Recipe
    target: Target
    model: Model
    tail: Tail
    choices: Choices
    placement: Placement
    calibration: tuple[Image, ...]
    notes: tuple[str, ...]

    @property
    def left_out(self) -> frozenset[str]:
        """Nodes that no quantized tensor can lie behind, which need not be looked at."""
        return frozenset() if self.recipe.quantize.head == "quantize" else self.tail.nodes

    @property
    def wanted(self) -> list[str]:
        """Tensors whose statistics a plan may need."""
        return statistics.wanted_tensors(self.model, self.left_out)


@dataclass(frozen=True)
class Planned:
    """What is written: the model with the recipe's repairs, the plan, and what was repaired.

    `statistics` is the key of what the plan's ranges are from. Without repairs the model is the
    prepared one.
    """

    model: Model
    plan: Plan
    statistics: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Build:
    """An artifact, the plan it was written from, and what was noticed on the way."""

    artifact: Artifact
    plan: Plan
    mixing: tuple[Mixing, ...]
    notes: tuple[str, ...]
    cached: bool


def prepare(
    recipe: Recipe,
    target: Target,
    probe: Probe | None,
    evaluation: Sequence[Image] = (),
) -> Prepared:
    """Check everything that can be checked before work; all problems together.

    `probe` is what the agent found on the device, None without one; `evaluation` the images that
    calibration should not have seen. Raises InputError(s); `where` of what concerns a key of the
    recipe is that key, dotted.
    """
    engine = runtime(target.runtime)
    placement, note = engine.placement(target, probe)
    problems = Problems()
    problems.attempt(lambda: check(recipe.quantize, placement))
    named, key = recipe.calibration, Key("calibration", "images")
    images = problems.attempt(
        lambda: images_of(choose(image_files(named.images, key), named.count))
    )
    model = problems.attempt(lambda: load(recipe.model, recipe.preprocess.size))
    choices = problems.attempt(lambda: resolve_choices(model, recipe.quantize)) if model else None
    if model is not None:
        problems.attempt(lambda: image_size(model))
        problems.attempt(lambda: _check_decoder(model, recipe))
        problems.attempt(lambda: engine.check(model, placement))
    problems.raise_all()
    if images is None or model is None or choices is None:
        raise AssertionError("unreachable: what is missing was reported")
    notes = [note] if note else []
    pairs = shared(images, evaluation)
    if pairs:
        what = f"{len(pairs)} calibration images are evaluation images too, such as"
        notes.append(f"{what} {pairs[0][0].path.name}: the drop looks smaller than it is")
    return Prepared(
        recipe, target, model, find_tail(model), choices, placement, images, tuple(notes)
    )


def for_device(prepared: Prepared, target: Target, probe: Probe) -> Prepared:
    """What was prepared, for what a device has; InputError when that cannot read the model."""
    engine = runtime(target.runtime)
    placement, note = engine.placement(target, probe)
    check(prepared.recipe.quantize, placement)
    engine.check(prepared.model, placement)
    notes = (note, *prepared.notes) if note else prepared.notes
    return replace(prepared, target=target, placement=placement, notes=notes)


def build(prepared: Prepared, progress: Progress = silent) -> Build:
    """The artifact, from the cache where the same inputs made it before."""
    key = key_of(prepared)
    remembered = _remembered(key)
    if remembered is not None:
        done, found, repairs = remembered
        plan = Plan.from_json(done.path("plan.json").read_text(encoding="utf-8"))
        engine = runtime(prepared.target.runtime)
        linted = _linted(engine, done.path(engine.engine.model).read_bytes())
        return Build(done, plan, found, (*prepared.notes, *repairs, *linted), cached=True)
    model, images = prepared.model, prepared.calibration
    found = measured_mixing(model, images, prepared.recipe.preprocess, progress)
    made = planned(prepared, progress)
    progress("build", 0, 1)
    plan = made.plan
    engine = runtime(prepared.target.runtime)
    written = {**engine.write(made.model, plan), "plan.json": plan.to_json().encode()}
    notes = (*prepared.notes, *made.notes, *_linted(engine, written[engine.engine.model]))
    manifest = Manifest(
        runtime=Engine(
            name=engine.engine.name,
            model=engine.engine.model,
            compile=engine.compiled(plan.form, "int8"),
            delegate=engine.delegate(prepared.target),
        ),
        task=task_of(prepared.recipe),
        preprocess=input_of(prepared.recipe.preprocess).model_copy(
            update={"layout": engine.engine.layout}
        ),
        files=artifact.describe(written),
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
    result = artifact.keep(manifest, written)
    mixed = [asdict(mix) for mix in found]
    about = {"artifact": result.id, "mixing": mixed, "repairs": made.notes}
    CACHE.write(key, json.dumps(about).encode())
    progress("build", 1, 1)
    return Build(result, plan, found, notes, cached=False)


def planned(prepared: Prepared, progress: Progress = silent) -> Planned:
    """The repaired model and its plan; what takes long is kept in the cache."""
    recipe, images = prepared.recipe, prepared.calibration
    start = _equalized(prepared)
    seen = statistics.gather(
        start.model,
        prepared.wanted,
        images,
        recipe.preprocess,
        threads(),
        lambda done: progress("calibrate", done, len(images)),
    )
    plan = make_plan(start.model, seen, prepared.tail, prepared.choices, prepared.placement)
    if not recipe.repair.needs_plan:
        return Planned(start.model, plan, seen.key, start.notes)
    looked_at = Images(images, recipe.preprocess)
    made = refined(start.model, plan, recipe.repair, looked_at, write_qdq, threads(), progress)
    plan = plan_for(made.model, plan)
    return Planned(made.model, plan, seen.key, (*start.notes, *made.notes))


def _equalized(prepared: Prepared) -> Repaired:
    """The model that the ranges are taken from."""
    repair = prepared.recipe.repair
    return equalized(prepared.model) if repair.equalize else Repaired(prepared.model)


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


def is_calibrated(prepared: Prepared) -> bool:
    """Whether the statistics are in the cache."""
    model = _equalized(prepared).model
    return statistics.is_cached(
        model, prepared.wanted, prepared.calibration, prepared.recipe.preprocess
    )


def float_artifact(prepared: Prepared) -> Artifact:
    """The float model as an artifact: what the reference figures are measured on."""
    content = prepared.model.proto.SerializeToString(deterministic=True)
    return _of_one_file(prepared, content, Engine(name=REFERENCE, model="model.onnx"))


def fp16_artifact(prepared: Prepared, built: Build) -> Artifact | None:
    """The float model for the device's engine in fp16; None where the engine compiles nothing."""
    engine = runtime(prepared.target.runtime)
    compiled = engine.compiled(built.plan.form, "fp16")
    if compiled is None:
        return None
    content = engine.write_float(prepared.model, built.plan)
    made_for = Engine(name=engine.engine.name, model="model.onnx", compile=compiled)
    return _of_one_file(prepared, content, made_for)


def simulation(prepared: Prepared, built: Build) -> Artifact:
    """The artifact as the host can run it: its Q/DQ graph, whatever engine the device has."""
    made = built.artifact
    if made.manifest.runtime.name == REFERENCE:
        return made
    engine = runtime(prepared.target.runtime)
    content = made.path(made.manifest.runtime.model).read_bytes()
    model = planned(prepared).model if prepared.recipe.repair.is_wanted else prepared.model
    content = engine.write_simulation(model, built.plan, content)
    return _of_one_file(prepared, content, Engine(name=REFERENCE, model="model.onnx"))


def _of_one_file(prepared: Prepared, content: bytes, engine: Engine) -> Artifact:
    files = {"model.onnx": content}
    manifest = Manifest(
        runtime=engine,
        task=task_of(prepared.recipe),
        preprocess=input_of(prepared.recipe.preprocess),
        files=artifact.describe(files),
        provenance={"model": prepared.model.sha256, "versions": versions()},
    )
    return artifact.keep(manifest, files)


def measured_mixing(
    model: Model,
    images: Sequence[Image],
    preprocess: Preprocess,
    progress: Progress = silent,
) -> tuple[Mixing, ...]:
    """Which Concats would put very different ranges under one scale, measured on a few images."""
    names = concat_inputs(model)
    if not names:
        return ()
    chosen = images[:MIXING_IMAGES]

    def watched() -> Iterator[collect.Floats]:
        for done, tensor in enumerate(tensors(chosen, preprocess), 1):
            yield tensor
            progress("range mixing", done, len(chosen))

    return tuple(mixing(model, collect.extremes(model, names, watched(), threads())))


def image_size(model: Model) -> tuple[int, int]:
    """Height and width of the one image that a model takes; InputError when it takes another."""
    shape = next(iter(model.inputs.values()), ())
    # torchvision's detectors take their image without the batch of one.
    if len(model.inputs) == 1 and shape[-3:-2] == (3,) and shape[:-3] in ((), (1,)):
        if not model.is_float(next(iter(model.inputs))):
            what = "takes an image that is not 32-bit float"
            raise InputError(str(model.path), what, "export it in float32")
        return shape[-2], shape[-1]
    taken = ", ".join(f"'{name}' {list(shape)}" for name, shape in model.inputs.items())
    what = f"takes {taken or 'nothing'}; one RGB image [1, 3, height, width] is expected"
    raise InputError(str(model.path), what, "export it with the image as its only input")


def _check_decoder(model: Model, recipe: Recipe) -> None:
    """InputError when the recipe's decoder cannot read outputs of the model's shapes."""
    if not all(shape and all(shape) for shape in model.outputs.values()):
        return  # known only when it runs
    outputs = [Output(name, np.zeros(shape, np.float32)) for name, shape in model.outputs.items()]
    height, width = recipe.preprocess.size
    try:
        task = agent.Task(**task_of(recipe).model_dump())
        decode(task, outputs, geometry_of(height, width, height, width, letterbox=True))
    except AgentError as exc:
        raise InputError(Key("task", "decoder"), f"{exc.where}: {exc.what}", exc.remedy) from exc


def task_of(recipe: Recipe) -> Task:
    """The recipe's task, as the agent needs it."""
    return Task.model_validate(recipe.task.model_dump(exclude={"categories"}))


def input_of(preprocess: Preprocess) -> Input:
    """The recipe's preprocessing, as the agent needs it."""
    return Input.model_validate(preprocess.model_dump())


def threads() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


WITHOUT_EFFECT = {
    *("name", "description", "alternatives", "facts", "limits"),
    *("threads", "transport", "root", "python", "allowed_signers", "share_engines"),
}
"""What of a target no artifact depends on; whatever else it says is part of a build's key."""


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
    done = artifact.kept(about["artifact"])
    found = tuple(Mixing(**mix) for mix in about["mixing"])
    return None if done is None else (done, found, tuple(about["repairs"]))
