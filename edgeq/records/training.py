"""What training the whole network came to."""

from __future__ import annotations

from typing import Literal

from edgeq.records.accuracy import Agreement
from edgeq.records.record import Record


class Training(Record):
    """What training the whole network came to; `output` is the float model that was written.

    `before` and `after` are how the quantized model agrees with the float one as it was before, on
    `held_out` images that were not trained on; `better`, whether their mean of masks and boxes
    rose by more than chance moves it. `loss` is the user's own, None for the float model's values.
    """

    recipe: str
    target: str
    output: str
    loss: str | None
    iterations: int
    rate: float | None
    unit: Literal["of the weights", "steps of quantization"]
    layers: int
    images: int
    held_out: int
    before: Agreement
    after: Agreement
    better: bool
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 if the quantized model agrees better than before, otherwise 1."""
        return 0 if self.better else 1
