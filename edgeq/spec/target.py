"""The target: a kind of board, where an artifact has to run. Not an address."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from edgeq import places
from edgeq.agent.names import runtime_names
from edgeq.errors import InputError
from edgeq.records.prices import Prices
from edgeq.spec import document
from edgeq.spec.values import AS_TUPLE, Bytes, FilePath, OneOf

RuntimeName = Annotated[str, OneOf(runtime_names)]

_WITH_ENGINE = re.compile(r"(.+):([A-Za-z0-9_-]+)")
_CONFIG = ConfigDict(
    frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
)


class Limits(BaseModel):
    """What the board may be asked for; what goes beyond it is refused. None: whatever is there."""

    model_config = _CONFIG

    memory_bytes: Bytes | None = None
    """peak resident memory of the agent"""
    disk_bytes: Bytes | None = None
    """what the root folder may hold"""
    build_s: Annotated[float, Field(gt=0)] | None = None
    """how long the device may take to build an engine; default: an hour"""
    workspace_bytes: Bytes | None = None
    """what TensorRT may use while it builds; default: 1 GiB"""
    clock_skew_s: Annotated[float, Field(gt=0)] = 86400.0
    """how far the board's clock may be off; wrong clocks break signatures' validity and reports"""


class Facts(BaseModel):
    """What is known of such a board; `edgeq targets check` compares it with what it finds."""

    model_config = _CONFIG

    model: str | None = None
    """what the board calls itself in /proc/device-tree/model begins so"""
    cores: Annotated[int, Field(gt=0)] | None = None
    dot_product: bool | None = None
    """whether the CPU has int8 dot products (SDOT; on x86 VNNI): without them int8 gains less"""
    memory: Annotated[tuple[Bytes, ...], AS_TUPLE] = ()
    """the memory sizes it is sold with"""


class Target(BaseModel):
    """A kind of board: runtime, architecture, activation type, threads, root folder, limits."""

    model_config = _CONFIG

    name: str = ""
    """the file's name without .yaml, if left out"""
    description: str = ""
    runtime: RuntimeName
    alternatives: Annotated[tuple[RuntimeName, ...], AS_TUPLE] = ()
    """other engines that such a board runs as well: `--target NAME:ENGINE`"""
    architecture: Literal["host", "x86_64", "aarch64"]
    activation_type: Literal["probe", "int8", "uint8"]
    """of quantized activations; probe: the agent looks what the CPU does well"""
    weight_bits: Literal[7, 8] | None = None
    """default: 8; 7 avoids saturation of uint8 x int8 on x86 without VNNI, more coarsely than
    bounded_pairs"""
    bounded_pairs: bool | None = None
    """of ONNX Runtime: whether weights get steps with which no two neighbours' products overflow
    the 16 bits that x86 without VNNI adds them in; default: as probed"""
    engine_version: (
        Annotated[str, Field(pattern=r"^\d+\.\d+(\.\d+)*$", examples=["10.3"])] | None
    ) = None
    """of TensorRT, to build for without the board; default: what the agent finds there"""
    typing: Literal["weak", "strong"] | None = None
    """of TensorRT's network: weak, with FP16 and INT8 as options of the build, or strong, where the
    graph itself says float16; default: weak up to TensorRT 10, strong from 11 on"""
    threads: Annotated[int, Field(gt=0)] | None = None
    """default: all cores"""
    transport: Literal["local", "ssh"]
    root: Annotated[str, Field(min_length=1)]
    """the folder on the device that holds everything edgeq puts there"""
    python: Annotated[str, Field(min_length=1)] = "python3"
    """the device's own Python, 3.8 or later; `edgeq targets setup` builds on it (transport ssh)"""
    allowed_signers: FilePath | None = None
    """file of ssh-keygen's form; a release without a signature by one of them is not activated"""
    xnnpack: bool = True
    """of LiteRT: whether its delegate XNNPACK runs what it can"""
    share_engines: bool = False
    """of TensorRT: an engine that one board built is kept on this machine, and given to boards with
    the very same fingerprint, where it has to compute the same before it counts"""
    facts: Facts = Facts()
    limits: Limits = Limits()
    prices: Prices | None = None
    """for reports to say what frames cost on such a board"""


def schema() -> dict[str, Any]:
    """The JSON Schema of a target file, for editors."""
    return document.schema(Target)


def build_limits(target: Target) -> dict[str, float]:
    """What bounds the building of an engine, as the agent's job names it; only what is stated."""
    limits = target.limits
    stated = {"timeout_s": limits.build_s, "workspace_bytes": limits.workspace_bytes}
    return {name: value for name, value in stated.items() if value is not None}


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
    """The target of that name, or in that file; with `:ENGINE` behind it, for that engine.

    Raises InputError: unknown name or engine (with the nearest), or what is wrong with the file, by
    line.
    """
    found = _WITH_ENGINE.fullmatch(name_or_path)
    where, engine = found.groups() if found else (name_or_path, None)
    path = Path(where).expanduser()
    if path.suffix not in (".yaml", ".yml"):
        known = names()
        if where not in known:
            hint = document.nearest(where, known)
            raise InputError("--target", f"target '{where}' is unknown", hint)
        path = known[where]
    target = document.validate(document.read(path), Target)
    named = target if target.name else target.model_copy(update={"name": path.stem})
    return named if engine in (None, named.runtime) else _for_engine(named, engine)


def _for_engine(target: Target, engine: str) -> Target:
    """The target with one of its alternatives in the place of its runtime."""
    if engine not in target.alternatives:
        engines = (target.runtime, *target.alternatives)
        what = f"target '{target.name}' does not run '{engine}'"
        raise InputError("--target", what, document.nearest(engine, engines))
    others = tuple(name for name in target.alternatives if name != engine)
    update = {
        "name": f"{target.name}:{engine}",
        "runtime": engine,
        "alternatives": (target.runtime, *others),
    }
    return target.model_copy(update=update)
