"""What a device answers, as types: read once, where it comes off the wire.

Fields that nobody here asks for are kept, as a report shows all that was said; those that are
asked for are of the type that stands here, or the answer is refused.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from edgeq.records.limits import Count, Finite, Hash, Path, Positive, Text, Word

Version = Annotated[str, Field(max_length=60, pattern=r"^[0-9]{1,3}\.[0-9]{1,3}(?:[^0-9]|$)")]
"""Of a Python, as '3.11.2' or '3.13.0rc1+'."""


class Reply(BaseModel):
    """Base of the answers: frozen, what is not known is kept."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class Hello(Reply):
    """What the agent says when it begins: the machine it is on, its Python, and the root folder."""

    root: Path
    machine: Word
    python: Version
    executable: Path
    libc: Word | None
    clock_unix_s: Finite
    pid: Count
    read_only: bool
    noexec: bool
    writable: bool
    free_bytes: Count
    ssh_keygen: bool
    signers: str | None = Field(max_length=1 << 20)
    """the device's own list of allowed signers; None where it demands no signatures"""
    environment: Word | None


class PythonAnswer(Reply):
    """The Python that jobs run in, as '3.11.2'."""

    version: Version

    @property
    def major_minor(self) -> tuple[int, int]:
        """(3, 11) for Python 3.11."""
        major, minor = (int(part) for part in self.version.split(".")[:2])
        return major, minor


class CpuAnswer(Reply):
    """The CPU; `flags` are the kernel's words for what it can, None where it tells none."""

    flags: tuple[Word, ...] | None
    cores_available: int | None = Field(strict=True, ge=1, le=65_536)

    @property
    def has_dot_product(self) -> bool:
        """Whether it has int8 dot products: SDOT on ARM, VNNI on x86."""
        return bool({"asimddp", "avx512_vnni", "avx_vnni"} & set(self.flags or ()))


class MemoryAnswer(Reply):
    """The memory of the whole device."""

    total_bytes: Count | None


class EmulationAnswer(Reply):
    """Whether the device is emulated, so that its latency says nothing; None if nothing tells."""

    emulated: bool | None


class Probe(Reply):
    """What a device is and has; None where `not_readable` says why."""

    arch: Word
    python: PythonAnswer
    cpu: CpuAnswer
    memory: MemoryAnswer
    board: Text | None
    emulated: EmulationAnswer
    power_mode: Word | None = None
    """as nvpmodel names it; None on what is no Jetson"""
    packages: dict[str, Text | None]
    """module to version; None for what is missing or broken"""
    not_readable: dict[str, Text]


class ReleaseAnswer(Reply):
    """One release on a device."""

    id: Word
    bytes: Count
    signed: bool


class Contents(Reply):
    """What lies in the root folder, and who holds it."""

    current: Word | None
    previous: Word | None
    rolled_back: bool = False
    """whether the previous one is what a rollback left, so that there is none to go back to"""
    releases: tuple[ReleaseAnswer, ...]
    used_bytes: Count
    free_bytes: Count
    lock: dict[str, Any] | None
    """as its holder wrote it, which may be anything"""
    environment: Word | None
    signed_only: bool


class Blobs(Reply):
    """Which hashes the device lacks, and how many bytes of each it has."""

    missing: tuple[Hash, ...]
    partial: dict[Hash, Count]


class Made(Reply):
    """Whether what was asked for is new there."""

    new: bool


class EngineAnswer(Reply):
    """An engine that the device compiled or took over; without a path there is none yet."""

    path: Path | None
    fingerprint: Hash
    build_s: Positive | None = None
    engine_bytes: Count | None = None
    timings: Hash | None = None
    """what names the timing cache that a builder there would use, where one was only looked for"""
    has_timings: bool = False


class LentEngine(Reply):
    """An engine that the device built and lends; `fields` is what it was built from and for."""

    fields: dict[str, Any]
    plan: Hash
    golden: Hash
    build_s: Positive
    timings: Hash
    timings_hash: Hash | None


class Step(Reply):
    """How far a job is."""

    stage: Word
    done: Count
    total: Count


class GpuClock(Reply):
    """A clock of a GPU in Hz."""

    current_hz: Count | None = None


class JetsonAnswer(Reply):
    """What only a Jetson tells of a measurement's conditions."""

    throttle_states: dict[Word, Count] = {}
    gpu_clocks: dict[Word, GpuClock] = {}
    emc_hz: Count | None = None
    clocks_pinned: bool | None = None


class BenchEnvironment(Reply):
    """What surrounds a measurement, as far as a report shows it."""

    jetson: JetsonAnswer | None = None


class LayerTime(Reply):
    """How long a layer takes by the engine's own profile."""

    layer: Text
    ms: Positive


class EngineFacts(Reply):
    """What an engine says of itself, as far as a report shows it."""

    layer_times: tuple[LayerTime, ...] = ()
    device_memory_bytes: Count | None = None
    gpu_memory_used_bytes: Count | None = None


class LiteRtFacts(EngineFacts):
    """And what only LiteRT tells."""

    delegate: Word
    package: Word
    partitions: Count | None = None
    operators: Count = 0
    outside: dict[Word, Count] = {}
    outside_nodes: tuple[Text, ...] = ()
