"""Roll-outs to boards that are folders of this machine, with the real agent and engine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import onnx
import pytest
from onnx import numpy_helper

import edgeq
from edgeq.device.connection import connect
from edgeq.errors import DeviceError, InputError
from edgeq.spec import target as targets
from edgeq.store import open_store
from edgeq.store.schema import RolloutRow
from tests.device.sshd import generate

from .barn import Barn
from .pretended import states

INSTALLED = ["checking", "pushing", "verifying", "measuring", "activating", "healthy"]


def test_every_board_gets_the_release_and_goes_back_to_the_one_before(barn: Barn) -> None:
    strategy = barn.strategy(canary=1)
    # One board is in trouble of its own, which is no evidence and holds up nobody.
    shutil.rmtree(barn.boards["cam1"])
    barn.boards["cam1"].write_text("a file lies where the root should be")
    first = edgeq.start_rollout(barn.recipe, barn.fleet, strategy)
    seen = states(first)
    assert seen["cam0"] == INSTALLED and seen["cam1"] == ["checking", "failed"]
    status = edgeq.rollout_status(first.id)
    assert (status.state, status.exit_code) == ("done", 3)
    [failed] = [device for device in status.devices if device.state == "failed"]
    assert (failed.failure, failed.is_bad) == ("board", False)
    assert "not-a-folder" not in failed.reason and str(barn.boards["cam1"]) in failed.reason

    # Mended, it is begun anew, and the other one is not touched.
    barn.boards["cam1"].unlink()
    assert states(edgeq.retry_rollout(first.id)) == {"cam1": INSTALLED, "": ["done"]}
    status = edgeq.rollout_status(first.id)
    [artifact] = {device.artifact_id for device in status.devices}
    assert status.exit_code == 0 and barn.current() == dict.fromkeys(barn.boards, artifact)
    assert {device.before for device in status.devices} == {None}

    # The next one is held against it, and taken back as often as one likes.
    barn.next_release()
    second = edgeq.start_rollout(barn.recipe, barn.fleet, barn.strategy(canary=1, soak=0.1))
    assert states(second)["cam0"] == [*INSTALLED[:-1], "soaking", "healthy"]
    status = edgeq.rollout_status(second.id[:6])
    assert {device.before for device in status.devices} == {artifact}
    for device in status.devices:
        assert {"inference", "frame", "peak memory"} <= device.losses.keys()
    [newer] = {device.artifact_id for device in status.devices}
    assert newer != artifact and barn.current() == dict.fromkeys(barn.boards, newer)
    back = states(edgeq.roll_back_rollout(second.id))
    assert back["cam0"] == back[""] == ["rolling back", "rolled back"]
    assert barn.current() == dict.fromkeys(barn.boards, artifact)
    assert states(edgeq.roll_back_rollout(second.id)) == {"": ["rolling back", "rolled back"]}
    assert barn.current() == dict.fromkeys(barn.boards, artifact)
    # Whoever types 'edgeq rollback' there does not get the bad one back.
    with pytest.raises(DeviceError, match="rolled back already"):
        edgeq.rollback(targets.load(str(barn.folder / "cam0.yaml")))


def test_gate_that_fails_on_the_canary_stops_it_before_anything_is_current(barn: Barn) -> None:
    barn.recipe.write_text(barn.recipe.read_text() + "\ngates: {artifact_bytes: 1000}\n")
    rollout = edgeq.start_rollout(barn.recipe, barn.fleet, barn.strategy(canary=2))
    states(rollout)
    status = edgeq.rollout_status(rollout.id)
    assert (status.state, status.exit_code) == ("stopped", 1)
    assert "every device of the canary" in status.reason and "artifact_bytes" in status.reason
    assert all(device.failure == "model" for device in status.devices)
    assert set(barn.current().values()) == {None}
    with pytest.raises(InputError, match="is stopped"):
        edgeq.resume_rollout(rollout.id)


DAMAGE = """
import onnxruntime
intact = onnxruntime.InferenceSession.run
def damaged(*arguments, **options):
    return [found[..., ::-1].copy() for found in intact(*arguments, **options)]
