"""The command line as a user meets it: a process, its output and its exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from edgeq.cli.main import app
from edgeq.versions import version

from ..report.sarif_schema import violations

COMMANDS = (
    ["deploy"],
    ["build"],
    ["measure"],
    ["inspect"],
    ["lint"],
    ["tune"],
    ["sensitivity"],
    ["study"],
    ["demo"],
    ["push"],
    ["rollback"],
    ["status"],
    ["recipe", "check"],
    ["recipe", "schema"],
    ["targets", "list"],
    ["targets", "show"],
    ["targets", "check"],
    ["targets", "setup"],
    ["rollout", "plan"],
    ["fleet", "list"],
    ["fleet", "check"],
    *(["fleet", "run", verb] for verb in ("status", "push", "rollback", "setup")),
    ["compare"],
    ["history"],
    ["report"],
    *(["baseline", verb] for verb in ("set", "list", "show", "rm")),
    ["cache", "list"],
    ["cache", "clear"],
)
README = Path(__file__).parents[2] / "README.md"


def edgeq(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line; standard output is no terminal here."""
    command = [sys.executable, "-m", "edgeq", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command: list[str]) -> None:
    done = CliRunner().invoke(app, [*command, "--help"])

    assert done.exit_code == 0
    assert f"Example: edgeq {' '.join(command)}" in " ".join(done.stdout.split())


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_is_in_the_readme(command: list[str]) -> None:
    text = README.read_text()

    assert re.search(rf"edgeq {' '.join(command)}\b|make {command[0]}\b", text)


def test_help_needs_no_engine(tmp_path: Path) -> None:
    heavy = ("onnxruntime", "onnx", "numpy", "cv2", "pydantic", "paramiko")
    blocked = f"import sys\nfor name in {heavy}:\n"
    blocked += "    sys.modules[name] = None\n"
    code = blocked + "sys.argv = ['edgeq', '--help']\nfrom edgeq.cli.main import run\nrun()"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "deploy" in done.stdout


