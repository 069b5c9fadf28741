"""How often `edgeq compare` is wrong of a model beside itself, and how often it finds 5% more work.

Comparisons run several at a time, each in a root folder of its own: they are each other's busy
neighbours. With 8 at a time all of it takes about four hours on two cores.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx

import edgeq
from benchmarks.figure import Figure, at_least, at_most
from benchmarks.inputs import ROOT
from benchmarks.wider import widened
from edgeq.artifact import archive
from edgeq.artifact.folder import Artifact
from edgeq.demo.annotations import write_annotations, write_scenes
from edgeq.demo.project import EVALUATION_COUNT, write_demo
from edgeq.device.connection import connect
from edgeq.device.device import Device
from edgeq.progress import silent
from edgeq.records.comparison import Compared
from edgeq.spec import target as targets
from edgeq.spec.recipe import Compare
from edgeq.stages.accuracies import accuracies
from edgeq.stages.bench import threads
from edgeq.stages.compared import Difference, cost_differences, judged
from edgeq.stages.fitness import check_device
from edgeq.stages.turns import take_turns
from edgeq.verbs.compare_question import Question, asked

PART = "comparing"
ALIKE = int(os.environ.get("COMPARISONS", "300"))
WORK = int(os.environ.get("COMPARISONS_OF_WORK", "100"))
WORKERS = int(os.environ.get("COMPARING_WORKERS", "8"))
SETS = int(os.environ.get("COMPARING_SETS", "100"))
FIRST_SEED = 7000
"""Of scenes that neither trained the demo's model nor calibrate it."""
DURATION_S = float(os.environ.get("COMPARING_S", "60"))
WIDENED = "/model.22/proto/cv2/conv/Conv"
HEAVIER = "/model.8/m.0/cv1/conv/Conv"
HEAVIER_CHANNELS = 3840
"""5% more memory. It does not grow evenly: 3,600 take 4.2%, 3,900 6.7%, 3,950 9.7%, 4,000 5.2%."""
MEMORY_S = 2.0
"""Memory needs loads and no time: all of it is there after the first image."""
WORSE_CALIBRATOR = (
    "calibrator: percentile, percentile: 99.99",
    "calibrator: percentile, percentile: 99.5",
)


