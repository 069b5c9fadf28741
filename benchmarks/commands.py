"""How fast the command line answers, and what a deploy does when nothing has changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import inputs
from benchmarks.child import ChildError
from benchmarks.figure import Figure, at_most, missing
from benchmarks.inputs import Subject

PART = "commands"
HELP_RUNS = 9
HELP_S = at_most(0.2)
IMAGES = 16
DONE_TWICE = "statistics or builds written by the second deploy"
OWN = ("check", "build", "push")
"""Stages whose time is edgeq's own; the others last as long as the recipe says."""
STATUSES = (0, 1, 4)
"""Deploys that came to their end; 4 says that the short measurement was unstable."""


def measure() -> Iterator[Figure]:
    """Seconds of `edgeq --help`, then the stages of a deploy and of the same deploy again."""
    seconds = []
    for _ in range(HELP_RUNS):
        started = time.perf_counter()
        subprocess.run([*_edgeq(), "--help"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    note = f"median of {HELP_RUNS}, best {min(seconds):.2f} s"
    yield Figure(PART, "edgeq --help", median(seconds), "s", HELP_S, note)
    subject = inputs.yolov5n(320)
    if subject is None:
        yield missing(PART, DONE_TWICE, "", inputs.NO_DATA, at_most(0))
        return
    with tempfile.TemporaryDirectory() as folder:
        yield from _deploys(subject, Path(folder))


def _deploys(subject: Subject, folder: Path) -> Iterator[Figure]:
    recipe = folder / "recipe.json"  # JSON is YAML too
    recipe.write_text(json.dumps(_recipe(subject, folder)), encoding="utf-8")
    stages, written = [], []
    for _ in range(2):
        before = _cached(folder)
        stages.append(_deploy(recipe, folder))
        written.append(len(_cached(folder) - before))
    note = f"the first one wrote {written[0]}"
    yield Figure(PART, DONE_TWICE, written[1], "", at_most(0), note)
    own = [sum(found[stage] for stage in OWN) for found in stages]
    note = f"check, build and push; first deploy {own[0]:.2f} s"
    yield Figure(PART, "second deploy, but for evaluating and measuring", own[1], "s", None, note)
    for stage, first in stages[0].items():
        note = f"first deploy {first:.2f} s"
        yield Figure(
            PART, f"stage '{stage}' of the second deploy", stages[1][stage], "s", None, note
        )


def _recipe(subject: Subject, folder: Path) -> dict[str, Any]:
    images = folder / "images.txt"
    images.write_text("\n".join(inputs.calibration_images(IMAGES)), encoding="utf-8")
    return {
        "model": str(subject.path),
        "task": {"decoder": "yolov5-seg", "classes": [f"class {i}" for i in range(80)]},
        "preprocess": {"size": subject.size},
        "calibration": {"images": str(images)},
        "quantize": "int8-percentile",
        "measure": {"warmup_s": 0.2, "max_warmup_s": 3, "min_duration_s": 1, "min_count": 10},
    }


def _deploy(recipe: Path, folder: Path) -> dict[str, float]:
    report = folder / "report.json"
    arguments = ["deploy", str(recipe), "--target", "local", "--report", str(report)]
    store = f"sqlite:///{folder / 'store.sqlite'}"
    variables = {**os.environ, "EDGEQ_HOME": str(folder / "home"), "EDGEQ_STORE": store}
    done = subprocess.run(
        [*_edgeq(), *arguments], check=False, capture_output=True, text=True, env=variables
    )
    if done.returncode not in STATUSES:
        words = done.stderr.strip().splitlines()
        raise ChildError(f"edgeq deploy: {words[-1] if words else f'status {done.returncode}'}")
    stages: dict[str, float] = json.loads(report.read_text(encoding="utf-8"))["stage_seconds"]
    return stages


def _cached(folder: Path) -> set[tuple[str, int]]:
    """Statistics and builds in the cache, each with its inode, which is another when it is new."""
    caches = (folder / "home" / "cache" / kind for kind in ("statistics", "builds"))
    files = (file for cache in caches for file in cache.glob("*"))
    return {(str(file), file.stat().st_ino) for file in files}


def _edgeq() -> list[str]:
    script = Path(sys.executable).with_name("edgeq")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "edgeq"]