onnxruntime.InferenceSession.run = damaged
"""


def damage(root: Path, how: str = DAMAGE) -> None:
    """Give a board an engine that computes something else, in an environment of its own."""
    folder = root / "env" / "damaged"
    venv.create(folder, with_pip=False)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "damage.py").write_text(how)
    shared = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "shared.pth").write_text("".join(f"{path}\n" for path in shared))
    (packages / "z.pth").write_text("import damage\n")
    (root / "env" / "current").symlink_to("damaged")


def test_board_whose_engine_computes_something_else_is_found_by_its_outputs(barn: Barn) -> None:
    first = edgeq.start_rollout(barn.recipe, barn.fleet, barn.strategy(canary=1), on="name=cam0")
    states(first)
    [device] = edgeq.rollout_status(first.id).devices
    assert device.reference is not None and device.reference.snr_db
    damage(barn.boards["cam1"])
    strategy = barn.strategy(canary={"count": 1, "on": "name=cam0"})
    rollout = edgeq.start_rollout(barn.recipe, barn.fleet, strategy)
    states(rollout)
    status = edgeq.rollout_status(rollout.id)
    bad = {device.device: device for device in status.devices if device.is_bad}
    assert set(bad) == {"cam1"} and bad["cam1"].failure == "artifact"
    assert "dB from the simulation's" in bad["cam1"].reason
    assert barn.current()["cam1"] is None


def test_board_that_another_session_uses_is_put_off(barn: Barn) -> None:
    strategy = barn.strategy(canary={"count": 1, "on": "name=cam0"}, tries=1)
    with connect(targets.load(str(barn.folder / "cam1.yaml"))) as device:
        device.lock("a test")
        rollout = edgeq.start_rollout(barn.recipe, barn.fleet, strategy)
        seen = states(rollout)
    assert seen["cam1"] == ["checking", "deferred"] * 2
    [late] = [d for d in edgeq.rollout_status(rollout.id).devices if d.state == "deferred"]
    assert "is using this device (a test)" in late.reason


def test_what_changed_since_it_began_is_not_gone_on_with(
    barn: Barn, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = edgeq.start_rollout(barn.recipe, barn.fleet, barn.strategy(canary=1))
    who = rf"process {os.getpid()} has worked on roll-out {rollout.id} since "
    with pytest.raises(InputError, match=who):
        edgeq.resume_rollout(rollout.id)
    let_go(rollout.id)
    text, fleet = barn.recipe.read_text(), barn.fleet.read_text()
    barn.next_release()
    with pytest.raises(InputError, match="is not what it was when"):
        edgeq.resume_rollout(rollout.id)
    barn.recipe.write_text(text)
    barn.fleet.write_text(fleet.replace("cam1:", "gone:"))
    with pytest.raises(InputError, match="no device 'cam1' any more"):
        edgeq.resume_rollout(rollout.id)
    barn.fleet.write_text(fleet)
    moved = barn.folder / "cam1.yaml"
    target = moved.read_text()
    moved.write_text(target.replace("barn/cam1", "barn/elsewhere"))
    with pytest.raises(InputError, match=r"device 'cam1' is at .*elsewhere, and was at .*cam1"):
        edgeq.resume_rollout(rollout.id)
    moved.write_text(target)
    model = barn.recipe.with_name("model.onnx")
    content = model.read_bytes()
    model.write_bytes(widened(content))
    with pytest.raises(InputError, match=r"is not what it was .* or its model or images are not"):
        edgeq.resume_rollout(rollout.id)
    model.write_bytes(content)
    with monkeypatch.context() as patch:
        patch.setattr(metadata, "version", lambda name: "99.0")
        with pytest.raises(InputError, match="or edgeq is another one"):
            edgeq.resume_rollout(rollout.id)
    assert edgeq.abort_rollout(rollout.id).state == "aborted"
    with pytest.raises(InputError, match="is aborted"):
        edgeq.resume_rollout(rollout.id)


def test_all_that_is_wrong_is_told_before_anything_is_written(barn: Barn) -> None:
    barn.change("model: model.onnx", "model: gone.onnx")
    with pytest.raises(InputError, match=r"recipe\.yaml:\d+: .*gone\.onnx"):
        edgeq.start_rollout(barn.recipe, barn.fleet, barn.strategy(canary=1))
    barn.change("gone.onnx", "model.onnx")
    with pytest.raises(InputError, match="--sign: the strategy has signed releases only"):
        edgeq.start_rollout(barn.recipe, barn.fleet, barn.strategy(canary=1, signed=True))
    barn.fleet.write_text(barn.fleet.read_text().replace("cam1.yaml", "cam0.yaml"))
    with pytest.raises(InputError, match="cam1 is at this machine, which is cam0 already"):
        edgeq.start_rollout(barn.recipe, barn.fleet, barn.strategy(canary=1))
    assert edgeq.list_rollouts() == []


def test_signed_release_of_before_is_not_rolled_out_again_unless_that_is_meant(
    barn: Barn, tmp_path: Path, rolled_out: Path, edgeq_home: Path
) -> None:
    # The store has seen both releases, one after the other.
    shutil.copy(rolled_out / "store.sqlite", edgeq_home)
    key, text = generate(tmp_path / "key"), barn.recipe.read_text()

    def goes(allow_downgrade: bool = False) -> list[str]:
        strategy = barn.strategy(canary=1, signed=True)
        arguments = barn.recipe, barn.fleet, strategy, "name=cam0", None, key, allow_downgrade
        return states(edgeq.start_rollout(*arguments))["cam0"]

    barn.next_release()
    assert goes() == INSTALLED
    newer = barn.current()["cam0"]
    barn.recipe.write_text(text)
    assert goes() == ["checking", "failed"]
    [device] = edgeq.rollout_status(edgeq.list_rollouts()[0].id).devices
    assert device.failure == "board" and "--allow-downgrade" in device.reason
    assert f"it runs {str(newer)[:12]}, first seen" in device.reason
    assert barn.current()["cam0"] == newer
    assert goes(allow_downgrade=True) == INSTALLED
    assert barn.current()["cam0"] not in (newer, None)


def widened(content: bytes) -> bytes:
    """Another model of the same form."""
    model = onnx.load_model_from_string(content)
    [first, *_] = [one for one in model.graph.initializer if len(one.dims) == 4]
    first.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(first) * 1.01, first.name))
    return bytes(model.SerializeToString())


DRIVER = """
import sys, edgeq
for event in edgeq.start_rollout(*sys.argv[1:4]):
    print(event.device, event.state, flush=True)
