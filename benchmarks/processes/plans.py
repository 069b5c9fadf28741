"""Statistics and int8 files of a model, by the calls that a build makes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeq.agent.system.packages import looked_for
from edgeq.agent.verbs.probe import probe
from edgeq.agent.wire.fields import Fields
from edgeq.agent.wire.job_file import probe_job
from edgeq.calibration import statistics
from edgeq.calibration.statistics import Statistics
from edgeq.graph.load import load
from edgeq.graph.model import Model
from edgeq.graph.tail import Tail, find_tail
from edgeq.quantization.decide import resolve_choices
from edgeq.quantization.plan import Plan
from edgeq.quantization.planner import make_plan
from edgeq.records.answers import Probe
from edgeq.runtimes import runtime
from edgeq.spec import target as targets
from edgeq.spec.images import images_of
from edgeq.spec.quantize import Activations, Quantize
from edgeq.spec.recipe import Preprocess

CALIBRATORS = {
    "max": Activations(calibrator="max"),
    "entropy": Activations(calibrator="entropy"),
    "percentile 99.9": Activations(calibrator="percentile", percentile=99.9),
    "percentile 99.99": Activations(calibrator="percentile", percentile=99.99),
    "percentile 99.999": Activations(calibrator="percentile", percentile=99.999),
    "mse": Activations(calibrator="mse"),
}


@dataclass(frozen=True)
class Calibrated:
    """A model and what was seen in its tensors."""

    model: Model
    tail: Tail
    seen: Statistics


def calibrated(model: Path, size: int, images: list[str], threads: int) -> Calibrated:
    """Load the model and run it over the images."""
    loaded = load(model)
    tail = find_tail(loaded)
    wanted = statistics.wanted_tensors(loaded, tail.nodes)
    files = images_of([Path(image) for image in images])
    seen = statistics.gather(loaded, wanted, files, Preprocess(size=(size, size)), threads)
    return Calibrated(loaded, tail, seen)


def planned_for_litert(subject: Calibrated, activations: Activations) -> Plan:
    """The plan for a 64-bit ARM board with LiteRT, which runs on x86 as well."""
    placement, _ = runtime("litert").placement(targets.load("arm-cpu-tflite"), None)
    choices = resolve_choices(subject.model, Quantize(activations=activations))
    return make_plan(subject.model, subject.seen, subject.tail, choices, placement)


def written(subject: Calibrated, activations: Activations, file: Path) -> Plan:
    """Plan for ONNX Runtime on this CPU and write the int8 model; the plan comes back."""
    engine = runtime("onnxruntime")
    with looked_for() as tried:
        seen = Probe.model_validate(probe(probe_job(Fields({}, [])), tried))
    placement, _ = engine.placement(targets.load("local"), seen)
    choices = resolve_choices(subject.model, Quantize(activations=activations))
    plan = make_plan(subject.model, subject.seen, subject.tail, choices, placement)
    file.write_bytes(engine.write(subject.model, plan)[engine.written.model])
    return plan
