"""The installed version of edgeq, of what it builds on, and of its own code."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path


def version() -> str:
    """The version of the installed package."""
    return metadata.version("edgeq")


def versions(*also: str) -> dict[str, str]:
    """The packages that decide what comes out of a build or a prediction, and others if asked."""
    packages = ("numpy", "onnx", "onnxruntime", "opencv-python-headless", *also)
    return {"edgeq": version(), **{name: metadata.version(name) for name in packages}}


@cache
def source_hash() -> str:
    """Hash of edgeq's own code: a changed checkout makes everything anew under one version."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for file in sorted(folder.rglob("*.py")):
        digest.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return digest.hexdigest()
