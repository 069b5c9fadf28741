"""What a node reads, as PyTorch sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Tensor = Any
"""torch.Tensor"""
Inputs = Sequence[Tensor]
"""What a node reads; None where an optional input is left out"""


def given(inputs: Inputs, index: int) -> Tensor | None:
    """An input, None where it is left out."""
    return inputs[index] if len(inputs) > index else None


def numbers(value: Tensor) -> list[Any]:
    """The elements of a constant."""
    found = value.reshape(-1).tolist()
    return list(found)
