"""What a board and its electricity cost, as a target states it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from edgeq.records.record import Record

Price = Annotated[float, Field(gt=0, le=1e12)]


class Prices(Record):
    """Prices in one currency; what is not given is not reckoned with."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", examples=["EUR", "USD"])]
    """by its code in ISO 4217"""
    board: Price | None = None
    """what one board costs, with all that it needs to run"""
    kwh: Price | None = None
    """what a kilowatt-hour costs where the boards are"""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.board is None and self.kwh is None:
            raise ValueError("there is no price in it; give board, kwh or both")
        return self
