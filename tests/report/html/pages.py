"""The page of a deploy of the demo, made once for all tests of this folder."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from edgeq.records.dossier import Dossier
from edgeq.records.measurement import Minute, StreamRun
from edgeq.records.report import Report, SlowerLayer, Speedup
from edgeq.report.html.page import render
from edgeq.store import open_store
from edgeq.verbs.dossier import dossier
from edgeq.verbs.history import METRICS, series

from ..reports import measurement


def of_demo(home: Path) -> Dossier:
    """What is known of the demo's deploy that `home` has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(home))
        [run] = open_store().reports()
        return dossier([run.id])


def written(found: Dossier, folder: Path) -> Path:
    """The page of a dossier, as a file."""
    path = folder / "report.html"
    path.write_text(render(found), encoding="utf-8")
    return path


def of_a_full_run(known: Dossier) -> Dossier:
    """The same with all that a page can show: steady, soaked, in streams, profiled, many runs."""
    runs = [_full(known.report, number) for number in range(12)]
    changed = {
        "report": runs[-1],
        "runs": tuple(reversed(runs)),
        "series": tuple(series(name, unit, runs) for name, unit in METRICS),
        "baselines": {runs[2].id: "main"},
    }
    return known.model_copy(update=changed)


def _full(report: Report, number: int) -> Report:
    """One of them; from the sixth on frames take longer."""
    device, reference = report.column("device"), report.column("float")
    assert device and device.measurement and reference
    ms = 8.0 + number % 3 + 6.0 * (number > 5)
    steady = measurement(ms).model_copy(
        update={
            "soak": (minute(40.0, 1_500_000), minute(71.5, 900_000, ("frequency",))),
            "streams": (stream(1), stream(2), stream(2, ("contention",))),
            "engine_facts": {"layer_times": [{"layer": "a & b", "ms": 0.5}]},
        }
    )
    columns = (
        reference.model_copy(update={"measurement": measurement(2 * ms)}),
        *(one for one in report.columns if one.name == "simulated"),
        reference.model_copy(update={"name": "fp16", "measurement": steady}),
        device.model_copy(update={"measurement": steady}),
    )
    slower = SlowerLayer(name="/model.0/conv", int8_ms=0.4, fp16_ms=0.3)
    return report.model_copy(
        update={
            "id": f"{number:012x}",
            "created_at": report.created_at + datetime.timedelta(hours=number),
            "columns": columns,
            "speedup": Speedup(
                int8_ms=ms,
                fp16_ms=2 * ms,
                slower=(slower,),
                reformat_int8_ms=0.9,
                reformat_fp16_ms=0.2,
            ),
        }
    )


def minute(hottest_c: float, slowest_khz: int, reasons: tuple[str, ...] = ()) -> Minute:
    """One minute of a long run."""
    return Minute(
        passes=100,
        median_ns=8_000_000,
        p99_ns=9_000_000,
        frame_median_ns=10_000_000,
        hottest_c=hottest_c,
        slowest_khz=slowest_khz,
        reasons=reasons,
    )


def stream(streams: int, reasons: tuple[str, ...] = ()) -> StreamRun:
    """A second of so many streams."""
    frames = ((10_000_000,) * 90,) * streams
    return StreamRun(
        streams=streams, threads=1, frame_ns=frames, duration_ns=10**9 * streams, reasons=reasons
    )
