"""What frames cost on a board, where its target gives prices."""

from __future__ import annotations

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
    """One kind of cost: what it is for, and how much of it a measurement comes to."""

    name: str
    per: str
    amount: Callable[[Measurement], float | None]


def costs(prices: Prices) -> Iterator[Costs]:
    """What these prices tell the cost of."""
    if prices.board is not None:
        yield Costs("board", "for a frame a second", partial(_capacity, prices.board))
    if prices.kwh is not None:
        yield Costs("electricity", "for a million frames", partial(_electricity, prices.kwh))


def money(prices: Prices) -> Section:
    """The costs as rows of the report's table."""
    return Section(
        "money",
        tuple(
            Row(f"{cost.name}, {prices.currency} {cost.per}", partial(written, cost))
            for cost in costs(prices)
        ),
    )


def written(cost: Costs, column: Column) -> str:
    """The amount as text, or why there is none."""
    measured = column.measurement
    amount = cost.amount(measured) if measured else None
    if measured is None or measured.emulated or amount is None:
        return NOT_MEASURED
    return UNSTABLE if measured.unstable else three_digits(amount)


def _capacity(board: float, measured: Measurement) -> float | None:
    """The board's price over the frames that it computes a second, one after the other."""
    frames_ns = measured.samples_ns("frame") if measured.postprocess_ns else ()
    return board * sum(frames_ns) / 1e9 / len(frames_ns) if frames_ns else None


def _electricity(kwh: float, measured: Measurement) -> float | None:
    """With what the board draws when idle: it is switched on for these frames."""
    energy_mj = measured.power.energy_with_idle_mj if measured.power else None
    return None if energy_mj is None else energy_mj * MILLION / _MJ_PER_KWH * kwh
