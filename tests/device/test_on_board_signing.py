"""Signatures, verified on the board by its own ssh-keygen, against whoever means harm."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from edgeq.artifact import signing
from edgeq.artifact.folder import Artifact
from edgeq.device.device import Device
from edgeq.errors import InputError
from edgeq.verbs.push import push
from edgeq.verbs.releases import rollback

from .board.board import Board
from .boards_support import (
    address,
    current,
    device,
    host,
    install,
    made,
    refusal,
    root,
    target,
    user,
)
from .sshd import generate, public

__all__ = ["host", "user"]


class Keys(NamedTuple):
    """Who may sign, who must not, and the text that says so."""

    good: Path
    stranger: Path
    allowed: str


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    good, stranger = (generate(tmp_path / "keys" / name) for name in ("good", "stranger"))
    return Keys(good, stranger, f"release@example.org {public(good)}\n")


def send(board: Device, release: Artifact) -> str:
    """Have it there as a release, by a client that asks nobody; its id."""
    board.send(release)
    return release.id


def overwrite(path: Path, content: bytes) -> None:
    """As somebody would who has got into the board."""
    path.unlink()
    path.write_bytes(content)
    os.chown(path, 1000, 1000)


def test_signed_release_becomes_current(host: Board, keys: Keys) -> None:
    release = signing.sign(made(1), keys.good)
    with device(host) as board:
        board.lock("deploy")
        board.activate(send(board, release), [keys.allowed])
        assert board.status().releases[0].signed
    assert current(host) == release.id


def test_unsigned_release_is_refused_before_any_work(
    host: Board, keys: Keys, tmp_path: Path
) -> None:
    (tmp_path / "allowed_signers").write_text(keys.allowed)
    kind = target(tmp_path, f"allowed_signers: {tmp_path / 'allowed_signers'}")
    with pytest.raises(InputError) as found:
        push(made(1), kind, address(host), activate=True)
    assert "this is not signed" in found.value.what and "--sign" in found.value.remedy
    assert not (root(host) / "blobs/sha256").exists()


def test_board_demands_signatures_of_everyone(host: Board, keys: Keys, tmp_path: Path) -> None:
    with device(host) as board:
        install(board, made(1))
        board.trust(keys.allowed)
    # A client whose target knows nothing of signers.
    plain = target(tmp_path)
    error = refusal(lambda: push(made(2), plain, address(host), activate=True), "not-signed")
    assert "signed releases only" in error.what
    with device(host) as board:
        board.lock("deploy")
        release_id = send(board, made(2))
        error = refusal(lambda: board.activate(release_id), "not-signed")
        assert "allowed_signers" in error.what
    # Signed later, and by the one who may.
    with device(host) as board:
        board.activate(send(board, signing.sign(made(2), keys.good)))
    assert current(host) == made(2).id
    # What was current before it has no signature, and there is no way back to it.
    refusal(lambda: rollback(plain, address(host)), "not-signed")
    assert current(host) == made(2).id


def test_only_who_holds_the_lock_changes_the_signers(host: Board, keys: Keys) -> None:
    with device(host) as board:
        refusal(lambda: board.trust(keys.allowed), "not-locked")
        board.lock("setup")
        board.trust(keys.allowed)
        assert (root(host) / "allowed_signers").read_text() == keys.allowed


def test_strangers_signature_is_refused_and_named(host: Board, keys: Keys) -> None:
    with device(host) as board:
        release_id = send(board, signing.sign(made(1), keys.stranger))
        error = refusal(lambda: board.activate(release_id, [keys.allowed]), "not-signed")
        assert "manifest.json.sig" in error.what
        assert "is by nobody of the host's signers" in error.what
    assert current(host) is None


def test_new_key_signs_an_old_release(host: Board, keys: Keys) -> None:
    release = made(1)
    with device(host) as board:
        board.activate(send(board, signing.sign(release, keys.good)), [keys.allowed])
        theirs = f"new@example.org {public(keys.stranger)}\n"
        refusal(lambda: board.activate(release.id, [theirs]), "not-signed")
        send(board, signing.sign(release, keys.stranger))
        board.activate(release.id, [theirs])
        # Sent without a signature, it keeps the one it has.
        send(board, release)
        board.activate(release.id, [theirs])


def test_signature_of_another_release_is_refused(host: Board, keys: Keys) -> None:
    old = signing.sign(made(1), keys.good)
    with device(host) as board:
        board.activate(send(board, old), [keys.allowed])
        # Replayed: what was signed once, beside a manifest that nobody signed.
        replayed = send(board, replace(made(2), signature=old.signature))
        error = refusal(lambda: board.activate(replayed, [keys.allowed]), "not-signed")
        assert "does not fit manifest.json" in error.what
    assert current(host) == old.id


def test_old_release_under_a_new_name_is_refused(host: Board, keys: Keys) -> None:
    old, new = (signing.sign(made(seed), keys.good) for seed in (1, 2))
    with device(host) as board:
        send(board, old)
        send(board, new)
        folders = [root(host) / "releases" / release.id for release in (old, new)]
        for path in folders[1].iterdir():
            path.unlink()
        for path in folders[0].iterdir():
            if path.is_symlink():
                (folders[1] / path.name).symlink_to(path.readlink())
            else:
                overwrite_new(folders[1] / path.name, path.read_bytes())
        error = refusal(lambda: board.activate(new.id, [keys.allowed]), "bad-artifact")
        assert old.id in error.what and new.id in error.what


def overwrite_new(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    os.chown(path, 1000, 1000)


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json", "manifest.json.sig"])
def test_tampered_file_is_refused_and_named(name: str, host: Board, keys: Keys) -> None:
    good, release = (signing.sign(made(seed), keys.good) for seed in (1, 2))
    with device(host) as board:
        board.activate(send(board, good), [keys.allowed])
        send(board, release)
        path = root(host) / "releases" / release.id / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        blob = path.parent / path.readlink() if path.is_symlink() else path
        overwrite(blob, bytes(content))
        kind = "not-signed" if name.endswith(".sig") else "bad-artifact"
        error = refusal(lambda: board.activate(release.id, [keys.allowed]), kind)
        assert name in error.what
    assert current(host) == good.id


def test_tampered_current_release_is_no_way_back(host: Board, keys: Keys, tmp_path: Path) -> None:
    first, second = (signing.sign(made(seed), keys.good) for seed in (1, 2))
    with device(host) as board:
        for release in (first, second):
            board.activate(send(board, release), [keys.allowed])
    model = first.manifest.files["model.onnx"].sha256
    overwrite(root(host) / "blobs/sha256" / model, b"x" * 100_000)
    kind = target(tmp_path)
    error = refusal(lambda: rollback(kind, address(host)), "bad-artifact")
    assert "model.onnx" in error.what
    assert current(host) == second.id


def test_signature_for_another_purpose_is_refused(host: Board, keys: Keys) -> None:
    import subprocess

    manifest = keys.good.with_name("manifest.json")
    manifest.write_bytes(made(1).manifest.encoded())
    command = ["ssh-keygen", "-Y", "sign", "-n", "file", "-f", str(keys.good), str(manifest)]
    subprocess.run(command, check=True, capture_output=True)
    release = replace(made(1), signature=manifest.with_name("manifest.json.sig").read_bytes())
    with device(host) as board:
        release_id = send(board, release)
        refusal(lambda: board.activate(release_id, [keys.allowed]), "not-signed")


def test_signers_of_both_sides_have_to_be_content(host: Board, keys: Keys) -> None:
    theirs = f"board@example.org {public(keys.stranger)}\n"
    with device(host) as board:
        board.lock("setup")
        board.trust(theirs)
        release_id = send(board, signing.sign(made(1), keys.good))
        error = refusal(lambda: board.activate(release_id, [keys.allowed]), "not-signed")
        assert "/.edgeq/allowed_signers" in error.what
        both = keys.allowed + theirs
        board.trust(both)
        board.activate(release_id, [keys.allowed])
    assert current(host) == made(1).id
