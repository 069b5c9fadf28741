from __future__ import annotations

from pathlib import Path

import pytest

from edgeq import places
from edgeq.agent.names import runtime_names
from edgeq.errors import InputError, InputErrors
from edgeq.runtimes import runtime
from edgeq.spec import target

GOOD = """
description: the board on the desk
runtime: onnxruntime
architecture: aarch64
activation_type: int8
transport: ssh
root: /opt/edgeq
"""
BUILTIN = sorted(places.builtin("targets").glob("*.yaml"))
REMOTE = [path for path in BUILTIN if target.load(str(path)).transport == "ssh"]


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", BUILTIN, ids=lambda path: path.stem)
def test_builtin_target_conforms(path: Path) -> None:
    by_file, by_name = target.load(str(path)), target.load(path.stem)
    assert by_file == by_name
    assert by_file.name == path.stem
    assert by_file.description
    assert by_file.root.startswith(("/", "~"))


@pytest.mark.parametrize("path", REMOTE, ids=lambda path: path.stem)
def test_builtin_target_can_be_built_for_without_the_board(path: Path) -> None:
    board = target.load(str(path))
    rules, note = runtime(board.runtime).placement(board, None)
    assert rules.runtime == board.runtime
    assert note == ""


@pytest.mark.parametrize("path", BUILTIN, ids=lambda path: path.stem)
def test_facts_of_a_builtin_target_agree_with_what_it_asks_for(path: Path) -> None:
    board = target.load(str(path))
    facts, limits = board.facts, board.limits
    assert board.threads is None or facts.cores is None or board.threads <= facts.cores
    assert list(facts.memory) == sorted(set(facts.memory))
    if limits.memory_bytes is not None and facts.memory:
        assert limits.memory_bytes < max(facts.memory)
    if facts.model is not None:
        assert facts.model in board.description


def test_every_builtin_target_can_be_told_from_the_others() -> None:
    descriptions = [target.load(str(path)).description for path in BUILTIN]
    assert len(set(descriptions)) == len(BUILTIN)


def test_there_is_a_local_target() -> None:
    assert target.load("local").transport == "local"


def test_target_by_file_is_named_after_it(tmp_path: Path) -> None:
    loaded = target.load(str(write(tmp_path, "desk.yaml", GOOD)))
    assert (loaded.name, loaded.architecture) == ("desk", "aarch64")


def test_target_may_give_its_name(tmp_path: Path) -> None:
    path = write(tmp_path, "desk.yml", GOOD + "name: bench\n")
    assert target.load(str(path)).name == "bench"


def test_users_target_is_found_by_name(edgeq_home: Path) -> None:
    path = write(edgeq_home / "targets", "desk.yaml", GOOD)
    assert target.names()["desk"] == path
    assert target.load("desk").root == "/opt/edgeq"


def test_users_target_wins_over_the_builtin_one(edgeq_home: Path) -> None:
    write(edgeq_home / "targets", "local.yaml", GOOD)
    assert target.load("local").root == "/opt/edgeq"


@pytest.mark.parametrize("name", ["raspberry-pi-4", "raspberry-pi-5", "local"])
def test_another_engine_of_a_board_is_named_behind_it(name: str) -> None:
    plain, other = target.load(name), target.load(f"{name}:litert")
    assert (plain.runtime, plain.alternatives) == ("onnxruntime", ("litert",))
    assert (other.name, other.runtime) == (f"{name}:litert", "litert")
    assert other.alternatives == ("onnxruntime",)
    changed = {"name", "runtime", "alternatives"}
    assert other.model_dump(exclude=changed) == plain.model_dump(exclude=changed)
    # The one that it has anyway is no other target, so that reports of both are of one.
    assert target.load(f"{name}:onnxruntime") == plain


def test_another_engine_of_a_target_in_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "a:b"
    path = write(folder, "desk.yaml", GOOD + "alternatives: [tensorrt, litert]\n")
    assert target.load(str(path)).runtime == "onnxruntime"
    found = target.load(f"{path}:litert")
    assert (found.name, found.runtime) == ("desk:litert", "litert")
    assert found.alternatives == ("onnxruntime", "tensorrt")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "local:tflite",
            r"'local' does not run 'tflite'; did you mean 'litert'\? \(litert, onnxruntime\)",
        ),
        ("arm-cpu-ort:litert", r"'arm-cpu-ort' does not run 'litert'; one of \(onnxruntime\)"),
        ("locl:litert", r"target 'locl' is unknown; did you mean 'local'\?"),
    ],
)
def test_engine_that_a_target_does_not_run_is_refused(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        target.load(name)


def test_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(InputError, match=r"target 'locl' is unknown; did you mean 'local'\?"):
        target.load("locl")


def test_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml: cannot be read: does not exist"):
        target.load("nowhere.yaml")


def test_all_that_is_wrong_is_reported_with_its_line(tmp_path: Path) -> None:
    text = (
        "runtime: onnxruntim\narchitecture: aarch64\nactivation_type: int4\nroott: /x\n"
        "weight_bits: 9\nthreads: 0\ntransport: ssh\nroot: ''\nlimits: {memory_byte: 1}\n"
    )
    path = write(tmp_path, "desk.yaml", text)
    with pytest.raises(InputErrors) as caught:
        target.load(str(path))
    assert [str(problem).removeprefix(f"{path}:") for problem in caught.value.problems] == [
        "1: runtime 'onnxruntim' is unknown; did you mean 'onnxruntime'? "
        f"({', '.join(runtime_names())})",
        "3: activation_type 'int4' is unknown; did you mean 'int8'? (int8, probe, uint8)",
        "4: 'roott' is unknown; did you mean 'root'? (activation_type, allowed_signers, "
        "alternatives, architecture, bounded_pairs, description, engine_version, facts, limits, "
        "name, prices, python, root, runtime, share_engines, threads, transport, typing, "
        "weight_bits, xnnpack)",
        "5: weight_bits '9' is unknown; one of (7, 8)",
        "6: threads is 0; it should be greater than 0",
        '8: root is ""; it should be text that is not empty',
        "9: 'memory_byte' is unknown; did you mean 'memory_bytes'? "
        "(build_s, clock_skew_s, disk_bytes, memory_bytes, workspace_bytes)",
    ]
