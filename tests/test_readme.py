"""The README's shell blocks, run as they stand, in order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from edgeq.spec.recipe import schema

from .demo_project import SHORT

ROOT = Path(__file__).parents[1]


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    text = (ROOT / "README.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_shell_and_python_blocks_run(tmp_path: Path) -> None:
    # `make test` is what runs this.
    commands = [block for block in blocks("sh") if block.strip() != "make test"]
    script = "set -euo pipefail\n" + "\n".join(commands)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "MAKEFLAGS": "", "MFLAGS": ""}

    shell = ["bash", "-c", script]
    done = subprocess.run(shell, cwd=ROOT, env=environment, capture_output=True, text=True)
    # What the shell has deployed, measured for a moment.
    shutil.copytree(ROOT / "demo", tmp_path / "demo")
    with (tmp_path / "demo" / "recipe.yaml").open("a") as recipe:
        recipe.write(SHORT)
    code = [sys.executable, "-c", "\n".join(blocks("python"))]
    python = subprocess.run(code, cwd=tmp_path, capture_output=True, text=True)

    assert "make demo" in script
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "PASSED" in done.stdout
    assert python.returncode == 0, python.stderr
    assert "mask_ap_drop passed" in python.stdout


def test_recipe_in_the_readme_has_known_keys_only() -> None:
    recipe = yaml.safe_load(blocks("yaml")[0])

    accepted = schema()

    assert set(recipe) <= set(accepted["properties"])
    for name in ("Task", "Preprocess", "Calibration", "Evaluate", "Gates"):
        assert set(recipe[name.lower()]) <= set(accepted["$defs"][name]["properties"])
