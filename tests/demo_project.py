"""A demo project of few images, written once, which tests copy or read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import edgeq
from edgeq.demo.project import write_demo

SHORT = "\nmeasure: {warmup_s: 0, max_warmup_s: 0.02, min_duration_s: 0.02, min_count: 5}\n"


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder: 8 images to calibrate with, 6 to evaluate, a short measurement."""
    folder = tmp_path_factory.mktemp("small") / "demo"
    write_demo(folder, calibration_count=8, evaluation_count=6)
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("count: 64", "count: 8") + SHORT)
    return folder


@pytest.fixture(scope="session")
def reckoned(small_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """$EDGEQ_HOME of a deploy of `small_demo` to this machine."""
    home = tmp_path_factory.mktemp("reckoned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(home))
        edgeq.deploy(small_demo / "recipe.yaml", "local")
    return home


@pytest.fixture(scope="session")
def packed(small_demo: Path, reckoned: Path) -> Path:
    """What that deploy built, as the file that `build` writes."""
    output = reckoned / "model.edgeq"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(reckoned))
        edgeq.build(small_demo / "recipe.yaml", "local", output)
    return output


@pytest.fixture
def spared(reckoned: Path, edgeq_home: Path) -> None:
    """What the host computes of the demo is known: its statistics, what float and simulation find.

    For tests of what comes after; nothing is built yet. This machine knows the agent.
    """
    for name in ("statistics", "repairs", "predictions"):
        kept = reckoned / "cache" / name
        if kept.exists():
            shutil.copytree(kept, edgeq_home / "cache" / name, dirs_exist_ok=True)
    for name in ("device", "host"):
        acquaint(edgeq_home / name, reckoned / name)


@pytest.fixture
def before(reckoned: Path, edgeq_home: Path) -> str:
    """The demo was deployed to this machine; the release that is current there."""
    shutil.copytree(reckoned, edgeq_home, symlinks=True, dirs_exist_ok=True)
    return (edgeq_home / "device" / "current").resolve().name


def acquaint(board: Path, with_what: Path) -> None:
    """Put what one root has of the agent into another: itself, compiled, what can be imported."""
    shutil.copytree(with_what / "agent", board / "agent", dirs_exist_ok=True)
