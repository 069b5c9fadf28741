"""The scripts of examples/rollout, as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from .barn import Barn

EXAMPLES = Path(__file__).parents[2] / "examples" / "rollout"


def run(*arguments: str | Path) -> tuple[int, list[str]]:
    """Its exit code and what it prints."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        list(map(str, arguments)), env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_scripts_roll_out_and_end_as_edgeq_does(barn: Barn) -> None:
    strategy = barn.strategy(canary=1)
    code, lines = run(sys.executable, EXAMPLES / "rollout.py", barn.recipe, barn.fleet, strategy)
    assert code == 0, lines
    assert {"cam0: healthy", "cam1: healthy", "canary: 1 healthy", "done"} <= set(lines)
    assert len(set(barn.current().values()) - {None}) == 1

    barn.next_release()
    barn.recipe.write_text(barn.recipe.read_text() + "\ngates: {artifact_bytes: 1000}\n")
    code, lines = run(EXAMPLES / "rollout.sh", barn.recipe, barn.fleet, barn.strategy(canary=2))
    assert code == 1, lines
    assert "2 of 2 devices are ready" in lines
    assert lines[-1].startswith("the release does worse")

    code, lines = run(sys.executable, EXAMPLES / "rollout.py", "gone.yaml", barn.fleet, strategy)
    assert code == 2 and "gone.yaml" in lines[-1]
