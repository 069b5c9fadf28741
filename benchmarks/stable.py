"""How often the demo's figures are stable: left alone, and beside a program on every core."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import edgeq
from benchmarks.figure import Figure, at_least, at_most
from edgeq.demo.project import write_demo

PART = "stable"
RUNS, LOADED_RUNS = int(os.environ.get("STABLE_RUNS", "20")), 5
ALONE, LOADED = at_least(0.95), at_most(0)


def measure() -> Iterator[Figure]:
    """Shares of measurements that came out stable, with the load that each part began under.

    The first says something of an idle machine only: see its note. STABLE_RUNS makes it shorter.
    """
    with tempfile.TemporaryDirectory() as name:
        os.environ.setdefault("EDGEQ_HOME", f"{name}/home")
        folder = Path(name) / "demo"
        write_demo(folder, calibration_count=8, evaluation_count=6)
        recipe = folder / "recipe.yaml"
        recipe.write_text(recipe.read_text().replace("count: 64", "count: 8"))
        artifact = Path(name) / "demo.edgeq"
        edgeq.build(recipe, "local", artifact)
        load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        stable, reasons = _share(artifact, folder, RUNS)
        note = f"{RUNS} runs, {load}; {reasons}"
        yield Figure(PART, "stable, nothing else started", stable, "x", ALONE, note)
        burn = [sys.executable, "-c", "while True: pass"]
        burning = [subprocess.Popen(burn) for _ in range(os.cpu_count() or 1)]
        try:
            stable, reasons = _share(artifact, folder, LOADED_RUNS)
        finally:
            for process in burning:
                process.kill()
                process.wait()
        note = f"{LOADED_RUNS} runs; {reasons}"
        yield Figure(PART, "stable beside a program on every core", stable, "x", LOADED, note)


def _share(artifact: Path, folder: Path, runs: int) -> tuple[float, str]:
    """The share of stable ones, and the kinds of reasons of the others."""
    found = [edgeq.measure(artifact, "local", folder / "evaluation") for _ in range(runs)]
    kinds = [reason.split(":")[0] for one in found for reason in one.unstable]
    counted = ", ".join(f"{kind} {kinds.count(kind)}" for kind in dict.fromkeys(kinds))
    return sum(not one.unstable for one in found) / runs, counted or "no reason to doubt any"
