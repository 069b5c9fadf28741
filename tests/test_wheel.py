"""What travels in the wheel, away from the checkout."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent

LOOK = """
import json, sys
sys.path.insert(0, sys.argv[1])
import edgeq
from edgeq.spec.quantize import builtin_names, builtin_quantize
from edgeq import places, versions
from edgeq.spec import quantize, target
from edgeq.device.connection import host
print(json.dumps({
    "package": edgeq.__file__,
    "targets": {name: str(path) for name, path in target.names().items()},
    "local": target.load("local").transport,
    "recipes": builtin_names(),
    "percentile": builtin_quantize("int8-percentile").activations.percentile,
    "arch": host().probe().arch,
}))
"""


def call(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(arguments, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    for needed in ("build", "hatchling"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"needs the package {needed}: pip install {needed}")
    folder = tmp_path_factory.mktemp("wheel")
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder))
    call(sys.executable, *build, cwd=CHECKOUT)
    [built] = folder.glob("*.whl")
    return built


def test_wheel_holds_the_package_and_its_data_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    data = {
        f"edgeq/{folder}/{file.name}"
        for folder in ("targets", "recipes")
        for file in (CHECKOUT / folder).glob("*.yaml")
    }
    assert data <= names
    assert "edgeq/py.typed" in names
    assert {f"edgeq/report/html/templates/page.{kind}" for kind in ("html", "css", "js")} <= names
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"edgeq"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".nbi", ".nbc"))]


def test_installed_package_finds_its_data_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site))
    call(sys.executable, *install, str(wheel), cwd=tmp_path)

    found = json.loads(call(sys.executable, "-c", LOOK, str(site), cwd=tmp_path))

    assert Path(found["package"]).is_relative_to(site)
    assert Path(found["targets"]["local"]).is_relative_to(site)
    assert found["local"] == "local"
    assert found["recipes"] == sorted(f.stem for f in (CHECKOUT / "recipes").glob("*.yaml"))
    assert found["percentile"] == 99.99
    assert found["arch"]
    assert (site / "bin" / "edgeq").exists()