def test_version_needs_no_engine() -> None:
    heavy = ["onnxruntime", "onnx", "numpy", "cv2", "pydantic", "paramiko"]
    code = f"import sys; sys.modules.update(dict.fromkeys({heavy}))\n"
    code += "sys.argv = ['edgeq', '--version']\nfrom edgeq.cli.main import run\nrun()"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, f"edgeq {version()}\n"), done.stderr


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("edgeq dep", ["deploy"]),
        ("edgeq deploy r.yaml --target ras", ["raspberry-pi-4", "raspberry-pi-5"]),
        ("edgeq targets show loc", ["local"]),
    ],
)
def test_shell_completes_commands_and_targets(typed: str, completed: list[str]) -> None:
    asked = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    code = "import sys; sys.argv = ['edgeq']\nfrom edgeq.cli.main import run\nrun()"

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked, "_EDGEQ_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.split() == completed, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["deploy", "r.yaml", "-t", "local"],
        ["compare", "a", "b", "-t", "local"],
        ["tune", "r.yaml", "-t", "local", "-o", "tuned.yaml"],
        ["study", "r.yaml", "-t", "local", "-o", "study"],
        ["rollout", "start", "r.yaml", "--fleet", "fleet.yaml"],
        ["rollout", "status", "3f2a"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_page_that_could_not_be_written_is_refused_before_any_work(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    done = CliRunner().invoke(app, [*command, "--html", "absent/page.html"])

    assert "absent/page.html: cannot be written" in str(done.exception)


def test_unknown_target_exits_with_2(small_demo: Path) -> None:
    done = edgeq("deploy", small_demo / "recipe.yaml", "--target", "jetson")

    assert done.returncode == 2
    assert "target 'jetson' is unknown" in done.stderr


def test_bad_recipe_prints_every_problem_with_its_line(tmp_path: Path) -> None:
    recipe = tmp_path / "bad.yaml"
    recipe.write_text("modle: x.onnx\ntask: {decoder: yolo, classes: [a]}\n")

    done = edgeq("recipe", "check", recipe)

    assert done.returncode == 2
    assert f"{recipe}:1: 'modle' is unknown; did you mean 'model'?" in done.stderr
    assert f"{recipe}:2: decoder 'yolo' is unknown" in done.stderr
    assert done.stdout == ""


def test_problems_as_json(tmp_path: Path) -> None:
    done = edgeq("recipe", "check", tmp_path / "none.yaml", "--json")

    assert done.returncode == 2
    problem = json.loads(done.stdout)["problems"][0]
    assert problem["where"] == str(tmp_path / "none.yaml")
    assert "does not exist" in problem["what"]


def test_many_problems_are_counted_on_the_terminal_and_as_json(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("".join(f"key{number}: 1\n" for number in range(500)))
    done = edgeq("recipe", "check", recipe, "--json")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert (len(lines), lines[-1]) == (21, "error: and 484 more problems")
    problems = json.loads(done.stdout)["problems"]
    assert (len(problems), problems[-1]["what"]) == (21, "and 484 more problems")


def test_errors_of_a_recipe_are_annotations_and_findings_in_ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("modle: a.onnx\n")
    file = tmp_path / "edgeq.sarif"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = edgeq("recipe", "check", recipe, "--sarif", file, "--json")
    assert done.returncode == 2
    problems = json.loads(done.stdout)["problems"]
    shown = [line for line in done.stderr.splitlines() if line.startswith("::error")]
    assert len(shown) == len(problems) > 1
    assert any(f"::error file={recipe},line=1::" in line for line in shown)
    assert violations(file.read_text()) == []
    results = json.loads(file.read_text())["runs"][0]["results"]
    assert len(results) == len(problems)

    monkeypatch.delenv("GITHUB_ACTIONS")
    assert "::error" not in edgeq("recipe", "check", recipe).stderr
    outside = edgeq("compare", "a", "b", "--target", "local", "--github-summary")
    assert outside.returncode == 2 and "$GITHUB_STEP_SUMMARY is not set" in outside.stderr


def test_recipe_check_finds_nothing_wrong_with_the_demo(small_demo: Path) -> None:
    alone = edgeq("recipe", "check", small_demo / "recipe.yaml")
    whole = edgeq("recipe", "check", small_demo / "recipe.yaml", "--target", "local", "--json")

    assert (alone.returncode, whole.returncode) == (0, 0), whole.stderr
    assert json.loads(whole.stdout) == {"problems": [], "notes": []}


def test_recipe_check_says_what_entropy_does_to_silu(small_demo: Path) -> None:
    recipe = small_demo / "entropy.yaml"
    asked = yaml.safe_load((small_demo / "recipe.yaml").read_text())
    asked["quantize"] = {"activations": {"calibrator": "entropy"}}
    recipe.write_text(yaml.safe_dump(asked))
    target = ("--target", "local")

    before = edgeq("recipe", "check", recipe, *target, "--json")
    built = edgeq("build", recipe, *target)
    after = edgeq("recipe", "check", recipe, *target)

    [note] = json.loads(before.stdout)["notes"]
    assert note.startswith("entropy clips SiLU too early")
    assert note.endswith("percentile 99.99 and mse keep more")
    # Where the statistics are there, it knows by how much.
    assert "by 99.99%" in built.stdout
    assert "by 99.99%" in after.stdout


def test_schema_accepts_the_demo_recipe(small_demo: Path) -> None:
    schema = json.loads(edgeq("recipe", "schema").stdout)
    recipe = json.loads(json.dumps(yaml.safe_load((small_demo / "recipe.yaml").read_text())))

    jsonschema.validate(recipe, schema)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**recipe, "modle": "x"}, schema)


def test_targets_are_listed_and_shown() -> None:
    listed = json.loads(edgeq("targets", "list", "--json").stdout)
    shown = yaml.safe_load(edgeq("targets", "show", "local").stdout)

    assert "local" in [target["name"] for target in listed]
    assert shown["runtime"] == "onnxruntime"
    assert "local" in edgeq("targets", "list").stdout


def test_inspect_prints_layers_and_the_lint(small_demo: Path) -> None:
    text = edgeq("inspect", small_demo / "recipe.yaml").stdout
    record = json.loads(edgeq("inspect", small_demo / "model.onnx", "--json").stdout)

    assert "multiply-adds" in text and "What would stay float:" in text
    assert "in the head's tail, which stays float" in text
    assert record["parameters"] > 500_000
    assert [mix["in_tail"] for mix in record["range_mixing"]] == [True]


def test_deploy_writes_report_and_table(small_demo: Path, before: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"

    done = edgeq("deploy", small_demo / "recipe.yaml", "-t", "local", "--report", path)

    assert done.returncode == 0, done.stderr
    assert "PASSED" in done.stdout and "simulated int8" in done.stdout
    assert json.loads(path.read_text())["exit_code"] == 0
    assert done.stderr == ""  # no bars where there is no terminal


def test_deploy_as_json_prints_the_record(small_demo: Path, before: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    options = ("-t", "local", "--report", path, "--json")

    done = edgeq("deploy", small_demo / "recipe.yaml", *options)

    assert json.loads(done.stdout) == json.loads(path.read_text())


def test_build_then_measure(small_demo: Path, spared: None, tmp_path: Path) -> None:
    artifact = tmp_path / "demo.edgeq"

    built = edgeq("build", small_demo / "recipe.yaml", "-t", "local", "-o", artifact, "--json")
    images = small_demo / "evaluation"
    measured = edgeq(
        "measure", artifact, "-t", "local", "--images", images, "--duration", "0.2", "--json"
    )

    assert json.loads(built.stdout)["output"] == str(artifact)
    record = json.loads(measured.stdout)
    assert record["peak_rss_bytes"] > 0
    assert measured.returncode == (4 if record["unstable"] else 0)


@pytest.mark.parametrize("command", ["deploy", "build"])
def test_dry_run_prints_steps(command: str, small_demo: Path, edgeq_home: Path) -> None:
    done = edgeq(command, small_demo / "recipe.yaml", "-t", "local", "--dry-run")

    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "nothing was done"
    assert not (edgeq_home / "store.sqlite").exists()


def test_measure_of_no_artifact_exits_with_2(tmp_path: Path, small_demo: Path) -> None:
    done = edgeq("measure", tmp_path, "-t", "local", "--images", small_demo / "evaluation")

    assert done.returncode == 2
    assert "is no artifact" in done.stderr


def test_demo_dry_run_writes_nothing(tmp_path: Path) -> None:
    done = edgeq("demo", tmp_path / "demo", "--dry-run")

    assert done.returncode == 0
    assert not (tmp_path / "demo").exists()


def test_demo_refuses_a_folder_with_other_things(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    done = edgeq("demo", tmp_path)

    assert done.returncode == 2
    assert "is not empty" in done.stderr


def test_store_that_cannot_be_used_is_refused_before_anything_is_done(
    small_demo: Path, edgeq_home: Path
) -> None:
    done = edgeq("deploy", small_demo / "recipe.yaml", "-t", "local", "--store", "nonsense://x")

    assert done.returncode == 2
    assert "nonsense" in done.stderr
    assert not list((edgeq_home / "cache" / "statistics").glob("*"))


@pytest.mark.usefixtures("interruptible")
def test_interrupt_ends_quietly_with_130(small_demo: Path, edgeq_home: Path) -> None:
    command = [sys.executable, "-m", "edgeq", "deploy", str(small_demo / "recipe.yaml")]
    process = subprocess.Popen(
        [*command, "-t", "local"], stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    while not (edgeq_home / "cache").exists():  # until it is at work
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not (edgeq_home / "device" / "current").exists()


def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In the place of the package, one that cannot be imported.
    for module in ("ai_edge_litert", "tflite_runtime"):
        (tmp_path / module).mkdir()
        (tmp_path / module / "__init__.py").write_text("raise ImportError('broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("EDGEQ_HOME", str(tmp_path / "home"))

    done = edgeq("targets", "check", "local:litert")

    assert "broken" in done.stdout
    assert "'edgeq[litert]'" in done.stdout


def test_builds_to_compare_need_a_recipe_and_an_engine_that_is_built(
    small_demo: Path, packed: Path
) -> None:
    asked = ("measure", packed, "-t", "local", "--builds", "3")
    without = edgeq(*asked, "--images", small_demo / "evaluation")
    assert without.returncode == 2 and "goes with --recipe, not --images" in without.stderr
    done = edgeq(*asked, "--recipe", small_demo / "recipe.yaml", "--dry-run")
    assert done.returncode == 2
    assert "runs as it is in onnxruntime: no device builds anything of it" in done.stderr
