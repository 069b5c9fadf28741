"""The closed lists: each is written once, and every name of it is dispatched, on host and agent."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import edgeq
from edgeq import errors
from edgeq.agent import errors as agent_errors
from edgeq.agent import main, serve
from edgeq.agent.errors import AgentError
from edgeq.agent.names import runtime_names
from edgeq.agent.runtimes.base import runtime as agent_runtime
from edgeq.agent.verbs import registry as verb
from edgeq.agent.vision.decode import DECODERS, decoder_for
from edgeq.agent.wire.events import Events
from edgeq.calibrators import calibrators
from edgeq.calibrators.base import calibrate
from edgeq.calibrators.histogram import of
from edgeq.device.session.loader import LOADER
from edgeq.device.ssh.keywords import READ, UNREAD
from edgeq.runtimes import REFERENCE, runtime
from edgeq.spec import gates, recipe
from edgeq.spec import target as targets
from edgeq.spec.gates import Gates, all_gates, judge
from edgeq.spec.quantize import Activations
from edgeq.spec.target import Target

from .agent.vision.tasks import task
from .report.reports import ARTIFACT_BYTES, divergence, full_columns

SOURCE = Path(edgeq.__file__).parent


def trees(folder: Path, *without: str) -> Iterator[tuple[Path, ast.Module]]:
    for file in sorted(folder.rglob("*.py")):
        if file.relative_to(SOURCE).parts[0] not in without:
            yield file, ast.parse(file.read_text(encoding="utf-8"))


# Runtimes


@pytest.mark.parametrize("name", runtime_names())
def test_runtime_has_a_side_on_the_host_and_one_on_the_device(name: str) -> None:
    here = runtime(name)
    assert here.name == name and here.written.model
    assert callable(agent_runtime(name).load)


@pytest.mark.parametrize("name", runtime_names())
def test_some_target_runs_each_runtime(name: str) -> None:
    kinds = [targets.load(found) for found in targets.names()]
    assert any(name in (kind.runtime, *kind.alternatives) for kind in kinds)


def test_unknown_runtimes_are_refused_everywhere() -> None:
    with pytest.raises(AgentError, match=r"cannot run slate; deploy for one of: .*onnxruntime"):
        agent_runtime("slate")
    with pytest.raises(ModuleNotFoundError):
        runtime("slate")
    with pytest.raises(ValueError, match="runtime"):
        Target.model_validate(
            {
                "runtime": "slate",
                "architecture": "host",
                "activation_type": "int8",
                "transport": "local",
                "root": "x",
            }
        )
    assert REFERENCE in runtime_names()


def test_no_runtime_is_asked_for_by_its_name() -> None:
    """What differs is a capability that a runtime states."""
    named = set(runtime_names())
    for file, tree in trees(SOURCE, "runtimes"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                found = {side.value for side in sides if isinstance(side, ast.Constant)} & named
                # The probe asks the one module for what it can run on.
                assert not found or file.name == "packages.py", f"{file}:{node.lineno}: {found}"


# Calibrators


@pytest.mark.parametrize("name", calibrators())
def test_calibrator_finds_a_range_of_its_own(name: str) -> None:
    parameter = calibrators()[name].parameter
    given = {} if parameter is None else {parameter: 90.0}
    choice = Activations.model_validate({"calibrator": name, **given})
    values = np.append(np.random.default_rng(0).standard_normal(1_000_000), 20.0).astype(np.float32)
    found = calibrate(of(values), choice, symmetric=True)
    # An outlier, which max alone lets decide.
    assert 0.5 < found.high <= 20
    assert (found.high == 20) == (name == "max")


def test_unknown_calibrators_raise() -> None:
    class Choice:
        calibrator = "entrpy"
        parameter = None

    with pytest.raises(KeyError):
        calibrate(of(np.zeros(3, np.float32)), Choice(), symmetric=True)


# Decoders


@pytest.mark.parametrize("name", DECODERS)
def test_decoder_is_made_for_its_name(name: str) -> None:
    assert decoder_for(task(decoder=name)).name == name


def test_schema_of_a_recipe_lists_what_is_registered() -> None:
    schema = json.dumps(recipe.schema())
    for names in (DECODERS, calibrators()):
        assert json.dumps(list(names)) in schema
    for name in all_gates():
        assert f'"{name}"' in schema


# Gates


@pytest.mark.parametrize("name", all_gates())
def test_gate_judges_under_its_own_name(name: str) -> None:
    [verdict] = judge(Gates.model_validate({name: 1}), full_columns(), ARTIFACT_BYTES, divergence())
    assert verdict.gate == name


def test_gate_that_nobody_judges_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loose(Gates):
        spare: float | None = None

    monkeypatch.setattr(gates, "Gates", Loose)
    with pytest.raises(TypeError, match="gate spare says 0 times how it is judged"):
        all_gates()


# Error kinds


def kinds(module: object) -> dict[str, str]:
    return {
        name: value
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and not name.startswith("_")
    }


def test_no_kind_of_error_has_two_names() -> None:
    found = [*kinds(agent_errors).values(), *kinds(errors).values()]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("module", [agent_errors, errors])
def test_every_kind_of_error_is_raised_somewhere(module: object) -> None:
    used = {
        node.id
        for _, tree in trees(SOURCE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    assert kinds(module).keys() <= used


def test_kinds_of_errors_are_the_constants() -> None:
    """Whoever raises or asks for a kind names it; a word typed wrong would match nothing."""
    known = set(kinds(agent_errors).values()) | set(kinds(errors).values())
    for file, tree in trees(SOURCE):
        if file.name == "errors.py":
            continue
        for node in ast.walk(tree):
            literals: list[ast.expr] = []
            if isinstance(node, ast.Compare) and "kind" in ast.unparse(node.left):
                literals = [part for part in ast.walk(node) if isinstance(part, ast.Constant)]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error"):
                literals = [*node.args, *(key.value for key in node.keywords)]
            for part in literals:
                if isinstance(part, ast.Constant):
                    assert part.value not in known, f"{file}:{part.lineno}: {part.value}"


def test_loader_knows_no_other_kinds() -> None:
    """It travels as text, and can import none of them."""
    said = set(re.findall(r'errno\.\w+: "([a-z-]+)"|refuse\("([a-z-]+)"', LOADER))
    words = {word for pair in said for word in pair if word} - {"busy"}
    assert words
    assert words <= set(kinds(agent_errors).values()) | set(kinds(errors).values())


# Verbs and operations of the agent


@pytest.mark.parametrize("name", verb.VERBS)
def test_verb_reads_its_job_and_runs(name: str, tmp_path: Path) -> None:
    """On a release that is not there; what it says of that is no bug of its own."""
    none = str(tmp_path / "none")
    images = [{"id": 1, "path": none}] if name == "predict" else [none]
    job: dict[str, object] = {
        "release": none,
        "sides": [{"release": none}] * 2,
        "root": str(tmp_path),
        "images": images,
        "threads": 1,
        "fields": {},
        "build_s": 1.0,
        "model": none,
        "timing_cache": none,
        **dict.fromkeys(("fingerprint", "plan", "golden"), "0" * 64),
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    said = io.BytesIO()

    status = main.run([name, str(tmp_path / "job.json")], Events(said))

    last = json.loads(said.getvalue().splitlines()[-1])
    assert verb.VERBS[name].name == name
    assert (last["event"] == "result") == (status == 0) == (name == "probe")
    assert last.get("kind") not in (agent_errors.BUG, agent_errors.BAD_JOB), last


@pytest.mark.parametrize("name", serve.OPERATIONS)
def test_operation_is_dispatched(name: str) -> None:
    operation = serve.OPERATIONS[name]
    assert callable(operation)
    assert operation.__module__.startswith("edgeq.agent.")


def test_host_asks_for_nothing_that_the_agent_lacks() -> None:
    jobs: set[str] = set()
    asked = {"ask": set[str](), "_ask": set[str](), "send": set[str]()}
    asked |= {"_job": jobs, "_begin_job": jobs}
    for _, tree in trees(SOURCE / "device"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                first = node.args[0]
                if node.func.attr in asked and isinstance(first, ast.Constant):
                    asked[node.func.attr].add(str(first.value))
    operations = set().union(*(asked[name] for name in ("ask", "_ask", "send")))
    assert jobs == set(verb.public_verbs())
    assert operations <= serve.OPERATIONS.keys()
    # A session's own: the host never names them there.
    assert serve.OPERATIONS.keys() - operations <= {"put", "commit"}


# Words


def test_no_class_has_the_name_of_another() -> None:
    places: dict[str, list[Path]] = {}
    for file, tree in trees(SOURCE):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(file)
    assert not {name: found for name, found in places.items() if len(found) > 1}


# Keywords of ssh_config


def test_every_keyword_of_ssh_is_in_the_docs() -> None:
    page = (SOURCE.parent / "docs/boards.md").read_text()
    assert not set(READ) & set(UNREAD)
    for name in (*READ, *UNREAD):
        assert f"`{name}`" in page, name
