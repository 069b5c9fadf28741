"""Arrays of float32 for hypothesis to draw, and what they are compared by."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

Floats = NDArray[np.float32]

EDGES = [0.0, -0.0, 1.0, -1.0, 2.0, 1 + 2**-9, -(1 + 2**-9), 1e-45, -1e-45, 1.1754944e-38]

numbers = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.sampled_from([float(np.float32(value)) for value in EDGES]),
)
arrays = hnp.arrays(np.float32, st.integers(1, 60), elements=numbers)
moderate = hnp.arrays(
    np.float32, st.integers(1, 60), elements=st.floats(-100, 100, width=32, allow_subnormal=False)
)


@st.composite
def smooth(draw: st.DrawFn) -> Floats:
    """Some ten thousand values from a distribution of drawn shape, place and spread."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["normal", "laplace", "uniform", "gamma"]))
    size = 20_000
    drawn = {
        "normal": lambda: rng.normal(size=size),
        "laplace": lambda: rng.laplace(size=size),
        "uniform": lambda: rng.uniform(-1, 1, size=size),
        "gamma": lambda: rng.gamma(2.0, size=size),
    }[kind]()
    centre = draw(st.floats(-1, 1))
    spread = 10.0 ** draw(st.integers(-6, 6))
    return np.asarray((drawn + centre) * spread, np.float32)
