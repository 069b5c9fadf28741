"""Signatures, made and checked by a real ssh-keygen."""

from __future__ import annotations

import base64
import shutil
import subprocess
from typing import TYPE_CHECKING, Callable, NamedTuple

import pytest

from ..serving import Host, current_of, files_of, manifest_of

if TYPE_CHECKING:
    from pathlib import Path

Connect = Callable[..., Host]

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is absent")


class Signer(NamedTuple):
    """A person with a key."""

    name: str
    key: Path

    @property
    def allowed(self) -> str:
        kind, key = self.key.with_suffix(".pub").read_text().split()[:2]
        return f'{self.name} namespaces="edgeq" {kind} {key}\n'

    def sign(self, content: bytes, namespace: str = "edgeq") -> str:
        command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(self.key), "-n", namespace]
        done = subprocess.run(
            command, input=content, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True
        )
        return base64.b64encode(done.stdout).decode()


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Signer]:
    folder = tmp_path_factory.mktemp("keys")

    def person(name: str) -> Signer:
        key = folder / name
        if not key.exists():
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)]
            subprocess.run(command, check=True)
        return Signer(name, key)

    return person


def test_good_signature_activates(host: Host, root: Path, people: Callable[[str], Signer]) -> None:
    anna, bert = people("anna"), people("bert")
    digest = host.push("a", anna.sign(manifest_of(files_of("a"))))
    host.activate(digest, anna.allowed, bert.allowed + anna.allowed)
    assert current_of(root) == digest
    assert list((root / "work").iterdir()) == []


def test_each_fault_is_named(host: Host, root: Path, people: Callable[[str], Signer]) -> None:
    anna, eve = people("anna"), people("eve")
    manifest = manifest_of(files_of("a"))
    good = anna.sign(manifest)
    broken = base64.b64encode(base64.b64decode(good).replace(b"A", b"B")).decode()
    faults = {
        "missing": (None, "manifest.json.sig: is not there"),
        "tampered": (broken, "manifest.json.sig: "),
        "nonsense": (base64.b64encode(b"nonsense").decode(), "manifest.json.sig: is by nobody"),
        "replayed": (anna.sign(manifest_of(files_of("b"))), "incorrect signature"),
        "unknown": (eve.sign(manifest), "is by nobody of"),
        "namespace": (anna.sign(manifest, "file"), "namespace"),
    }
    digest = host.push("a")
    for name, (signature, said) in faults.items():
        if signature is not None:
            host.do("release", id=digest, signature=signature)
        kind, message = host.refused("activate", id=digest, signers=[anna.allowed])
        assert kind == "not-signed" and said in message, (name, message)
        assert current_of(root) is None
    assert host.refused("activate", id=digest, signers=[""])[0] == "not-signed"
    assert host.refused("activate", id=digest, signers=["nonsense"])[0] == "not-signed"
    host.do("release", id=digest, signature=good)
    host.activate(digest, anna.allowed)
    assert current_of(root) == digest


def test_key_of_a_stranger_is_named(host: Host, people: Callable[[str], Signer]) -> None:
    digest = host.push("a", people("eve").sign(manifest_of(files_of("a"))))
    _, message = host.refused("activate", id=digest, signers=[people("anna").allowed])
    assert "ED25519 key SHA256:" in message and "the host's signers, list 1" in message


@pytest.mark.parametrize("what", ["model.onnx", "manifest.json"])
def test_signed_release_that_was_changed_is_refused(
    host: Host, root: Path, people: Callable[[str], Signer], what: str
) -> None:
    anna = people("anna")
    digest = host.push("a", anna.sign(manifest_of(files_of("a"))))
    path = (root / "releases" / digest / what).resolve()
    path.write_bytes(path.read_bytes().replace(b"model", b"MODEL"))
    kind, message = host.refused("activate", id=digest, signers=[anna.allowed])
    assert kind == "bad-artifact" and what in message
    assert current_of(root) is None


def test_every_list_must_be_satisfied(host: Host, people: Callable[[str], Signer]) -> None:
    anna, eve = people("anna"), people("eve")
    digest = host.push("a", anna.sign(manifest_of(files_of("a"))))
    kind, message = host.refused("activate", id=digest, signers=[anna.allowed, eve.allowed])
    assert kind == "not-signed" and "list 2" in message


