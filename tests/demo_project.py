"""A demo project of few images, written once, which tests copy or read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import edgeq
from edgeq.demo.project import write_demo
from edgeq.device.connection import connect
from edgeq.runtimes import runtime
from edgeq.runtimes.presence import modules
from edgeq.spec import target as targets

SHORT = "\nmeasure: {warmup_s: 0, max_warmup_s: 0.02, min_duration_s: 0.1, min_count: 5}\n"


@pytest.fixture(scope="session")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder: 8 images to calibrate with, 6 to evaluate, a short measurement."""
    folder = tmp_path_factory.mktemp("small") / "demo"
    write_demo(folder, calibration_count=8, evaluation_count=6)
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("count: 64", "count: 8") + SHORT)
    return folder


@pytest.fixture(scope="session")
def reckoned(small_demo: Path, known_agent: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """$EDGEQ_HOME of a deploy of `small_demo` to this machine."""
    home = tmp_path_factory.mktemp("reckoned")
    for name in ("device", "host"):
        acquaint(home / name, known_agent)
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


@pytest.fixture(scope="session")
def known_agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a root has of the agent after a first session: itself, compiled, what it can import."""
    home = tmp_path_factory.mktemp("known")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEQ_HOME", str(home))
        local = targets.load("local")
        with connect(local) as device:
            device.probe(modules(runtime(local.runtime)))
            return Path(device.root) / "agent"


@pytest.fixture
def acquainted(known_agent: Path, edgeq_home: Path) -> None:
    """This machine knows the agent: what comes first on a board is not the point here."""
    for name in ("device", "host"):
        acquaint(edgeq_home / name, known_agent)


@pytest.fixture
def spared(reckoned: Path, acquainted: None, edgeq_home: Path) -> None:
    """What the host computes of the demo is known: its statistics, what float and simulation find.

    For tests of what comes after; nothing is built yet.
    """
    for name in ("statistics", "repairs", "predictions"):
        kept = reckoned / "cache" / name
        if kept.exists():
            shutil.copytree(kept, edgeq_home / "cache" / name, dirs_exist_ok=True)


@pytest.fixture
def before(reckoned: Path, edgeq_home: Path) -> str:
    """The demo was deployed to this machine; the release that is current there."""
    shutil.copytree(reckoned, edgeq_home, symlinks=True, dirs_exist_ok=True)
    return (edgeq_home / "device" / "current").resolve().name


def acquaint(board: Path, known_agent: Path) -> None:
    """Give a root that has none an agent, by links."""
    shutil.copytree(known_agent, board / "agent", copy_function=os.link)
