"""What frames cost, from what the target says a board and its electricity cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeq.errors import InputError
from edgeq.records.measurement import Measurement
from edgeq.records.prices import Prices
from edgeq.records.report import Report
from edgeq.report.html.opening import opening_view
from edgeq.spec import target as targets

from .reports import full_columns, report
from .test_board import jetson, row, text_of

PRICES = Prices(currency="EUR", board=500, kwh=0.36)
BOARD, POWER = "board, EUR per frame/s", "electricity, EUR per 1e6 frames"
LOCAL = "{runtime: onnxruntime, architecture: host, activation_type: probe, transport: local, "


def priced(measured: Measurement, prices: Prices = PRICES) -> Report:
    return report(full_columns(measured)).model_copy(update={"prices": prices})


def of_20_ms(**more: object) -> Measurement:
    frames = {"preprocess_ns": (3_000_000,) * 4, "inference_ns": (15_000_000,) * 4}
    changed = {**frames, "postprocess_ns": (1_000_000, 3_000_000) * 2, **more}
    return jetson().model_copy(update=changed)


def test_a_board_of_500_that_computes_50_frames_a_second_costs_10_for_each() -> None:
    assert row(text_of(priced(of_20_ms()), 120), BOARD)[2] == "10.0"


def test_a_million_frames_of_400_mj_take_a_ninth_of_a_kilowatt_hour() -> None:
    # 400.5 mJ with what the board draws when idle: 1e6 * .4005 J / 3.6e6 J = .11125 kWh.
    assert row(text_of(priced(of_20_ms()), 120), POWER)[2] == "0.0401"  # .04005


def test_what_is_not_priced_or_not_measured_has_no_figure() -> None:
    text = text_of(priced(of_20_ms(), Prices(currency="USD", kwh=0.2)), 120)
    assert "board, USD" not in text and "electricity, USD" in text
    unmeasured = text_of(priced(of_20_ms(power=None)), 120)
    assert row(unmeasured, POWER) == ["not measured"] * 3
    assert row(unmeasured, BOARD)[2] == "10.0"
    assert row(text_of(priced(of_20_ms(emulated=True)), 120), "money") == ["not measured"] * 3
    unstable = text_of(priced(of_20_ms(unstable=("drift: it fell",))), 120)
    assert row(unstable, BOARD)[2] == row(unstable, POWER)[2] == "unstable"
    assert "EUR" not in text_of(report(full_columns(of_20_ms())), 120)


def test_rows_fit_a_terminal_of_80_columns() -> None:
    text = text_of(priced(of_20_ms()), 80)
    assert row(text, POWER) == ["not measured", "not measured", "0.0401"]
    assert max(map(len, text.splitlines())) <= 80


def test_the_page_says_it_beside_the_energy() -> None:
    rows = {one.label: one.figures for one in opening_view(priced(of_20_ms())).rows}
    assert [(one.text, one.unit) for one in rows["board"]][-1] == ("10.0", "EUR")
    assert [(one.text, one.unit) for one in rows["electricity"]][-1] == ("0.0401", "EUR")
    assert [one.is_known for one in rows["board"]] == [False, False, True]
    assert rows["board"][-1].beneath == "500 EUR a board, 20.0 ms a frame on average"
    assert rows["electricity"][-1].beneath == "0.36 EUR a kWh, 400 mJ a frame, idle included"
    assert "prices: 500 EUR a board, 0.36 EUR a kWh" in text_of(priced(of_20_ms()), 120)


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ("{currency: euros, board: 3}", 'prices.currency is "euros"; it should be like EUR or USD'),
        ("{currency: EUR}", "there is no price in it; give board, kwh or both"),
        ("{currency: EUR, board: 0}", "prices.board is 0; it should be greater than 0"),
        ("{currency: EUR, kwh: free}", 'prices.kwh is "free"; it should be a number'),
    ],
)
def test_prices_that_say_nothing_are_refused(tmp_path: Path, prices: str, said: str) -> None:
    file = tmp_path / "target.yaml"
    file.write_text(f"{LOCAL}root: {tmp_path}, prices: {prices}}}\n")
    with pytest.raises(InputError) as caught:
        targets.load(str(file))
    assert said in str(caught.value)
    assert f"{file}:1" in str(caught.value)
