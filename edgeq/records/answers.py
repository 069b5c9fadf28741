"""What a device answers, as types: read once, where it comes off the wire.

Fields that nobody here asks for are kept, as a report shows all that was said; those that are
asked for are of the type that stands here, or the answer is refused.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Reply(BaseModel):
    """Base of the answers: frozen, what is not known is kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Hello(Reply):
    """What the agent says when it begins: the machine it is on, its Python, and the root folder."""

    root: str
    machine: str
    python: str
    executable: str
    libc: str | None
    clock_unix_s: float
    pid: int
    read_only: bool
    noexec: bool
    writable: bool
    free_bytes: int
    ssh_keygen: bool
    signers: str | None
    """the device's own list of allowed signers; None where it demands no signatures"""
    environment: str | None


class PythonAnswer(Reply):
    """The Python that jobs run in, as '3.11.2'."""

    version: str

    @property
    def major_minor(self) -> tuple[int, int]:
        """(3, 11) for Python 3.11."""
        major, minor = (int(part) for part in self.version.split(".")[:2])
        return major, minor


class CpuAnswer(Reply):
    """The CPU; `flags` are the kernel's words for what it can, None where it tells none."""

    flags: tuple[str, ...] | None
    cores_available: int | None

    @property
    def has_dot_product(self) -> bool:
        """Whether it has int8 dot products: SDOT on ARM, VNNI on x86."""
        return bool({"asimddp", "avx512_vnni", "avx_vnni"} & set(self.flags or ()))


class MemoryAnswer(Reply):
    """The memory of the whole device."""

    total_bytes: int | None


class EmulationAnswer(Reply):
    """Whether the device is emulated, so that its latency says nothing; None if nothing tells."""

    emulated: bool | None


class Probe(Reply):
    """What a device is and has; None where `not_readable` says why."""

    arch: str
    python: PythonAnswer
    cpu: CpuAnswer
    memory: MemoryAnswer
    board: str | None
    emulated: EmulationAnswer
    packages: dict[str, str | None]
    """module to version; None for what is missing or broken"""
    not_readable: dict[str, str]


class ReleaseAnswer(Reply):
    """One release on a device."""

    id: str
    bytes: int
    signed: bool


class Contents(Reply):
    """What lies in the root folder, and who holds it."""

    current: str | None
    previous: str | None
    releases: tuple[ReleaseAnswer, ...]
    used_bytes: int
    free_bytes: int
    lock: dict[str, Any] | None
    """as its holder wrote it, which may be anything"""
    environment: str | None
    signed_only: bool


class Blobs(Reply):
    """Which hashes the device lacks, and how many bytes of each it has."""

    missing: tuple[str, ...]
    partial: dict[str, int]


class Made(Reply):
    """Whether what was asked for is new there."""

    new: bool


class EngineAnswer(Reply):
    """An engine that the device compiled or took over; without a path there is none yet."""

    path: str | None
    fingerprint: str
