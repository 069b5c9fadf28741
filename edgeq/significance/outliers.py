"""Which of several figures lie far from the others.

Modified z-scores (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993): a figure's
distance from the median, in units of what the median absolute deviation would be of a normal
distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

FAR = 3.5
"""The score that they recommend."""
FEWEST = 5
"""Of fewer none is far from the others: there are hardly any."""
_OF_MEDIAN, _OF_MEAN = 1.4826, 1.2533
"""Times which the median and the mean absolute deviation are a normal distribution's sigma."""


def outliers(values: Sequence[float]) -> tuple[int, ...]:
    """The places of those that lie far, in order; none of fewer than five values."""
    if len(values) < FEWEST:
        return ()
    middle = median(values)
    distances = [abs(value - middle) for value in values]
    # Where more than half are equal, the median deviation is 0: theirs is the mean one then.
    sigma = _OF_MEDIAN * median(distances) or _OF_MEAN * sum(distances) / len(distances)
    if not sigma:
        return ()
    return tuple(at for at, distance in enumerate(distances) if distance / sigma > FAR)
