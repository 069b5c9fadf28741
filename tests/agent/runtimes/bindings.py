"""Real Python bindings of TensorRT over empty stand-ins of its libraries: no GPU, no 900 MB.

The wheels come through pip, once; what is kept of them lies in ~/.cache/edgeq-bindings.
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Dict, NamedTuple, Tuple

import pytest

from ..fakes import compiler
from ..find_pythons import interpreters

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeq-bindings"
_PLATFORMS = ("manylinux_2_17_x86_64", "manylinux_2_28_x86_64", "manylinux_2_31_x86_64")


class Bindings(NamedTuple):
    """A version of the module: where it comes from, and the Python that JetPack has it for."""

    version: str
    distribution: str
    package: str
    python: Tuple[int, int]


VERSIONS = (
    Bindings("8.5.3.1", "tensorrt", "tensorrt", (3, 8)),
    Bindings("10.3.0", "tensorrt_cu12_bindings", "tensorrt_bindings", (3, 10)),
    Bindings("10.13.3.9", "tensorrt_cu13_bindings", "tensorrt_bindings", (3, 12)),
    Bindings("10.16.0.72", "tensorrt_cu13_bindings", "tensorrt_bindings", (3, 12)),
    Bindings("11.4.0.106", "tensorrt_cu13_bindings", "tensorrt_bindings", (3, 12)),
)


@functools.lru_cache(maxsize=None)
def _pythons() -> Dict[Tuple[int, int], str]:
    return interpreters()


def python_for(bindings: Bindings) -> str:
    """The interpreter that loads them; the test is skipped where it is missing."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("the bindings are for x86-64 Linux")
    found = _pythons().get(bindings.python)
    if found is None:
        version = ".".join(map(str, bindings.python))
        pytest.skip(f"Python {version} is missing, for the bindings of TensorRT {bindings.version}")
    return found


def folder_of(bindings: Bindings) -> Path:
    """A folder with the package and its stand-ins, made once; the test is skipped without it."""
    folder = CACHE / bindings.version
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=str(CACHE)) as temporary:
            made = Path(temporary) / "made"
            _unpack(_download(bindings, Path(temporary)), made)
            _stand_in(made)
            if not folder.is_dir():
                shutil.move(str(made), str(folder))
    return folder


def _download(bindings: Bindings, folder: Path) -> Path:
    tag = "".join(map(str, bindings.python))
    platforms = [part for name in _PLATFORMS for part in ("--platform", name)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    # 8.5's wheel has 550 MB: pip need not keep it, too.
    command += ["--no-cache-dir", "--only-binary=:all:", *platforms, "--python-version", tag]
    command += ["--implementation", "cp", "--abi", f"cp{tag}", "--abi", "none"]
    command += ["--dest", str(folder), f"{bindings.distribution}=={bindings.version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        why = (done.stderr.strip().splitlines() or ["no word"])[-1]
        pytest.skip(f"the bindings of TensorRT {bindings.version} cannot be downloaded: {why}")
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(str(wheel)) as archive:
        for name in archive.namelist():
            # 8.5's wheel carries the libraries themselves, 900 MB of them.
            if name.startswith("tensorrt") and not Path(name).name.startswith("lib"):
                archive.extract(name, str(folder))


def _stand_in(folder: Path) -> None:
    """Libraries with the names that the bindings need, whose functions all return nothing."""
    (binding,) = folder.glob("tensorrt*/tensorrt.so")
    needed = re.findall(r"NEEDED.*\[(libnv.+?)\]", _readelf("-d", binding))
    symbols = re.findall(r"GLOBAL \w+ +UND (\w+)$", _readelf("--dyn-syms", binding), re.M)
    system = ctypes.CDLL(None)
    missing = [n for n in symbols if not n.startswith(("Py", "_Py")) and not hasattr(system, n)]
    source = folder / "stand_in.c"
    source.write_text("".join(f"long {name}(void) {{ return 0; }}\n" for name in missing))
    for name in needed:
        # Each has all: which of them it is that has a function makes no difference.
        library = str(folder / name)
        command = [compiler(), "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", library]
        subprocess.run([*command, str(source)], check=True)


def _readelf(option: str, path: Path) -> str:
    command = ["readelf", "--wide", option, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
