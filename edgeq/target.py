"""The target: a kind of board, where an artifact has to run. Not an address."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from edgeq import document, places
from edgeq.errors import InputError

RuntimeName = Literal["onnxruntime"]


class Limits(BaseModel):
    """What the board has; a push or a bench beyond it is refused. None: whatever is there."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    memory_bytes: Annotated[int, Field(gt=0)] | None = None
    """peak resident memory of the agent"""
    disk_bytes: Annotated[int, Field(gt=0)] | None = None
    """what the root folder may hold"""


class Target(BaseModel):
    """A kind of board: runtime, architecture, activation type, threads, root folder, limits."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = ""
    """the file's name without .yaml, if left out"""
    description: str = ""
    runtime: RuntimeName
    architecture: Literal["host", "x86_64", "aarch64"]
    activation_type: Literal["probe", "int8", "uint8"]
    """of quantized activations; probe: the agent looks what the CPU does well"""
    weight_bits: Literal[7, 8] | None = None
    """7 avoids saturation of uint8 x int8 on x86 without VNNI; default: 8, or as probed"""
    threads: Annotated[int, Field(gt=0)] | None = None
    """default: all cores"""
    transport: Literal["local", "ssh"]
    root: Annotated[str, Field(min_length=1)]
    """the folder on the device that holds everything edgeq puts there"""
    limits: Limits = Limits()


def folders() -> list[Path]:
    """Where targets are looked for by name, in this order: the user's own, then the built-in."""
    return [places.home() / "targets", places.builtin("targets")]


def names() -> dict[str, Path]:
    """Name to file of every target that can be named."""
    found: dict[str, Path] = {}
    for folder in folders():
        for file in sorted(folder.glob("*.yaml")):
            found.setdefault(file.stem, file)
    return dict(sorted(found.items()))


def load(name_or_path: str) -> Target:
    """The target of that name, or in that file.

    Raises InputError: unknown name (with the nearest), or what is wrong with the file, by line.
    """
    path = Path(name_or_path).expanduser()
    if path.suffix not in (".yaml", ".yml"):
        known = names()
        if name_or_path not in known:
            hint = document.nearest(name_or_path, known)
            raise InputError("--target", f"target '{name_or_path}' is unknown", hint)
        path = known[name_or_path]
    target = document.validate(document.read(path), Target)
    return target if target.name else target.model_copy(update={"name": path.stem})
