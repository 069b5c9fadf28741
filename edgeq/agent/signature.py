"""Signatures of releases: ssh-keygen's, over the manifest, in the namespace `edgeq`."""

from __future__ import annotations

import binascii
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import disk
from .blobs import is_file
from .errors import BAD_REQUEST, NOT_SIGNED, AgentError
from .manifest import MANIFEST_NAME, SIGNATURE_NAME

if TYPE_CHECKING:
    from .arguments import Arguments
    from .layout import Layout
    from .session import Session

NAMESPACE = "edgeq"
_TIMEOUT_S = 60


def keep_signers(session: Session, arguments: Arguments) -> dict[str, Any]:
    """Write the device's own list of who must have signed; AgentError for a list of nobody."""
    text = arguments.optional_text("text") or ""
    arguments.check()
    # Nothing could be activated any more, whoever signs it.
    if not any(map(_names_signer, text.splitlines())):
        what = "has no line of a principal, a key type and a key"
        remedy = "write one for each signer (ssh-keygen(1), ALLOWED SIGNERS)"
        raise AgentError(BAD_REQUEST, "allowed_signers", what, remedy)
    session.need_exclusive("signers")
    session.enter()
    path = session.layout.allowed_signers
    disk.write_whole(path, text.encode("utf-8"), session.layout.temporary())
    return {}


def check_signatures(layout: Layout, release: Path, signers: list[str]) -> None:
    """Check that each of the lists of signers has one who signed the release; AgentError if not.

    The list of the device itself counts too, whatever the host asks for.
    """
    lists = {f"the host's signers, list {n}": text for n, text in enumerate(signers, 1)}
    if layout.is_signed_only:
        lists[str(layout.allowed_signers)] = layout.allowed_signers.read_bytes().decode("utf-8")
    for name, text in lists.items():
        _check(layout, release, name, text)


def _check(layout: Layout, release: Path, name: str, text: str) -> None:
    signature = release / SIGNATURE_NAME
    if not is_file(signature):
        what = f"is not there, and {name} asks for one"
        raise AgentError(NOT_SIGNED, str(signature), what, "sign the release and push it again")
    from .child import nameless

    # On no disk: the way back must be there on one that is full, too.
    with nameless(text.encode("utf-8")) as allowed:
        _verify(release / MANIFEST_NAME, signature, allowed.fileno(), name)


def _verify(manifest: Path, signature: Path, allowed_fd: int, name: str) -> None:
    files = ["-f", f"/proc/self/fd/{allowed_fd}", "-s", str(signature)]
    status, output = _ssh_keygen(["find-principals", *files], None, allowed_fd)
    if status != 0:
        what = f"is by nobody of {name} ({_signer(manifest, signature) or _words(output)})"
        raise AgentError(NOT_SIGNED, str(signature), what, "have it signed by one of those")
    principals = dict.fromkeys(output.splitlines())
    for line in list(principals):
        principals.update(dict.fromkeys(line.split(",")))
    reasons = []
    for principal in principals:
        arguments = ["verify", *files, "-n", NAMESPACE, "-I", principal]
        status, output = _ssh_keygen(arguments, manifest, allowed_fd)
        if status == 0:
            return
        reasons.append(_words(output))
    what = f"does not fit {manifest.name} for {name} ({reasons[0]})"
    raise AgentError(NOT_SIGNED, str(signature), what, "sign the release and push it again")


def _signer(manifest: Path, signature: Path) -> str:
    """Whose key made a signature, whoever that is; empty when it is not one of this manifest."""
    arguments = ["check-novalidate", "-n", NAMESPACE, "-s", str(signature)]
    status, output = _ssh_keygen(arguments, manifest)
    return _words(output) if status == 0 else ""


def _words(output: str) -> str:
    lines = [line.strip() for line in output.strip().splitlines()]
    return ", ".join(lines[-2:]) or "ssh-keygen gives no reason"


def _names_signer(line: str) -> bool:
    """Whether a line of allowed_signers has a key that says its own type, behind a principal."""
    words = line.split()
    return not line.lstrip().startswith("#") and any(map(_is_key, words[1:], words[2:]))


def _is_key(kind: str, encoded: str) -> bool:
    try:
        raw = binascii.a2b_base64(encoded)
    except ValueError:
        return False
    head = len(kind).to_bytes(4, "big") + kind.encode("utf-8", "surrogatepass")
    return raw.startswith(head) and len(raw) > len(head)


def _ssh_keygen(arguments: list[str], stdin: Path | None, *fds: int) -> tuple[int, str]:
    import subprocess

    try:
        with (stdin or Path(os.devnull)).open("rb") as content:
            done = subprocess.run(
                ["ssh-keygen", "-Y", *arguments],
                stdin=content,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=fds,
                timeout=_TIMEOUT_S,
                check=False,
            )
    except FileNotFoundError as exc:
        what = "is not on this device, and checks signatures"
        remedy = "install openssh-client (8.2 or later)"
        raise AgentError(NOT_SIGNED, "ssh-keygen", what, remedy) from exc
    except subprocess.TimeoutExpired as exc:
        what = f"has not answered for {_TIMEOUT_S} s"
        raise AgentError(NOT_SIGNED, "ssh-keygen", what, "try again") from exc
    return done.returncode, done.stdout.decode("utf-8", "replace")
