"""Where the fake TensorRT and the fake CUDA runtime are made, for the tests that need them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Optional

import pytest

HERE = Path(__file__).parent


def make_module(folder: Path, name: str = "tensorrt") -> Path:
    """A folder with the fake module, to be put on the path."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(str(HERE / "fake_tensorrt.py"), str(folder / f"{name}.py"))
    return folder


def compiler() -> str:
    """A C compiler; the test is skipped where there is none."""
    found: Optional[str] = shutil.which("cc") or shutil.which("gcc")
    if found is None:
        pytest.skip("a C compiler (cc) is missing, for stand-in libraries")
    return found


def make_cudart(folder: Path) -> Path:
    """The fake CUDA runtime as the loader looks for it."""
    library = folder / "libcudart.so.13"
    source = str(HERE / "fake_cudart.c")
    subprocess.run([compiler(), "-shared", "-fPIC", "-o", str(library), source], check=True)
    return library
