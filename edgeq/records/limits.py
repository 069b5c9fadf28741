"""Types with limits, for what somebody else says: no figure that cannot be, no text without end."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

_LARGEST = 2**53 - 1
"""Whole numbers above this are not the same in every reader of JSON, and too big for a database."""

Count = Annotated[int, Field(strict=True, ge=0, le=_LARGEST)]
"""How many, how many bytes or nanoseconds."""
Duration = Annotated[int, Field(strict=True, gt=0, le=_LARGEST)]
"""Nanoseconds of something that took time."""
Whole = Annotated[int, Field(strict=True, ge=-_LARGEST, le=_LARGEST)]
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e15, le=1e15)]
Positive = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=1e15)]
Share = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0, le=4)]
"""From 0 to 1, and what int8 makes of it: rounded to steps of up to 2 where it has one scale with
pixels, and squared where it is a product."""
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A sha256, the one thing from a device that may become part of a path."""
Word = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=20_000)]
Path = Annotated[str, Field(max_length=4096, pattern=r"^/[^\x00]*$")]
"""An absolute path on a device."""

__all__ = [
    "Count",
    "Duration",
    "Finite",
    "Hash",
    "Path",
    "Positive",
    "Share",
    "Text",
    "Whole",
    "Word",
]