"""


@contextmanager
def driver(barn: Barn, strategy: Path) -> Iterator[subprocess.Popen[str]]:
    """A roll-out in a process of its own, which prints what happens."""
    arguments = [sys.executable, "-c", DRIVER, str(barn.recipe), str(barn.fleet), str(strategy)]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process


def let_go(rollout: str) -> None:
    """Let the lease of a controller that is gone, or hangs, run out."""
    with open_store().writing() as session:
        row = session.get(RolloutRow, rollout)
        assert row is not None
        row.held_until = row.held_since


@pytest.mark.parametrize(
    "after", [pytest.param(n, marks=[] if n in (3, 8) else pytest.mark.long) for n in range(13)]
)
def test_controller_killed_after_any_step_is_gone_on_with(barn: Barn, after: int) -> None:
    with driver(barn, barn.strategy(canary=1, at_once=1, tries=8)) as process:
        assert process.stdout is not None
        for _ in range(after):
            process.stdout.readline()
        if not after:
            while not edgeq.list_rollouts():
                pass
        process.send_signal(signal.SIGKILL)
    [left] = edgeq.list_rollouts()
    before = {one.device: one.state for one in edgeq.rollout_status(left.id).devices}
    let_go(left.id)
    seen = states(edgeq.resume_rollout(left.id))
    status = edgeq.rollout_status(left.id)
    assert status.state == "done" and {device.state for device in status.devices} == {"healthy"}
    [artifact] = {device.artifact_id for device in status.devices}
    assert barn.current() == dict.fromkeys(barn.boards, artifact)
    assert {device.before for device in status.devices} == {None}
    assert all(name not in seen for name, state in before.items() if state == "healthy")


def test_controller_that_was_stopped_past_its_lease_changes_nothing(barn: Barn) -> None:
    with driver(barn, barn.strategy(canary=1, at_once=1, tries=8)) as process:
        assert process.stdout is not None and process.stderr is not None
        while "verifying" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGSTOP)
        [left] = edgeq.list_rollouts()
        let_go(left.id)
        # The board lets go of a session whose host says nothing; here it need not wait for that.
        for path in Path("/proc").glob("[0-9]*"):
            if _is_child(path, process.pid):
                os.kill(int(path.name), signal.SIGKILL)
        states(edgeq.resume_rollout(left.id))
        [artifact] = {device.artifact_id for device in edgeq.rollout_status(left.id).devices}
        generations = [(root / "generation").read_text() for root in barn.boards.values()]
        process.send_signal(signal.SIGCONT)
        said = process.stderr.read()
    assert "took it over" in said or "a newer controller of roll-outs" in said
    assert edgeq.rollout_status(left.id).state == "done"
    assert barn.current() == dict.fromkeys(barn.boards, artifact)
    assert [(root / "generation").read_text() for root in barn.boards.values()] == generations


def _is_child(path: Path, parent: int) -> bool:
    """Whether a process of /proc is a child of another."""
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[1]) == parent
    except OSError:
        return False
