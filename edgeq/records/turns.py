"""What a device says of two releases that took turns in it: raw samples of both, pair by pair."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from edgeq.records.answers import Reply
from edgeq.records.limits import Count, Duration, Hash, Positive, Text, Word
from edgeq.records.measurement import Power


class EngineName(Reply):
    """The engine that ran a release."""

    name: Word
    version: Word


class SideTurns(Reply):
    """The passes of one side: pass i is of pair i, over the same image as the other side's."""

    release: Hash
    engine: EngineName
    load_ns: Count
    peak_rss_bytes: Duration
    peak_rss_source: Word
    preprocess_ns: tuple[Count, ...]
    inference_ns: tuple[Duration, ...]
    postprocess_ns: tuple[Count, ...]
    power: Power | None

    @property
    def frame_ns(self) -> list[int]:
        """What each pass took in all: preprocess, inference and postprocess."""
        stages = (self.preprocess_ns, self.inference_ns, self.postprocess_ns)
        return [sum(taken) for taken in zip(*stages, strict=True)]


class Turns(Reply):
    """One load of both sides, and their passes.

    `slowed` are signs of a device that could do more, which both sides met; in a `wrong_mode` the
    figures are not those that were asked for.
    """

    sides: tuple[SideTurns, SideTurns]
    threads: Count
    duration_ns: Duration
    other_cores: Positive | None
    power_mode: Word | None
    slowed: tuple[Text, ...]
    wrong_mode: tuple[Text, ...] = Field(max_length=100)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        counts = {
            len(samples)
            for side in self.sides
            for samples in (side.preprocess_ns, side.inference_ns, side.postprocess_ns)
        }
        if len(counts) != 1 or min(counts) < 2:
            raise ValueError(f"there are {sorted(counts)} samples; as many of each are expected")
        if sum(sum(side.frame_ns) for side in self.sides) > self.duration_ns:
            raise ValueError("duration_ns is less than what was measured in it")
        return self
