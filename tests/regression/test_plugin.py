"""The plugin's options, marks and skips, without a deploy."""

from __future__ import annotations

import fcntl
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from edgeq import places
from edgeq.regression import plugin
from edgeq.regression.boards import BoardUnderTest
from edgeq.regression.figures import FEATURES
from edgeq.regression.options import OPTIONS

from .sessions import pytest_in, settings

ON_A_BOARD = "def test_answers(edgeq_device): assert edgeq_device.target\n"
ASKED = """
from pathlib import Path
import pytest
from edgeq.regression.options import OPTIONS, all_of

@pytest.mark.parametrize("name", OPTIONS)
def test_option(name, pytestconfig):
    print(f"<{name}={all_of(pytestconfig, name)}>")
"""
UNUSED = """
import sys

def test_heavy_packages_are_left_out():
    heavy = {"numpy", "pydantic", "onnx", "cv2", "sqlalchemy", "yaml", "rich", "paramiko"}
    assert not heavy & set(sys.modules)
"""


def suite(folder: Path, text: str, *lines: str) -> Path:
    settings(folder, *lines)
    (folder / "test_it.py").write_text(text)
    return folder


def value(name: str, source: str) -> str:
    """Something to say for an option."""
    return {"require": "yes", "unstable": "skip"}.get(name, f"{source}-{name}")


def test_every_option_is_a_variable_and_a_key_of_the_ini_file(tmp_path: Path) -> None:
    folder = suite(
        tmp_path, ASKED, *(f"{o.key} = {value(o.name, 'ini')}" for o in OPTIONS.values())
    )
    variables = {o.variable: value(o.name, "env") for o in OPTIONS.values()}
    flags = [
        part
        for o in OPTIONS.values()
        for part in ([o.flag] if o.name == "require" else [o.flag, value(o.name, "cli")])
    ]
    by_source = {
        "ini": pytest_in(folder, "-s").stdout,
        "env": pytest_in(folder, "-s", variables=variables).stdout,
        "cli": pytest_in(folder, "-s", *flags, variables=variables).stdout,
    }
    for source, said in by_source.items():
        for option in OPTIONS.values():
            expected = value(option.name, source)
            if option.name == "require" and source == "cli":
                expected = "True"
            elif option.is_path:
                expected = str(folder / expected)
            assert f"<{option.name}={(expected,)}>" in said


def test_every_option_and_fixture_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "regression.md").read_text()
    for option in OPTIONS.values():
        assert f"`{option.flag}" in page
    fixtures = re.findall(r"^def (edgeq_\w+)", Path(plugin.__file__).read_text(), re.MULTILINE)
    assert len(fixtures) == 7
    for name in (*fixtures, *FEATURES):
        assert f"`{name}`" in page


def test_several_targets_are_several_tests(tmp_path: Path) -> None:
    text = "def test_name(edgeq_target): pass\n"
    fleet = "[{target: jetson-orin, host: barn7, identity: key}, {target: local}]"
    (tmp_path / "fleet.yaml").write_text(fleet)
    done = pytest_in(
        suite(tmp_path, text),
        *("-v", "--edgeq-target", "raspberry-pi-5", "--edgeq-target", "local"),
        *("--edgeq-host", "pi@barn1", "--edgeq-fleet", "fleet.yaml"),
    )
    assert done.returncode == 0, done.stdout
    for name in ("raspberry-pi-5@pi@barn1", "local0", "jetson-orin@barn7", "local1"):
        assert f"test_name[{name}] PASSED" in done.stdout


def test_absent_board_skips_and_fails_where_it_is_required(tmp_path: Path) -> None:
    folder = suite(tmp_path, ON_A_BOARD)
    where = ["--edgeq-target", "arm-cpu-ort", "--edgeq-host", "edge@nowhere.invalid"]
    done = pytest_in(folder, *where)
    assert done.returncode == 0
    assert "SKIPPED [1] test_it.py:1: needs the board arm-cpu-ort@edge@nowhere.inv" in done.stdout
    done = pytest_in(folder, *where, "--edgeq-require")
    assert done.returncode == 1
    assert "needs the board arm-cpu-ort@edge@nowhere.invalid: " in done.stdout
    assert "During handling" not in done.stdout and "plugin.py" not in done.stdout


def test_wrong_target_fails_with_its_message(tmp_path: Path) -> None:
    done = pytest_in(suite(tmp_path, ON_A_BOARD), "--edgeq-target", "locl")
    assert done.returncode == 1
    assert "During handling" not in done.stdout and "Traceback" not in done.stdout
    assert "target 'locl'" in done.stdout and "did you mean 'local'" in done.stdout


def test_mark_says_what_a_test_runs_on(tmp_path: Path) -> None:
    text = """
        import pytest
        @pytest.mark.edgeq(target="jetson-orin", host="barn7", recipe="own.yaml")
        def test_own(edgeq_target):
            print(edgeq_target.recipe)
        @pytest.mark.edgeq(recipe="own.yaml")
        def test_recipe(edgeq_target): pass
        """
    folder = suite(tmp_path, "\n".join(line[8:] for line in text.splitlines()))
    done = pytest_in(folder, "-vs", "--edgeq-target", "local")
    assert "test_own[jetson-orin@barn7]" in done.stdout and f"{folder}/own.yaml" in done.stdout
    assert "test_recipe[local]" in done.stdout


@pytest.mark.parametrize(
    ("said", "mark", "message"),
    [
        (["--edgeq-unstable=ignore"], "", "--edgeq-unstable: 'ignore' is unknown; write fail or"),
        ([], "(board='x')", "mark edgeq: 'board' is unknown; write target=, host=, recipe="),
        (["--edgeq-fleet=none.yaml"], "", "none.yaml: cannot be read: "),
        (["--edgeq-fleet=fleet.yaml"], "", "fleet.yaml: is no list of boards"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, said: list[str], mark: str, message: str) -> None:
    (tmp_path / "fleet.yaml").write_text("target: local")
    marked = f"import pytest\n@pytest.mark.edgeq{mark}\n" if mark else ""
    use = "def test_x(edgeq_target, pytestconfig):\n    from edgeq.regression import plugin\n"
    use += "    plugin._not_told(pytestconfig, 'x')\n"
    done = pytest_in(suite(tmp_path, marked + use), "--edgeq-target=local", *said)
    assert done.returncode != 0 and message in done.stdout + done.stderr


def test_runs_that_use_no_board_import_nothing_heavy(tmp_path: Path) -> None:
    done = pytest_in(suite(tmp_path, UNUSED))
    assert done.returncode == 0, done.stdout


def test_pytest_finds_the_plugin_where_edgeq_is_installed() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert import_module(project["entry-points"]["pytest11"]["edgeq"]).pytest_addoption


def test_board_is_held_by_one_process_whatever_engine_is_meant() -> None:
    board = BoardUnderTest("raspberry-pi-5", "pi@barn7")
    with board.locked(), BoardUnderTest("raspberry-pi-5:litert", "pi@barn8").locked():
        other = BoardUnderTest("raspberry-pi-5:litert", "pi@barn7")
        assert other.place == board.place
        [file] = [path for path in (places.home() / "locks").iterdir() if "barn7" in path.name]
        take = (
            "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        )
        done = subprocess.run([sys.executable, "-c", take, file], capture_output=True, text=True)
        assert "BlockingIOError" in done.stderr
    with file.open("w") as free:
        fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)
