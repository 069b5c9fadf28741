"""What frames cost on a board, where its target gives prices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from edgeq.records.measurement import Measurement
from edgeq.records.prices import Prices
from edgeq.records.report import Column
from edgeq.report.figures import NOT_MEASURED, UNSTABLE, three_digits
from edgeq.report.rows import Row, Section

MILLION = 1_000_000
_MJ_PER_KWH = 3.6e9


@dataclass(frozen=True)
class Costs:
    """One kind of cost: what it is for, how much a measurement comes to, and of what that is.

    `unit` is what it is for in few characters.
    """

    name: str
    per: str
    unit: str
    amount: Callable[[Measurement], float | None]
    said: Callable[[Measurement], str]


def costs(prices: Prices) -> Iterator[Costs]:
    """What these prices tell the cost of."""
    board, kwh, currency = prices.board, prices.kwh, prices.currency
    if board is not None:

        def of_frames(measured: Measurement) -> str:
            frame_ms = three_digits(_frame_ms(measured))
            return f"{_price(board, currency)} a board, {frame_ms} ms a frame on average"

        yield Costs(
            "board", "for a frame a second", "frame/s", partial(_capacity, board), of_frames
        )
    if kwh is not None:

        def of_energy(measured: Measurement) -> str:
            energy_mj = three_digits(_energy_mj(measured) or 0.0)
            return f"{_price(kwh, currency)} a kWh, {energy_mj} mJ a frame, idle included"

        yield Costs(
            "electricity",
            "for a million frames",
            "1e6 frames",
            partial(_electricity, kwh),
            of_energy,
        )


def priced(prices: Prices) -> str:
    """The prices themselves, as the target gives them."""
    given = {"a board": prices.board, "a kWh": prices.kwh}
    return ", ".join(
        f"{_price(price, prices.currency)} {of}" for of, price in given.items() if price
    )


def _price(value: float, currency: str) -> str:
    """As it was given, but with thousands set apart."""
    return f"{value:,.15g} {currency}"


def money(prices: Prices) -> Section:
    """The costs as rows of the report's table."""
    return Section(
        "money",
        tuple(
            Row(f"{cost.name}, {prices.currency} per {cost.unit}", partial(written, cost))
            for cost in costs(prices)
        ),
    )


def written(cost: Costs, column: Column) -> str:
    """The amount as text, or why there is none."""
    measured = column.measurement
    amount = cost.amount(measured) if measured else None
    if measured is None or measured.emulated or amount is None:
        return NOT_MEASURED
    return UNSTABLE if measured.unstable else _amount(amount)


def _amount(value: float) -> str:
    """To three significant digits, however small: nothing is free that only costs little."""
    leading = math.floor(math.log10(value)) if value > 0 else 0
    return three_digits(value) if leading > -2 else f"{value:.{2 - leading}f}"


def _capacity(board: float, measured: Measurement) -> float | None:
    """The board's price over the frames that it computes a second, one after the other."""
    frame_ms = _frame_ms(measured)
    return None if math.isnan(frame_ms) else board * frame_ms / 1e3


def _frame_ms(measured: Measurement) -> float:
    """The mean, which frames one after the other come to; NaN without a decoder's time."""
    frames_ns = measured.samples_ns("frame") if measured.postprocess_ns else ()
    return sum(frames_ns) / 1e6 / len(frames_ns) if frames_ns else math.nan


def _electricity(kwh: float, measured: Measurement) -> float | None:
    energy_mj = _energy_mj(measured)
    return None if energy_mj is None else energy_mj * MILLION / _MJ_PER_KWH * kwh


def _energy_mj(measured: Measurement) -> float | None:
    """Of a frame, with what the board draws when idle: it is switched on for it."""
    power = measured.power if measured.postprocess_ns else None
    return power.energy_with_idle_mj if power else None
