"""Student's t of a whole number of degrees of freedom, whose distribution has a closed form.

Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
"""

from __future__ import annotations

import math


def within(t: float, freedom: int) -> float:
    """The probability that |T| is at most |t|."""
    angle = math.atan(abs(t) / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    is_odd = freedom % 2
    term = cosine if is_odd else 1.0
    total = 0.0
    for power in range(2 + is_odd, freedom + 1, 2):
        total += term
        term *= (power - 1) / power * cosine * cosine
    return 2 / math.pi * (angle + sine * total) if is_odd else sine * total


def two_sided(t: float, freedom: int) -> float:
    """The probability that |T| is above |t|: what a two-sided test calls p."""
    return max(0.0, 1.0 - within(t, freedom))


def quantile(probability: float, freedom: int) -> float:
    """The t that T is at most with a probability of .5 to below 1."""
    low, high = 0.0, 1.0
    while within(high, freedom) < 2 * probability - 1:
        high *= 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if within(middle, freedom) < 2 * probability - 1:
            low = middle
        else:
            high = middle
    return high
