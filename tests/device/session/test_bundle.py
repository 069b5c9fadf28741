from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

from edgeq.device.session import bundle as module
from edgeq.device.session.bundle import bundle

AGENT = Path(module.__file__).parents[2] / "agent"


def test_bundle_is_the_same_bytes_in_another_process() -> None:
    code = "import sys, edgeq.device.session.bundle as b; sys.stdout.buffer.write(b.bundle())"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert other.stdout == bundle()


def test_bundle_holds_the_whole_agent_and_nothing_else() -> None:
    with zipfile.ZipFile(io.BytesIO(bundle())) as archive:
        names = set(archive.namelist())
    files = (file.relative_to(AGENT.parent).as_posix() for file in AGENT.rglob("*.py"))
    assert names == {"__main__.py", *files}


def test_bundle_needs_no_heavy_package() -> None:
    code = "import sys, edgeq.device.session.bundle as b; b.bundle(); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_bundle_probes_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "agent").write_bytes(bundle())
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "agent"), "probe"],
        capture_output=True,
        text=True,
        cwd="/",
        check=True,
    )
    event = json.loads(done.stdout.splitlines()[-1])
    assert event["event"] == "result"
    assert event["arch"]
