"""Wheels for exactly one board, fetched here with pip: its architecture, C library and Python."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgeq.errors import NO_WHEEL, DeviceError, InputError

_OLDEST_GLIBC = 17
"""manylinux2014 is glibc 2.17; nothing older has 64-bit ARM wheels."""
_NEWEST_GLIBC = 50
_NO_WHEEL = re.compile(r"No matching distribution found for ([A-Za-z0-9._-]+)")


@dataclass(frozen=True)
class Platform:
    """What decides which wheels fit: (3, 11) for Python 3.11, (2, 36) for glibc 2.36, aarch64."""

    python: tuple[int, int]
    glibc: tuple[int, int]
    machine: str

    def __str__(self) -> str:
        version, libc = (".".join(map(str, pair)) for pair in (self.python, self.glibc))
        return f"Python {version} and glibc {libc} on {self.machine}"


@dataclass(frozen=True)
class Wheels:
    """Wheels of one environment by file name, pip's own among them; `key` names exactly these."""

    files: dict[str, Path]
    key: str


@contextmanager
def fetched(packages: Sequence[str], platform: Platform, where: str) -> Iterator[Wheels]:
    """The wheels of packages and all they need, for one platform, as long as the block runs.

    pip's own settings hold (PIP_INDEX_URL and the like). Raises DeviceError (no-wheel) when there
    are none for the board, saying whether its C library or its Python is what is too old, and
    InputError when pip cannot work here.
    """
    with tempfile.TemporaryDirectory(prefix="edgeq-wheels-") as folder:
        problem = _download([*packages, "pip"], platform, Path(folder))
        if problem is not None:
            raise _explained(problem, platform, where)
        files = {file.name: file for file in sorted(Path(folder).glob("*.whl"))}
        digest = hashlib.sha256(str(platform).encode())
        for name, file in files.items():
            if name.startswith("pip-"):
                continue  # it installs the others and is not part of them
            digest.update(f"\n{name} ".encode() + hashlib.sha256(file.read_bytes()).digest())
        yield Wheels(files, digest.hexdigest()[:16])


def unpacked_bytes(wheels: Mapping[str, Path]) -> int:
    """How much room the files in wheels take (name to file), without those of pip itself."""
    total = 0
    for name, file in wheels.items():
        # pip is run from its wheel. One that is damaged is a matter of who installs it.
        if not name.startswith("pip-"):
            with suppress(zipfile.BadZipFile), zipfile.ZipFile(file) as archive:
                total += sum(entry.file_size for entry in archive.infolist())
    return total


def _download(packages: Sequence[str], platform: Platform, folder: Path) -> str | None:
    """Fetch; None when all went well, otherwise what pip says."""
    newest = platform.glibc[1] if platform.glibc[0] == 2 else _NEWEST_GLIBC
    tags = [f"manylinux_2_{minor}" for minor in range(newest, _OLDEST_GLIBC - 1, -1)]
    # The older name of the same thing, for wheels that carry no other.
    tags += ["manylinux2014"] if newest >= _OLDEST_GLIBC else []
    platforms = [f"{tag}_{platform.machine}" for tag in tags] or ["any"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--implementation=cp", "--dest", str(folder)]
    command += [f"--python-version={'.'.join(map(str, platform.python))}"]
    command += [f"--platform={name}" for name in platforms]
    done = subprocess.run([*command, *packages], capture_output=True, text=True)
    return None if done.returncode == 0 else done.stderr


def _explained(problem: str, platform: Platform, where: str) -> DeviceError | InputError:
    if "No module named pip" in problem:
        what = "pip is missing here, and wheels for the board are fetched with it"
        return InputError("pip", what, f"run: {sys.executable} -m ensurepip")
    missing = _NO_WHEEL.search(problem)
    if missing is None or "connection broken" in problem:
        last = (problem.strip().splitlines() or ["pip failed"])[-1].removeprefix("ERROR: ")
        what = f"wheels for {platform} cannot be fetched: {last}"
        return InputError("pip", what, "see that this machine reaches the package index")
    package = missing[1]
    newer = Platform(platform.python, (2, _NEWEST_GLIBC), platform.machine)
    with tempfile.TemporaryDirectory() as folder:
        if _download(["--no-deps", package], newer, Path(folder)) is None:
            [wheel, *_] = (file.name for file in Path(folder).iterdir())
            needed = re.search(r"manylinux_(\d+)_(\d+)", wheel)
            least = f"glibc {needed[1]}.{needed[2]}" if needed else "a newer glibc"
            have = ".".join(map(str, platform.glibc))
            what = f"the newest {package} needs {least}, none is for the board's {have}"
            return DeviceError(where, what, "install a newer system on the board", NO_WHEEL)
    what = f"there is no wheel of {package} for {platform}"
    return DeviceError(where, what, "use a Python there that has one (3.10 to 3.13)", NO_WHEEL)
