"""The section of latency says of each column what keeps its times from being figures."""

from __future__ import annotations

from edgeq.records.dossier import Dossier
from edgeq.report.html.latency import LatencyView, latency_view

from ..reports import column, measurement, report


def viewed(float_unstable: tuple[str, ...] = (), emulated: bool = False) -> LatencyView:
    columns = (
        column("float", 0.25, None, measurement(60.0, unstable=float_unstable)),
        column("device", 0.25, None, measurement(emulated=emulated)),
    )
    found = report(columns)
    return latency_view(
        Dossier(report=found, evidence=None, without_evidence="gone", runs=(found,))
    )


def test_nothing_is_said_of_steady_times_of_a_real_device() -> None:
    assert viewed().said == () and viewed().charts


def test_the_column_beside_may_be_the_unstable_one() -> None:
    assert viewed(("contention: much", "heat: 90 C")).said == (
        "float is unstable: contention: much; heat: 90 C.",
    )


def test_an_emulated_device_is_named() -> None:
    [said] = viewed(emulated=True).said
    assert "emulated device" in said and "nothing of a real one" in said
