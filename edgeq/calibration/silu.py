"""SiLU and the sigmoid, and where SiLU is least: the one function here that is not monotone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]

SILU_MINIMISER = -1.2784645427610738
"""Where x * sigmoid(x) has its minimum."""


def silu(x: Values) -> Values:
    """SiLU: x * sigmoid(x)."""
    return np.asarray(x * sigmoid(x))


def sigmoid(x: Values) -> Values:
    """1 / (1 + exp(-x)), without overflow, and as exact far below zero as elsewhere."""
    return np.asarray(np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x))))


def lowest_by_silu(values: Iterable[float]) -> float:
    """The one of which SiLU makes the least; infinite ones stand for none."""
    return min(values, key=lambda x: float(silu(np.array(x))) if np.isfinite(x) else np.inf)
