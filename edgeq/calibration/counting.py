"""The inner loop of calibration: count the bins of an array and find its extremes.

Compiled by LLVM where llvmlite is installed (extra `fast`; numba brings it too); in numpy
otherwise, with the same result. Numba itself would add 0.4 s and 45 MiB to every pass.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import mmap
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeq.calibration.silu import SILU_MINIMISER, lowest_by_silu, silu
from edgeq.calibrators.histogram import BINS, SHIFT, Histogram, from_dense

Floats = NDArray[np.float32]
Count = Callable[[NDArray[np.uint32], NDArray[np.uint32], np.uint32], None]

_PART = 1 << 16
"""So many values at once keep the intermediates of a function small."""


class Counter:
    """Counts the values of one tensor, array by array.

    `feeds_silu` keeps `lowest` too: the seen value of which SiLU makes the least, for the exact
    minimum of what SiLU makes of this tensor.
    """

    def __init__(self, feeds_silu: bool = False) -> None:
        # Untouched pages of this megabyte are never resident; a tensor's values meet some tens
        # of them. A recycled piece of the heap would be zeroed, and so touched, as a whole.
        self.recent = np.frombuffer(mmap.mmap(-1, 4 * BINS), np.uint32)
        self.recent_total = 0
        self._counts: NDArray[np.int64] | None = None
        self.low, self.high = np.inf, -np.inf
        self.feeds_silu = feeds_silu
        self.lowest = np.inf

    def add(self, values: Floats) -> bool:
        """Count a float32 array; False, and nothing counted, if a value of it is not finite."""
        flat = np.ascontiguousarray(values).reshape(-1)
        if self.recent_total + flat.size >= 2**32:
            self._flush()
        self.recent_total += flat.size
        low, high = _extremes(flat)
        if not np.isfinite(low) or not np.isfinite(high):
            return False
        compiled_count()(flat.view(np.uint32), self.recent, np.uint32(SHIFT))
        self.low, self.high = min(self.low, low), max(self.high, high)
        # A distance d from the minimiser moves the minimum by about d²/4, so that closer than
        # this nothing is won any more within float32.
        if self.feeds_silu and abs(self.lowest - SILU_MINIMISER) > 2e-4:
            parts = (flat[i : i + _PART] for i in range(0, flat.size, _PART))
            found = [float(part[silu(part).argmin()]) for part in parts]
            self.lowest = lowest_by_silu([self.lowest, *found])
        return True

    def histogram(self) -> Histogram:
        """Everything counted so far; without a value in it if there was none."""
        if self.low > self.high:
            return Histogram(0.0, 0.0, np.empty(0, np.uint32), np.empty(0))
        counts = self.recent.astype(np.int64)
        return from_dense(
            counts if self._counts is None else counts + self._counts,
            float(self.low),
            float(self.high),
        )

    def _flush(self) -> None:
        counts = np.zeros(BINS, np.int64) if self._counts is None else self._counts
        self._counts = counts + self.recent
        self.recent[:] = 0
        self.recent_total = 0


def accelerated() -> bool:
    """Whether the compiled loop is used."""
    return importlib.util.find_spec("llvmlite") is not None


def _extremes(flat: Floats) -> tuple[float, float]:
    """Least and greatest value; NaN where there is one."""
    return float(flat.min()), float(flat.max())


@cache
def compiled_count() -> Count:
    """What counts: compiled for this machine where llvmlite is there, otherwise numpy."""
    if not accelerated():
        return numpy_count
    pointer = ctypes.c_void_p
    form = ctypes.CFUNCTYPE(None, pointer, ctypes.c_int64, pointer, ctypes.c_uint32)
    loop = form(_engine().get_function_address("count"))

    def count(bits: NDArray[np.uint32], counts: NDArray[np.uint32], shift: np.uint32) -> None:
        loop(bits.ctypes.data, bits.size, counts.ctypes.data, int(shift))

    return count


@cache
def _engine() -> Any:
    """The compiled loop, which exists as long as this does."""
    llvm = importlib.import_module("llvmlite.binding")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(opt=3)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(_LOOP), machine)
    engine.finalize_object()
    return engine


def numpy_count(bits: NDArray[np.uint32], counts: NDArray[np.uint32], shift: np.uint32) -> None:
    """Add one to `counts` at the upper bits of each of `bits`."""
    hit = np.bincount(bits >> shift)
    counts[: hit.size] += hit.astype(np.uint32)


_LOOP = """
define void @count(ptr %bits, i64 %size, ptr %counts, i32 %shift) {
entry:
  %empty = icmp eq i64 %size, 0
  br i1 %empty, label %end, label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
  %value_at = getelementptr inbounds i32, ptr %bits, i64 %i
  %value = load i32, ptr %value_at
  %key = lshr i32 %value, %shift
  %index = zext i32 %key to i64
  %count_at = getelementptr inbounds i32, ptr %counts, i64 %index
  %before = load i32, ptr %count_at
  %after = add i32 %before, 1
  store i32 %after, ptr %count_at
  %next = add nuw i64 %i, 1
  %more = icmp ult i64 %next, %size
  br i1 %more, label %loop, label %end
end:
  ret void
}
"""
