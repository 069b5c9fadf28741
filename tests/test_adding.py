"""The worked examples of 'Adding' in docs/architecture.md, performed as they stand there.

Each is written into a copy of the checkout, the demo is deployed with it, and it is taken out.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.usefixtures("spared")

CHECKOUT = Path(__file__).parents[1]
ZIP_HOLDS = """
import io, sys, zipfile
from edgeq.device.session.bundle import bundle
print(sys.argv[1] in zipfile.ZipFile(io.BytesIO(bundle())).namelist())
"""


def examples() -> dict[str, str]:
    """The blocks of 'Adding' by the file that their first line names."""
    text = (CHECKOUT / "docs" / "architecture.md").read_text()
    [section] = re.findall(r"^## Adding\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    blocks = re.findall(r"^```(?:python|yaml|diff)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return {re.split(r"[\s]+(?:a/)?", block, maxsplit=2)[1]: block for block in blocks}


@dataclass(frozen=True)
class Copy:
    """A copy of what edgeq consists of, and the demo with the recipe that a test wants."""

    root: Path
    demo: Path

    @contextmanager
    def with_examples(self, *files: str) -> Iterator[None]:
        """The examples of these files, and none of them afterwards."""
        for file in files:
            assert not (self.root / file).exists()
            (self.root / file).write_text(examples()[file])
        try:
            yield
        finally:
            for file in files:
                (self.root / file).unlink()

    def recipe(self, **parts: Any) -> Path:
        """The demo's recipe with other parts; a part that is None is left out."""
        given = yaml.safe_load((self.demo / "recipe.yaml").read_text())
        wanted = {key: part for key, part in (given | parts).items() if part is not None}
        path = self.demo / "wanted.yaml"
        path.write_text(yaml.safe_dump(wanted))
        return path

    def python(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """A process whose edgeq is the copy."""
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)

    def deploy(self, recipe: Path, target: str = "local") -> dict[str, Any]:
        """The report of a deploy; the copy's, which is what runs in its folder."""
        path = self.demo / "report.json"
        path.unlink(missing_ok=True)
        done = self.python("-m", "edgeq", "deploy", recipe, "-t", target, "--report", path)
        # Whether the machine was calm does not matter here.
        assert done.returncode in (0, 1, 4), done.stderr
        report: dict[str, Any] = json.loads(path.read_text())
        return report

    def refusal(self, recipe: Path, target: str = "local") -> str:
        """What is said where a name is unknown."""
        done = self.python("-m", "edgeq", "deploy", recipe, "-t", target, "--dry-run")
        assert done.returncode == 2, done.stdout + done.stderr
        return done.stderr


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory, small_demo: Path) -> Copy:
    root = tmp_path_factory.mktemp("copy")
    # With what is compiled of it, which its times say.
    for folder in ("edgeq", "targets", "recipes"):
        shutil.copytree(CHECKOUT / folder, root / folder)
    demo = Path(shutil.copytree(small_demo, root / "demo"))
    # Other code computes everything anew.
    text = (demo / "recipe.yaml").read_text()
    (demo / "recipe.yaml").write_text(text.replace("count: 8", "count: 2"))
    return Copy(root, demo)


def device(report: dict[str, Any]) -> dict[str, Any]:
    """The device's column."""
    [found] = [column for column in report["columns"] if column["name"] == "device"]
    return dict(found)


def scales(artifact: Path) -> dict[str, float]:
    """The scale of every quantized tensor, by the plan in an artifact."""
    plan = json.loads((artifact / "plan.json").read_text())
    return {name: float(tensor["scale"]) for name, tensor in plan["tensors"].items()}


def test_board_is_one_file(copied: Copy) -> None:
    recipe = copied.recipe(evaluate=None, gates=None)

    with copied.with_examples("targets/barn-box.yaml"):
        report = copied.deploy(recipe, "barn-box")

    assert report["target"] == "barn-box"
    assert device(report)["measurement"]["threads"] == 1
    [verdict] = report["verdicts"]
    assert (verdict["gate"], verdict["limit"]) == ("peak_memory_bytes", 900 << 20)
    said = copied.refusal(recipe, "barn-box")
    assert "target 'barn-box' is unknown" in said and "local" in said


