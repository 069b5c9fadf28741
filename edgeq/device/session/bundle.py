"""The agent as one file: a zip that Python runs, the same bytes for the same source."""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path

_EPOCH = (1980, 1, 1, 0, 0, 0)
_MAIN = "from agent.main import main\n\nmain()\n"


@cache
def bundle() -> bytes:
    """`agent.pyz`: edgeq/agent under the package name `agent`, to be run as `python agent.pyz`."""
    # Found by its path: importing the package would import numpy and OpenCV for nothing.
    source = Path(__file__).parents[2] / "agent"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py", _EPOCH), _MAIN)
        for module in sorted(source.rglob("*.py")):
            name = f"agent/{module.relative_to(source).as_posix()}"
            info = zipfile.ZipInfo(name, _EPOCH)
            archive.writestr(info, module.read_bytes(), zipfile.ZIP_DEFLATED)
    return content.getvalue()
