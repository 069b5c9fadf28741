"""How often `edgeq compare` is wrong of a model beside itself, and how often it finds 5% more work.

Comparisons run several at a time, each in a root folder of its own: they are each other's busy
neighbours. With 8 at a time all of it takes about three hours on two cores.
"""

from __future__ import annotations

import json
import os
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
from edgeq.demo.annotations import write_annotations, write_scenes
from edgeq.demo.project import EVALUATION_COUNT, write_demo
from edgeq.records.comparison import Compared
from edgeq.spec.recipe import Compare

PART = "comparing"
ALIKE = int(os.environ.get("COMPARISONS", "300"))
WORK = int(os.environ.get("COMPARISONS_OF_WORK", "100"))
WORKERS = int(os.environ.get("COMPARING_WORKERS", "8"))
SETS = int(os.environ.get("COMPARING_SETS", "12"))
FIRST_SEED = 7000
"""Of scenes that neither trained the demo's model nor calibrate it."""
DURATION_S = float(os.environ.get("COMPARING_S", "60"))
WIDENED = "/model.22/proto/cv2/conv/Conv"
HEAVIER = "/model.8/m.0/cv1/conv/Conv"
HEAVIER_CHANNELS = 3600
"""Its memory should be about 5% larger: 2,400 were seen to take 2.4%, and 10,500 19.8%."""
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

        found = compared(same, heavier, images, max(1, WORK // 4), 8.0)
        caught = sum(one["metrics"]["peak memory"]["outcome"] == "worse" for one in found) / len(
            found
        )
        change = sum(one["metrics"]["peak memory"]["change"][0] for one in found) / len(found)
        note = f"{len(found)} comparisons of 8 s; {change:+.1%} on average"
        yield Figure(PART, "worse, peak memory", caught, "x", at_least(0.95), note)

        drops = [mask_drop(demo, same, worse, seed) for seed in range(SETS)]
        resolved = sum(one.outcome == "worse" for one in drops) / len(drops)
        changes = [one.change.estimate for one in drops if one.change is not None]
        note = (
            f"{len(drops)} sets of {EVALUATION_COUNT} drawn images; "
            f"{min(changes):+.4f} to {max(changes):+.4f}"
        )
        limit = at_least(0.95)
        yield Figure(PART, "worse, mask AP of percentile 99.5", resolved, "x", limit, note)


def mask_drop(demo: Path, a: Path, b: Path, seed: int) -> Compared:
    """What a comparison says of mask AP on a set of images that is drawn for it."""
    images, annotations = demo / f"set{seed}", demo / f"set{seed}.json"
    images.mkdir()
    scenes = write_scenes(images, FIRST_SEED + seed, EVALUATION_COUNT)
    write_annotations(annotations, scenes)
    text = (demo / "recipe.yaml").read_text()
    changes = (
        ("images: evaluation", f"images: {images.name}"),
        ("instances.json", annotations.name),
    )
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    recipe = demo / f"set{seed}.yaml"
    recipe.write_text(text)
    options = Compare(duration_s=1, reloads=3)
    found = edgeq.compare(a, b, "local", recipe, options).metric("mask AP")
    assert found is not None
    return found


def built(demo: Path, folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    """The artifact of the demo's recipe with changes of its text."""
    text = (demo / "recipe.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    recipe = demo / f"{name}.yaml"
    recipe.write_text(text)
    edgeq.build(recipe, "local", folder / f"{name}.edgeq")
    return folder / f"{name}.edgeq"


def compared(a: Path, b: Path, images: Path, count: int, duration_s: float) -> list[dict[str, Any]]:
    """That many comparisons, some at a time."""
    processes = []
    for worker in range(min(WORKERS, count)):
        given = {
            "root": str(a.parent / f"root{worker}"),
            "a": str(a),
            "b": str(b),
            "images": str(images),
            "count": count // WORKERS + (worker < count % WORKERS),
            "seed": 1000 * worker,
            "options": {"duration_s": duration_s},
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
