"""What a session of tests found: a table, a file of metrics, and baselines to save."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

    from edgeq.regression.figures import Figure

PREFIX = "edgeq_"
UNTOLD = "cannot be told"
"""Part of the reason of a test that would not say whether a run is worse than the baseline."""
_LABELS = ("board", "target", "recipe", "run", "baseline")
_SHOWN = (
    ("inference p50", "inference_p50_ms", 1.0, "{:.3g} ms"),
    ("frame p50", "frame_p50_ms", 1.0, "{:.3g} ms"),
    ("peak memory", "peak_memory_bytes", 2.0**20, "{:.1f} MiB"),
    ("size", "size_bytes", 2.0**20, "{:.2f} MiB"),
    ("mask AP", "mask_ap", 1.0, "{:.4f}"),
)


@dataclass
class RunTests:
    """The run of one recipe on one board, and the tests that looked at it."""

    labels: dict[str, str]
    figures: dict[str, Any] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    """of each test by its id: passed, failed or skipped"""
    untold: set[str] = field(default_factory=set)
    """the tests that were skipped, as a comparison with the baseline came to nothing"""

    def count(self, outcome: str) -> int:
        """How many tests ended so."""
        return sum(found == outcome for found in self.outcomes.values())


class Results:
    """The runs of a session, gathered from its tests' reports, which may come from workers."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, str], RunTests] = {}

    def add(self, report: pytest.TestReport) -> None:
        """Take in one phase of one test."""
        told = {
            name.removeprefix(PREFIX): value
            for name, value in report.user_properties
            if name.startswith(PREFIX)
        }
        if "board" not in told:
            return
        labels = {name: str(told.pop(name)) for name in _LABELS if name in told}
        run = self._runs.setdefault((labels["board"], labels["recipe"]), RunTests(labels))
        run.labels |= labels
        run.figures |= told
        if report.outcome == "skipped" and UNTOLD in str(report.longrepr):
            run.untold.add(report.nodeid)
        known = run.outcomes.get(report.nodeid)
        if known != "failed" and (known is None or report.outcome != "passed"):
            run.outcomes[report.nodeid] = report.outcome

    def measured(self) -> list[RunTests]:
        """Those where a deploy came to its end."""
        return [run for run in self._runs.values() if "run" in run.labels]

    def samples(self) -> Iterator[tuple[dict[str, str], list[Figure]]]:
        """Labels and figures of each run."""
        for run in self.measured():
            yield run.labels, list(run.figures.items())

    def table(self) -> list[str]:
        """A line for each run under a heading; nothing without runs."""
        heading = ["board", "run", *(title for title, *_ in _SHOWN), "against baseline", "tests"]
        rows = [self._row(run) for run in self._runs.values()]
        widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
        lines = [heading, *rows] if rows else []
        return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]

    def _row(self, run: RunTests) -> list[str]:
        written = []
        for _, name, divisor, form in _SHOWN:
            value = run.figures.get(name)
            if value is not None:
                written.append(form.format(value / divisor))
            else:
                is_time = name.endswith("_ms")
                written.append("unstable" if is_time and run.figures.get("unstable") else "-")
        tests = ", ".join(
            f"{run.count(one)} {one}" for one in ("failed", "passed", "skipped") if run.count(one)
        )
        return [run.labels["board"], run.labels.get("run", "-"), *written, _against(run), tests]


def _against(run: RunTests) -> str:
    words = []
    outcomes = {
        name.removeprefix("compare_").removesuffix("_outcome").replace("_", " "): value
        for name, value in run.figures.items()
        if name.startswith("compare_") and name.endswith("_outcome")
    }
    for outcome in ("worse", "cannot tell", "better"):
        metrics = [name for name, value in outcomes.items() if value == outcome]
        if metrics:
            words.append(f"{outcome}: {', '.join(metrics)}")
    if outcomes:
        return f"{run.labels.get('baseline', '')} {'; '.join(words) or 'same'}".strip()
    return "-"
