from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from edgeq.artifact import archive
from edgeq.artifact.signing import read_signers, require_signer, sign, signature
from edgeq.errors import InputError

from ..device.artifacts import made

FILES = {"model.onnx": b"weights" * 100, "plan.json": b"{}"}


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "release key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def verified(folder: Path, key: Path, manifest: bytes, signature: bytes) -> bool:
    """What OpenSSH itself says, asked as the device would ask it."""
    public = key.with_name(f"{key.name}.pub").read_text()
    (folder / "allowed").write_text(f"somebody {public}")
    (folder / "signature").write_bytes(signature)
    command = ["ssh-keygen", "-Y", "verify", "-n", "edgeq", "-I", "somebody"]
    files = ["-f", str(folder / "allowed"), "-s", str(folder / "signature")]
    return subprocess.run([*command, *files], input=manifest, capture_output=True).returncode == 0


def test_signature_is_of_the_manifest(key: Path, tmp_path: Path) -> None:
    signed = sign(made(FILES), key)
    assert signed.signature is not None
    assert signed.id == made(FILES).id
    assert verified(tmp_path, key, signed.manifest.encoded(), signed.signature)
    assert not verified(tmp_path, key, made(FILES, "other").manifest.encoded(), signed.signature)


@pytest.mark.parametrize("name", ["folder", "one.edgeq"])
def test_signature_travels_with_the_artifact(key: Path, tmp_path: Path, name: str) -> None:
    signed = sign(made(FILES), key)
    place = archive.copy(signed, tmp_path / name)
    assert archive.read(place).signature == signed.signature


def test_artifact_without_signature_has_none(tmp_path: Path) -> None:
    assert archive.read(archive.copy(made(FILES), tmp_path / "a.edgeq")).signature is None


def test_missing_key_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--sign: there is no key"):
        sign(made(FILES), tmp_path / "none")


def test_file_that_is_no_key_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("no key")
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(InputError, match="cannot sign with"):
        sign(made(FILES), tmp_path / "key")


def test_key_with_a_passphrase_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(tmp_path / "key")]
    subprocess.run(command, check=True)
    with pytest.raises(InputError, match="ssh-add"):
        sign(made(FILES), tmp_path / "key")


def test_signer_is_among_the_allowed_ones_or_refused(key: Path, tmp_path: Path) -> None:
    file = tmp_path / "allowed_signers"
    file.write_text(f"# ours\nme@x {key.with_name(key.name + '.pub').read_text()}")
    require_signer(signature(b"", key), read_signers(file), "key", file)
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    with pytest.raises(InputError, match="the key 'other' is not among these"):
        require_signer(signature(b"", other), read_signers(file), "other", file)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "names no signer"),
        (b"# nobody\n", "names no signer"),
        (b"garbage\n", ":1: is no allowed signer"),
        (b"# a\nme@x ssh-ed25519\n", ":2: is no allowed signer"),
        (b"\xff", "is not UTF-8 text; a line is"),
        (b"\xff\xfe", "is UTF-16 text"),
    ],
)
def test_file_that_names_no_signer_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "allowed_signers").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_signers(tmp_path / "allowed_signers")


def test_sparse_file_of_10_gb_is_refused_without_being_read(tmp_path: Path) -> None:
    place = archive.copy(made(FILES), tmp_path / "folder")
    with (place / "model.onnx").open("r+b") as stream:
        stream.truncate(10 << 30)
    with pytest.raises(InputError, match="10737418240 bytes instead of 700"):
        archive.read(place)


def test_device_file_is_refused(tmp_path: Path) -> None:
    place = archive.copy(made(FILES), tmp_path / "folder")
    (place / "model.onnx").unlink()
    (place / "model.onnx").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="no regular file"):
        archive.read(place)
