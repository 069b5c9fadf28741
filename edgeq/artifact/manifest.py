"""The manifest: what an artifact is made of, the hash of each file, and where it comes from.

Its sha256 is the artifact's id. It knows no time and no path, so that the same inputs give the
same id anywhere.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edgeq.errors import InputError

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
"""Names of files; none can leave the folder."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileHash(_Section):
    """One file of an artifact."""

    sha256: str
    bytes: int


class Compile(_Section):
    """How the device makes an engine of the model file; `typing` as in `Target.typing`."""

    precision: Literal["int8", "fp16"]
    typing: Literal["weak", "strong"]


class RuntimeEntry(_Section):
    """Which runtime loads which file, and how that is compiled there if it has to be."""

    name: str
    model: str
    compile: Compile | None = None
    delegate: Literal["xnnpack", "none"] = "xnnpack"
    """of LiteRT"""


class ManifestTask(_Section):
    """How the agent decodes; the recipe's `task` without what only the host needs."""

    decoder: str
    classes: tuple[str, ...]
    score_threshold: float
    iou_threshold: float
    max_detections: int
    multi_label: bool
    mask_threshold: float


class Input(_Section):
    """How the agent makes the input tensor."""

    size: tuple[int, int]
    letterbox: bool
    pad_value: int
    color: str
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    layout: str = "nchw"
    dtype: str = "float32"


class Manifest(_Section):
    """Everything about an artifact but its files' content."""

    format: Literal[1] = 1
    runtime: RuntimeEntry
    task: ManifestTask
    preprocess: Input
    files: dict[str, FileHash]
    provenance: dict[str, Any]

    def encoded(self) -> bytes:
        """Canonical JSON; its sha256 is the artifact's id."""
        document = self.model_dump(mode="json")
        if self.runtime.compile is None:
            del document["runtime"]["compile"]
        if self.runtime.delegate == "xnnpack":
            del document["runtime"]["delegate"]
        return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"

    @property
    def id(self) -> str:
        """The artifact's id, 64 hexadecimal digits."""
        return hashlib.sha256(self.encoded()).hexdigest()


def describe(files: Mapping[str, bytes]) -> dict[str, FileHash]:
    """The manifest's entries for files."""
    return {
        name: FileHash(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
        for name, content in sorted(files.items())
    }


def parsed(content: bytes, path: Path | str) -> Manifest:
    """A manifest from its JSON; InputError naming `path` for what is none."""
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as exc:
        first = exc.errors()[0]
        what = f"its manifest is broken: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise InputError(str(path), what, "build or copy it again") from exc
    names = [n for n in manifest.files if not re.fullmatch(_NAME, n) or n in (MANIFEST, SIGNATURE)]
    if names:
        raise InputError(str(path), f"its manifest names '{names[0]}'", "build it again")
    if manifest.runtime.model not in manifest.files:
        what = f"its model '{manifest.runtime.model}' is not among its files"
        raise InputError(str(path), what, "build it again")
    return manifest
