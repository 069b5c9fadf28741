"""Measure, print one table, and write the same figures to benchmarks/out/results.json."""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from benchmarks import (
    calibration,
    checking,
    commands,
    comparing,
    hashing,
    hosts,
    inputs,
    latency,
    link,
    litert,
    looks,
    postprocess,
    push,
    rollouts,
    sensitivity,
    stable,
    thresholds,
)
from benchmarks.child import ChildError
from benchmarks.figure import Figure, missing
from benchmarks.table import render
from tests.cpu import cpu_class

ONLY_NAMED = (comparing.PART, hosts.PART)
"""What takes long."""


def main() -> int:
    """Status 0 when every limit was kept or not measured, 1 when one was missed."""
    given = _arguments()
    parts: dict[str, Callable[[], Iterable[Figure]]] = {
        commands.PART: commands.measure,
        hashing.PART: hashing.measure,
        checking.PART: checking.measure,
        postprocess.PART: postprocess.measure,
        latency.PART: latency.measure,
        litert.PART: litert.measure,
        stable.PART: stable.measure,
        looks.PART: looks.measure,
        thresholds.PART: thresholds.measure,
        sensitivity.PART: sensitivity.measure,
        calibration.PART: lambda: calibration.measure(given.nncf_python),
        push.PART: push.measure,
        rollouts.PART: rollouts.measure,
        hosts.PART: hosts.measure,
        link.PART: link.measure,
        comparing.PART: comparing.measure,
    }
    figures = []
    started = time.monotonic()
    for part in given.parts or [part for part in parts if part not in ONLY_NAMED]:
        for figure in _measured(part, parts[part]):
            seconds = time.monotonic() - started
            print(f"[{seconds:4.0f} s] {part}: {figure.name}", file=sys.stderr, flush=True)
            figures.append(figure)
    print(f"{_machine()}\n\n{render(figures)}")
    _write(figures, given.json)
    return int(any(figure.verdict == "missed" for figure in figures))


def _arguments() -> argparse.Namespace:
    modules = (
        *(commands, hashing, checking, postprocess, latency, litert, stable, looks),
        *(thresholds, sensitivity, calibration, push, rollouts, hosts, link, comparing),
    )
    names = [part.PART for part in modules]
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help=f"{', '.join(names)}  [default: all but comparing and hosts]",
    )
    parser.add_argument(
        "--nncf-python", type=Path, help="a Python that has nncf, onnx and opencv, to compare with"
    )
    parser.add_argument("--json", type=Path, default=inputs.OUT / "results.json")
    given = parser.parse_args()
    unknown = [part for part in given.parts if part not in names]
    if unknown:
        parser.error(f"part '{unknown[0]}' is unknown; there are {', '.join(names)}")
    return given


def _measured(part: str, measure: Callable[[], Iterable[Figure]]) -> Iterator[Figure]:
    """The figures of a part; one that breaks off says so and leaves the other parts alone."""
    try:
        yield from measure()
    except ChildError as exc:
        yield missing(part, "the rest of this part", "", str(exc))


def _machine() -> str:
    return f"{platform.machine()} ({cpu_class()}), {inputs.threads()} cores"


def _write(figures: list[Figure], path: Path) -> None:
    content = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": _machine(),
        "python": platform.python_version(),
        "figures": [figure.record() for figure in figures],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
