"""The plan that `litert_writing` reads; a process of its own, as calibration needs more memory."""

from __future__ import annotations

from pathlib import Path

from benchmarks.processes.exchange import answer, arguments
from benchmarks.processes.plans import CALIBRATORS, calibrated, planned_for_litert


def main() -> None:
    """Run {model, size, images, threads, plan}: the last is the file to write."""
    given = arguments()
    subject = calibrated(Path(given["model"]), given["size"], given["images"], given["threads"])
    plan = planned_for_litert(subject, CALIBRATORS["percentile 99.99"])
    Path(given["plan"]).write_text(plan.to_json(), encoding="utf-8")
    answer({})


if __name__ == "__main__":
    main()