def test_list_of_the_device_counts_whatever_the_host_says(
    connect: Connect, root: Path, people: Callable[[str], Signer]
) -> None:
    anna, eve = people("anna"), people("eve")
    host = connect()
    host.lock()
    unsigned = host.push("u")
    host.activate(unsigned)
    host.do("signers", text=anna.allowed)
    by_eve = host.push("e", eve.sign(manifest_of(files_of("e"))))
    by_anna = host.push("a", anna.sign(manifest_of(files_of("a"))))
    host.hang_up()
    later = connect()
    kind, message = later.refused("activate", id=by_eve, signers=[eve.allowed])
    assert kind == "not-signed" and str(root / "allowed_signers") in message
    assert later.refused("activate", id=unsigned, signers=[])[0] == "not-signed"
    later.activate(by_anna)
    assert later.refused("rollback", signers=[])[0] == "not-signed"
    assert current_of(root) == by_anna
    (root / "allowed_signers").write_text("")
    assert later.refused("activate", id=by_anna, signers=[])[0] == "not-signed"
    (root / "allowed_signers").unlink()
    (root / "allowed_signers").symlink_to("nowhere")
    assert "error" in later.ask("activate", id=by_anna, signers=[])
    (root / "allowed_signers").unlink()
    later.do("rollback", signers=[])
    assert current_of(root) == unsigned


def test_list_that_nobody_is_on_is_not_taken(
    host: Host, root: Path, people: Callable[[str], Signer]
) -> None:
    good = people("anna").allowed
    _, options, kind, key = good.split()
    host.lock()
    nobody = [
        None,
        "",
        "\n",
        "anna\n",
        f"# {good}",
        f"{kind} {key}",
        f"anna {kind}",
        "anna ssh-rsa AAAA",
    ]
    for text in [*nobody, f"anna ssh-rsa {key}"]:
        refusal, message = host.refused("signers", text=text)
        assert refusal == "bad-request" and "allowed_signers" in message
    assert host.refused("signers")[0] == "bad-request"
    assert not (root / "allowed_signers").exists()
    for text in (
        good,
        f"# ours\n\nanna,bert {kind} {key} anna's\n",
        f"anna {options},x {kind} {key}",
    ):
        host.do("signers", text=text)
        assert (root / "allowed_signers").read_text() == text


def test_signature_comes_later_and_is_replaced_by_one_that_is_given(
    host: Host, root: Path, people: Callable[[str], Signer]
) -> None:
    anna = people("anna")
    manifest = manifest_of(files_of("a"))
    digest = host.push("a")
    path = root / "releases" / digest / "manifest.json.sig"
    host.do("release", id=digest, signature=anna.sign(manifest))
    host.do("release", id=digest, signature=base64.b64encode(b"other").decode())
    assert path.read_bytes() == b"other"
    host.do("release", id=digest, signature=None)
    assert path.read_bytes() == b"other"


def test_good_signature_is_replaced_by_another_good_one_only(
    host: Host, root: Path, people: Callable[[str], Signer]
) -> None:
    anna, bert, eve = people("anna"), people("bert"), people("eve")
    manifest = manifest_of(files_of("a"))
    digest = host.push("a", eve.sign(manifest))
    path = root / "releases" / digest / "manifest.json.sig"
    host.lock()
    host.do("signers", text=anna.allowed + bert.allowed)
    # What nobody may go on with anyway is replaced by anything.
    host.do("release", id=digest, signature=base64.b64encode(b"other").decode())
    host.do("release", id=digest, signature=anna.sign(manifest))
    good = path.read_bytes()
    before = {file: file.lstat().st_mtime_ns for file in path.parent.iterdir()}
    refused = {
        "stranger": (eve.sign(manifest), "is by nobody of"),
        "nonsense": (base64.b64encode(b"nonsense").decode(), "is by nobody of"),
        "replayed": (anna.sign(manifest_of(files_of("b"))), "incorrect signature"),
    }
    for name, (signature, said) in refused.items():
        kind, message = host.refused("release", id=digest, signature=signature)
        assert kind == "not-signed" and str(path) in message and said in message, (name, message)
        assert "the one to take its place" in message
        assert path.read_bytes() == good
    assert {file: file.lstat().st_mtime_ns for file in path.parent.iterdir()} == before
    host.do("release", id=digest, signature=bert.sign(manifest))
    assert path.read_bytes() != good
    host.activate(digest)
    assert current_of(root) == digest


def test_pattern_and_list_of_principals_are_understood(
    host: Host, people: Callable[[str], Signer]
) -> None:
    anna = people("anna")
    rest = anna.allowed.split(" ", 1)[1]
    digest = host.push("a", anna.sign(manifest_of(files_of("a"))))
    for names in ("*@example.org", "anna@example.org,anna@example.com", "x,y"):
        host.activate(digest, f"{names} {rest}")


def test_device_without_ssh_keygen_says_so(
    connect: Connect, people: Callable[[str], Signer], tmp_path: Path
) -> None:
    host = connect(PATH=str(tmp_path))
    digest = host.push("a", people("anna").sign(manifest_of(files_of("a"))))
    kind, message = host.refused("activate", id=digest, signers=[people("anna").allowed])
    assert kind == "not-signed" and "install openssh" in message