def measure() -> Iterator[Figure]:
    """Shares of verdicts, through the command's own function, agents and processes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.setdefault("EDGEQ_HOME", f"{name}/home")
        demo = folder / "demo"
        write_demo(demo)
        same = built(demo, folder, "demo")
        model = onnx.load(str(demo / "model.onnx"))
        onnx.save(widened(model, WIDENED, 24), str(demo / "wider.onnx"))
        onnx.save(widened(model, HEAVIER, HEAVIER_CHANNELS), str(demo / "heavier.onnx"))
        wider = built(demo, folder, "wider", ("model: model.onnx", "model: wider.onnx"))
        heavier = built(demo, folder, "heavier", ("model: model.onnx", "model: heavier.onnx"))
        worse = built(demo, folder, "worse", WORSE_CALIBRATOR)
        images = demo / "evaluation"

        found = compared(same, same, images, ALIKE, DURATION_S)
        alarms = sum(_has(one, "worse") or _has(one, "better") for one in found)
        note = f"{len(found)} comparisons, {WORKERS} at a time; inference {_counts(found)}"
        yield Figure(
            PART,
            "false alarms, a model beside itself",
            alarms / len(found),
            "x",
            at_most(0.01),
            note,
        )

        found = compared(same, wider, images, WORK, DURATION_S)
        caught = sum(_has(one, "worse") for one in found) / len(found)
        change = sum(one["metrics"]["inference"]["change"][0] for one in found) / len(found)
        note = f"{len(found)} comparisons; inference {change:+.1%} on average, {_counts(found)}"
        yield Figure(
            PART,
            "worse, a layer with half as many channels more",
            caught,
            "x",
            at_least(0.95),
            note,
        )

        found = compared(same, heavier, images, WORK, MEMORY_S, warmup_s=0.0)
        caught = sum(one["metrics"]["peak memory"]["outcome"] == "worse" for one in found) / len(
            found
        )
        changes = [one["metrics"]["peak memory"]["change"][0] for one in found]
        note = f"{len(found)} comparisons of {MEMORY_S:g} s; {_range(changes)}"
        yield Figure(PART, "worse, 5% more peak memory", caught, "x", at_least(0.95), note)

        drops = list(mask_drops(demo, same, worse, SETS))
        resolved = sum(one.outcome == "worse" for one in drops) / len(drops)
        changes = [one.change.estimate for one in drops if one.change is not None]
        note = f"{len(drops)} sets of {EVALUATION_COUNT} drawn images; {_range(changes)}"
        limit = at_least(0.95)
        yield Figure(PART, "worse, mask AP of percentile 99.5", resolved, "x", limit, note)


def mask_drops(demo: Path, a: Path, b: Path, sets: int) -> Iterator[Compared]:
    """What a comparison says of mask AP on sets of images, each drawn for it.

    Times have nothing to do with the images, so turns are taken once for all sets: they are the
    other metrics that AP is judged beside.
    """
    sides = archive.read(a), archive.read(b)
    options = Compare(duration_s=1, reloads=3)
    target = targets.load("local")
    costs: list[Difference] = []
    with connect(target) as device:
        probe = check_device(target, device)
        for seed in range(sets):
            wanted = asked(sides, target, _drawn_set(demo, seed), options)
            assert wanted.dataset is not None and wanted.recipe is not None
            count = threads(wanted.recipe.measure, target, probe)
            costs = costs or _costs(device, sides, wanted, count)
            found = accuracies(device, sides, wanted.dataset, count, wanted.options, silent)
            observed = {"images": len(wanted.dataset.files)}
            metrics = judged([*costs, *found.differences], observed, found.meaningless)
            yield next(one for one in metrics if one.metric == "mask AP")


def _costs(
    device: Device, sides: tuple[Artifact, Artifact], wanted: Question, count: int
) -> list[Difference]:
    releases = device.push(sides[0], silent), device.push(sides[1], silent)
    loads = take_turns(device, releases, wanted.images, wanted.options, (count, None), 0, silent)
    return cost_differences(loads, wanted.options)


def _drawn_set(demo: Path, seed: int) -> Path:
    """The demo's recipe with images of its own."""
    images, annotations = demo / f"set{seed}", demo / f"set{seed}.json"
    images.mkdir()
    scenes = write_scenes(images, FIRST_SEED + seed, EVALUATION_COUNT)
    write_annotations(annotations, scenes)
    return _changed(
        demo,
        f"set{seed}",
        ("images: evaluation", f"images: {images.name}"),
        ("instances.json", annotations.name),
    )


def built(demo: Path, folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """The artifact of the demo's recipe with changes of its text."""
    edgeq.build(_changed(demo, name, *changes), "local", folder / f"{name}.edgeq")
    return folder / f"{name}.edgeq"


def _changed(demo: Path, name: str, *changes: tuple[str, str]) -> Path:
    text = (demo / "recipe.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    recipe = demo / f"{name}.yaml"
    recipe.write_text(text)
    return recipe


def compared(
    a: Path, b: Path, images: Path, count: int, duration_s: float, warmup_s: float | None = None
) -> list[dict[str, Any]]:
    """That many comparisons, some at a time."""
    options = {"duration_s": duration_s} | ({} if warmup_s is None else {"warmup_s": warmup_s})
    processes = []
    for worker in range(min(WORKERS, count)):
        given = {
            "root": str(a.parent / f"root{worker}"),
            "a": str(a),
            "b": str(b),
            "images": str(images),
            "count": count // WORKERS + (worker < count % WORKERS),
            "seed": 1000 * worker,
            "options": options,
        }
        command = [sys.executable, "-m", "benchmarks.processes.comparing", json.dumps(given)]
        home = {**os.environ, "EDGEQ_HOME": str(a.parent / f"home{worker}")}
        processes.append(subprocess.Popen(command, cwd=ROOT, env=home, stdout=subprocess.PIPE))
    texts = [process.communicate()[0].decode() for process in processes]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def _has(one: dict[str, Any], outcome: str) -> bool:
    return any(metric["outcome"] == outcome for metric in one["metrics"].values())


def _counts(found: Sequence[dict[str, Any]]) -> str:
    kinds = Counter(one["metrics"]["inference"]["outcome"] for one in found)
    return ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())


def _range(changes: Sequence[float]) -> str:
    middle = statistics.median(changes)
    return f"{middle:+.4f} at the median, {min(changes):+.4f} to {max(changes):+.4f}"
