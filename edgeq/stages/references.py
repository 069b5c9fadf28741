"""What an artifact is compared with: the float model, in fp16 too, and the simulation."""

from __future__ import annotations

from edgeq.artifact.folder import Artifact
from edgeq.artifact.manifest import RuntimeEntry
from edgeq.runtimes import REFERENCE, runtime
from edgeq.stages.build import Build
from edgeq.stages.one_file import float_artifact, of_one_file, on_host
from edgeq.stages.plan import planned
from edgeq.stages.prepare import Prepared


def fp16_artifact(prepared: Prepared, built: Build) -> Artifact | None:
    """The float model for the device's engine in fp16; None where the engine compiles nothing."""
    engine = runtime(prepared.target.runtime)
    compiled = engine.compiled(built.plan.form, "fp16")
    if compiled is None:
        return None
    content = engine.write_float(prepared.model, built.plan)
    made_for = RuntimeEntry(name=engine.name, model="model.onnx", compile=compiled)
    return of_one_file(prepared, content, made_for)


def float_on_device(prepared: Prepared, built: Build) -> Artifact:
    """The float model for an engine that runs it as it is: what int8 is measured beside."""
    engine = runtime(prepared.target.runtime)
    if engine.name == REFERENCE:
        return float_artifact(prepared)
    content = engine.write_float(prepared.model, built.plan)
    entry = RuntimeEntry(
        name=engine.name,
        model=engine.written.model,
        delegate=engine.delegate(prepared.target),
    )
    return of_one_file(prepared, content, entry, engine.written.layout)


def simulation(prepared: Prepared, built: Build) -> Artifact:
    """The artifact as the host can run it: its Q/DQ graph, whatever engine the device has."""
    made = built.artifact
    if made.manifest.runtime.name == REFERENCE:
        return made
    engine = runtime(prepared.target.runtime)
    content = made.path(made.manifest.runtime.model).read_bytes()
    model = planned(prepared).model if prepared.recipe.repair.is_wanted else prepared.model
    content = engine.write_simulation(model, built.plan, content)
    return on_host(prepared, content)
