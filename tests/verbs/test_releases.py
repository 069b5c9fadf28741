"""Push, rollback and status on this machine; over SSH they are tested in tests/device."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgeq.artifact import archive, signing
from edgeq.artifact.folder import Artifact
from edgeq.errors import DeviceError, InputError
from edgeq.verbs import push as pushing
from edgeq.verbs.push import push_steps
from edgeq.verbs.releases import rollback, rollback_steps, status

from ..device.artifacts import demo, made

pytestmark = pytest.mark.usefixtures("acquainted")


def another() -> Artifact:
    """The demo's model again, under another id."""
    first = demo()
    files = {name: first.path(name).read_bytes() for name in first.manifest.files}
    return made({**files, "plan.json": b"{ }"})


def test_push_sends_once_and_activates_when_asked() -> None:
    first = pushing.push(demo(), "local")
    assert (first.new, first.blobs_sent, first.current) == (True, 3, False)
    again = pushing.push(demo(), "local", activate=True)
    assert (again.new, again.blobs_sent, again.bytes_sent, again.current) == (False, 0, 0, True)
    assert archive.read(Path(again.path)).id == demo().id


def test_second_rollback_does_not_undo_the_first() -> None:
    for one in (demo(), another()):
        pushing.push(one, "local", activate=True)
    seen = [status("local"), rollback("local")]
    for again in (rollback, rollback_steps):
        with pytest.raises(DeviceError, match="rolled back already") as caught:
            again("local")
        assert caught.value.kind == "no-release"
    assert rollback_steps("local", forth=True) == [
        f"make {another().id} current instead of {demo().id}"
    ]
    seen.append(rollback("local", forth=True))
    assert [state.rolled_back for state in seen] == [False, True, False]
    ids = [demo().id, another().id]
    assert [(state.previous, state.current) for state in seen] == [
        tuple(ids),
        tuple(reversed(ids)),
        tuple(ids),
    ]
    assert {release.id for release in seen[0].releases} == set(ids)


def test_nothing_to_go_back_to_is_a_device_error() -> None:
    pushing.push(demo(), "local", activate=True)
    with pytest.raises(DeviceError) as caught:
        rollback("local")
    assert caught.value.kind == "no-release"
    with pytest.raises(DeviceError, match="no release before"):
        rollback_steps("local")
    assert status("local").current == demo().id


def test_steps_touch_nothing(edgeq_home: Path, tmp_path: Path) -> None:
    shutil.rmtree(edgeq_home / "device")
    path = archive.copy(demo(), tmp_path / "demo.edgeq")
    [push, activate] = push_steps(path, "local", activate=True)
    assert push.startswith(f"push {demo().id[:12]} to")
    assert activate == "make it current instead of nothing"
    assert not (edgeq_home / "device").exists()


def test_target_that_demands_a_signature_refuses_before_any_work(
    tmp_path: Path, edgeq_home: Path
) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    (tmp_path / "allowed").write_text(f"me@x {key.with_suffix('.pub').read_text()}")
    target = tmp_path / "signed.yaml"
    target.write_text(
        "runtime: onnxruntime\narchitecture: host\nactivation_type: probe\ntransport: local\n"
        f"root: {tmp_path / 'device'}\nallowed_signers: allowed\n"
    )
    with pytest.raises(InputError, match="demands a signature, and this is not signed"):
        pushing.push(demo(), str(target), activate=True)
    assert not pushing.push(demo(), str(target)).current


def test_device_that_does_not_know_the_signer_refuses_before_any_work(
    tmp_path: Path, edgeq_home: Path
) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for key in (mine, theirs):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    root = edgeq_home / "device"
    root.mkdir(parents=True, exist_ok=True)
    (root / "allowed_signers").write_text(f"me@x {theirs.with_suffix('.pub').read_text()}")
    signed = signing.sign(demo(), mine)
    path = archive.copy(signed, tmp_path / "demo.edgeq")
    for act in (
        lambda: pushing.push(signed, "local", activate=True),
        lambda: push_steps(path, "local", activate=True),
    ):
        with pytest.raises(DeviceError, match="the artifact's key is not among them") as caught:
            act()
        assert caught.value.kind == "not-signed" and str(root) in caught.value.what
    assert not (root / "blobs").exists()
    assert status("local").signed_only
    assert "accepts signed releases only" in edgeq("status", "--target", "local").stdout
    assert pushing.push(signing.sign(demo(), theirs), "local", activate=True).current
    (root / "allowed_signers").unlink()
    assert not status("local").signed_only


def edgeq(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgeq", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)


def test_commands_print_what_they_did(tmp_path: Path) -> None:
    paths = [archive.copy(one, tmp_path / f"{one.id[:8]}.edgeq") for one in (demo(), another())]
    for path in paths:
        pushed = edgeq("push", path, "--target", "local", "--activate")
        assert pushed.returncode == 0, pushed.stderr
        assert "MiB sent; current" in pushed.stdout
    back = edgeq("rollback", "--target", "local")
    assert back.returncode == 0
    assert any(demo().id in line and "current" in line for line in back.stdout.splitlines())
    record = json.loads(edgeq("status", "--target", "local", "--json").stdout)
    assert (record["current"], record["previous"]) == (demo().id, another().id)
    assert "rolled back" in edgeq("status", "--target", "local").stdout
    dry = edgeq("rollback", "--target", "local", "--forth", "--dry-run")
    assert f"make {another().id} current instead of {demo().id}" in dry.stdout


def test_command_for_a_board_wants_an_address(tmp_path: Path) -> None:
    for command in (["status", "--target"], ["rollback", "--target"], ["targets", "check"]):
        done = edgeq(*command, "raspberry-pi-5")
        assert done.returncode == 2
        assert "--host" in done.stderr