def test_calibrator_is_one_file(copied: Copy, edgeq_home: Path, tmp_path: Path) -> None:
    def recipe(name: str) -> Path:
        quantize = {"activations": {"calibrator": name}}
        return copied.recipe(quantize=quantize, evaluate=None, gates=None)

    whole = copied.python(
        "-m", "edgeq", "build", recipe("max"), "-t", "local", "-o", tmp_path / "a"
    )
    with copied.with_examples("edgeq/calibrators/halfmax.py"):
        report = copied.deploy(recipe("halfmax"))

    assert whole.returncode == 0, whole.stderr
    before = scales(tmp_path / "a")
    after = scales(edgeq_home / "cache" / "artifacts" / report["artifact_id"])
    ratios = [round(after[name] / before[name], 6) for name in before]
    # What a sigmoid gives is never clipped.
    assert set(ratios) == {0.5, 1.0} and ratios.count(0.5) > len(ratios) / 2
    said = copied.refusal(recipe("halfmax"))
    assert "calibrator 'halfmax' is unknown" in said
    assert all(name in said for name in ("entropy", "max", "mse", "percentile"))


def test_decoder_is_one_file(copied: Copy) -> None:
    task = yaml.safe_load((copied.demo / "recipe.yaml").read_text())["task"]
    recipe = copied.recipe(task={**task, "decoder": "yolov8-single"})

    with copied.with_examples("edgeq/agent/vision/decoders/single.py"):
        report = copied.deploy(recipe)

    found = device(report)["accuracy"]
    # One an image, of which most show several: the others are missed.
    assert (found["images"], found["instances"]) == (6, 28)
    assert 0 < found["mask"]["ap50"] < 0.5
    said = copied.refusal(recipe)
    assert "decoder 'yolov8-single' is unknown" in said
    assert all(name in said for name in ("yolov5-seg", "yolov8-seg", "end2end-seg", "mask-rcnn"))


def test_gate_is_one_file(copied: Copy, tmp_path: Path) -> None:
    recipe = copied.recipe(gates={"mask_ap": 0.3})
    diff = tmp_path / "gate.diff"
    diff.write_text(examples()["edgeq/spec/gates.py"])

    def apply(*options: str) -> None:
        subprocess.run(["git", "apply", *options, str(diff)], cwd=copied.root, check=True)

    apply()
    try:
        report = copied.deploy(recipe)
    finally:
        apply("--reverse")

    [verdict] = report["verdicts"]
    measured = device(report)["accuracy"]["mask"]["ap"]
    judged = {"gate": "mask_ap", "limit": 0.3, "measured": measured, "status": "passed"}
    assert verdict == {**judged, "reason": ""}
    assert measured >= 0.3
    said = copied.refusal(recipe)
    assert "'mask_ap' is unknown" in said and "mask_ap_drop" in said


def test_engine_is_two_files_and_a_target(copied: Copy) -> None:
    recipe = copied.recipe(evaluate=None, gates={"artifact_bytes": 2_000_000})
    target, *sides = (
        "targets/abacus.yaml",
        "edgeq/runtimes/abacus.py",
        "edgeq/agent/runtimes/abacus.py",
    )

    with copied.with_examples(target):
        with copied.with_examples(*sides):
            report = copied.deploy(recipe, "abacus")
            zipped = copied.python("-c", ZIP_HOLDS, "agent/runtimes/abacus.py")
        said = copied.refusal(recipe, "abacus")

    assert report["target"] == "abacus"
    measurement = device(report)["measurement"]
    timed = len(measurement["inference_ns"]) + measurement["warmup_count"]
    assert measurement["engine_facts"]["beads"] >= timed > 0
    assert zipped.stdout.strip() == "True", zipped.stderr
    assert "runtime 'abacus' is unknown" in said
    assert all(name in said for name in ("litert", "onnxruntime", "tensorrt"))


def test_no_example_is_left_out() -> None:
    """Every block of 'Adding' is performed by a test of this file."""
    performed = Path(__file__).read_text()
    assert len(examples()) == 7
    assert all(f'"{file}"' in performed for file in examples())
