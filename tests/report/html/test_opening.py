"""What a reader sees first: no sentence and no figure says more than was measured."""

from __future__ import annotations

import csv
import io
from typing import Any

from edgeq.records.measurement import Measurement, Power
from edgeq.records.report import Gain, Report
from edgeq.report.html.opening import OpeningView, opening_view

from ..reports import accuracy, full_columns, measurement, report
from .elements import linked


def with_energy(energy_mj: float, **changes: Any) -> Measurement:
    power = Power(
        source="INA3221",
        rails_mw={"VDD_IN": 5000},
        total_rails=("VDD_IN",),
        total_mw=5000,
        idle_mw=4000,
        energy_mj=energy_mj,
        energy_with_idle_mj=400,
        samples=100,
    )
    return measurement(**changes).model_copy(update={"power": power})


def changed(name: str, **fields: Any) -> Report:
    """A report, with a column changed."""
    columns = full_columns(measurement())
    return report(
        tuple(c.model_copy(update=fields) if c.name == name else c for c in columns)
    ).model_copy(update={"gain": Gain(int8_ms=40, float_ms=60)})


def told(view: OpeningView) -> str:
    return " ".join(view.sentences)


def test_no_ratio_to_what_was_unstable() -> None:
    steady = changed("float", measurement=measurement(60.0))
    assert "1.50 times as fast as float" in told(opening_view(steady))
    shaky = changed("float", measurement=measurement(60.0, unstable=("contention: much",)))
    assert "times as fast" not in told(opening_view(shaky))


def test_images_without_a_mask_are_no_lack_of_images() -> None:
    empty = accuracy(0.25, {}).model_copy(
        update={"mask": accuracy(0.25, {}).mask.model_copy(update={"ap": None})}
    )
    found = changed("device", accuracy=empty, mask_ap_drop=None)
    assert "none is annotated in these images; agreement with" in told(opening_view(found))
    nothing = changed("device", accuracy=None, mask_ap_drop=None)
    assert "the recipe evaluates no images" in told(opening_view(nothing))


def test_a_float_model_that_is_no_reference_is_said() -> None:
    doubtful = changed("float", doubtful=("mask",), doubt="float scores 0.01, below the floor")
    assert "What is lost cannot be told: float scores 0.01" in told(opening_view(doubtful))


def test_large_words_say_where_latency_was_not_measured() -> None:
    assert "Latency" not in opening_view(changed("float")).words
    shaky = changed("device", measurement=measurement(unstable=("heat: 90 C",)))
    assert opening_view(shaky).words.endswith("Latency was not measured: it was unstable.")
    emulated = opening_view(changed("device", measurement=measurement(emulated=True)))
    assert emulated.words.endswith("Latency was not measured: the device is emulated.")


def test_energy_has_a_figure_only_where_it_is_one() -> None:
    def energy(measured: Measurement) -> tuple[str, str]:
        view = opening_view(changed("device", measurement=measured))
        [row] = [row for row in view.rows if row.label == "energy"]
        return row.figures[-1].text, row.figures[-1].beneath

    assert energy(with_energy(160.0)) == ("160", "")
    assert energy(with_energy(160.0, emulated=True)) == ("160", "emulated")
    assert energy(with_energy(160.0, unstable=("heat: 90 C",))) == ("unstable", "")
    assert energy(with_energy(-3.2)) == ("not resolved", "no more than when idle")


def test_every_figure_is_in_the_csv_with_its_unit_and_its_ends() -> None:
    view = opening_view(changed("float"))
    rows = list(csv.DictReader(io.StringIO(linked(view.numbers.csv))))
    device = {row["figure"]: row for row in rows if row["column"] == "device"}
    assert len(rows) >= len(view.rows) * 3
    assert (float(device["memory"]["value"]), device["memory"]["unit"]) == (143.0, "MiB")
    lost = device["mask AP lost"]
    assert float(lost["low"]) < float(lost["value"]) < float(lost["high"])
    assert float(device["engine"]["value"]) < float(device["engine"]["at most"])
    assert device["energy"]["value"] == "" and device["energy"]["remark"] == "not measured"
