"""Signatures of releases: ssh-keygen's, over the manifest, in the namespace `edgeq`."""

from __future__ import annotations

import binascii
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BAD_REQUEST, NOT_SIGNED, AgentError
from ..manifest import MANIFEST_NAME, SIGNATURE_NAME
from . import disk
from .blobs import is_file

if TYPE_CHECKING:
    from ..wire.arguments import Arguments
    from .layout import Layout
    from .session import AgentSession

NAMESPACE = "edgeq"
SIGN_AGAIN = "sign the release and push it again"
_TIMEOUT_S = 60


def keep_signers(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
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
    lists = {f"the host's signers, list {n}": text.encode() for n, text in enumerate(signers, 1)}
    if layout.is_signed_only:
        lists[str(layout.allowed_signers)] = layout.allowed_signers.read_bytes()
    for name, text in lists.items():
        signature = release / SIGNATURE_NAME
        if not is_file(signature):
            what = f"is not there, and {name} asks for one"
            raise AgentError(NOT_SIGNED, str(signature), what, SIGN_AGAIN)
        problem = _problem(release / MANIFEST_NAME, str(signature), text, name)
        if problem is not None:
            raise AgentError(NOT_SIGNED, str(signature), *problem)


def check_replacement(layout: Layout, signature: Path, manifest: Path, proof: bytes) -> None:
    """Check that one who may sign here is not written over by one who may not; AgentError if so.

    Nobody could go on with a release that was signed well, or back to it.
    """
    if not (is_file(layout.allowed_signers) and is_file(signature)):
        return
    from ..processes.child import nameless

    signers, name = layout.allowed_signers.read_bytes(), str(layout.allowed_signers)
    with nameless(proof) as new:
        number = new.fileno()
        problem = _problem(manifest, f"/proc/self/fd/{number}", signers, name, number)
    if problem is None or _problem(manifest, str(signature), signers, name) is not None:
        return
    what, remedy = problem
    what = f"is by a signer of this device, and the one to take its place {what}"
    raise AgentError(NOT_SIGNED, str(signature), what, remedy)


def _problem(
    manifest: Path, signature: str, signers: bytes, name: str, *fds: int
) -> tuple[str, str] | None:
    """Why a signature does not count, and what to do about it; None when it does."""
    from ..processes.child import nameless

    # On no disk: the way back must be there on one that is full, too.
    with nameless(signers) as allowed:
        files = ["-f", f"/proc/self/fd/{allowed.fileno()}", "-s", signature]
        fds = (*fds, allowed.fileno())
        status, output = _ssh_keygen(["find-principals", *files], None, *fds)
        if status != 0:
            signer = _signer(manifest, signature, *fds) or _words(output)
            return f"is by nobody of {name} ({signer})", "have it signed by one of those"
        principals = dict.fromkeys(output.splitlines())
        for line in list(principals):
            principals.update(dict.fromkeys(line.split(",")))
        reasons = []
        for principal in principals:
            arguments = ["verify", *files, "-n", NAMESPACE, "-I", principal]
            status, output = _ssh_keygen(arguments, manifest, *fds)
            if status == 0:
                return None
            reasons.append(_words(output))
    return f"does not fit {MANIFEST_NAME} for {name} ({reasons[0]})", SIGN_AGAIN


def _signer(manifest: Path, signature: str, *fds: int) -> str:
    """Whose key made a signature, whoever that is; empty when it is not one of this manifest."""
    arguments = ["check-novalidate", "-n", NAMESPACE, "-s", signature]
    status, output = _ssh_keygen(arguments, manifest, *fds)
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
