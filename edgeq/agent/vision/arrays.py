"""Names for the array types in annotations; imported by type checkers only (numpy 1.17 lacks them).

`Floats` is float32, `Bools` and `Bytes` one byte an element, `Ints` int64.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Bools: TypeAlias = NDArray[np.bool_]
Bytes: TypeAlias = NDArray[np.uint8]
Ints: TypeAlias = NDArray[np.int64]
Array: TypeAlias = NDArray[Any]
