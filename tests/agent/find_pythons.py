"""Print the Pythons that the agent is tested under: those of JetPack 5, 6, 7 and the newest."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path


def interpreters() -> dict[tuple[int, int], str]:
    """Working interpreters by version, from PATH and from pyenv's folder."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    folders = [*map(Path, os.environ.get("PATH", "").split(os.pathsep)), *pyenv.glob("*/bin")]
    found: dict[tuple[int, int], str] = {}
    for folder in folders:
        for file in folder.glob("python3.*"):
            match = re.fullmatch(r"python3\.(\d+)", file.name)
            version = (3, int(match[1])) if match else (0, 0)
            if version >= (3, 8) and version not in found and _works(file, version):
                found[version] = str(file)
    return found


def _works(file: Path, version: tuple[int, int]) -> bool:
    """Whether it is the version it says (pyenv's shims need not be) and has venv and pip."""
    code = "import ensurepip, sys, venv; print(*sys.version_info[:2])"
    done = subprocess.run([file, "-c", code], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.split() == [str(part) for part in version]


if __name__ == "__main__":
    available = interpreters()
    # Python 3.8, 3.10 and 3.12 are those of JetPack 5, 6 and 7.
    wanted = ((3, 8), (3, 10), (3, 12), max(available))
    print(*dict.fromkeys(available[version] for version in wanted if version in available))
