"""Signatures of releases: ssh-keygen's, over the manifest, in the namespace `edgeq`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import disk
from .blobs import is_file
from .errors import NOT_SIGNED, AgentError
from .layout import unique
from .manifest import MANIFEST_NAME, SIGNATURE_NAME

if TYPE_CHECKING:
    from .arguments import Arguments
    from .layout import Layout
    from .session import Session

NAMESPACE = "edgeq"
_TIMEOUT_S = 60


def keep_signers(session: Session, arguments: Arguments) -> dict[str, Any]:
    """Write, or with null remove, the device's own list of who must have signed."""
    if "text" not in arguments:
        arguments.note("text", "is missing")
    text = arguments.optional_text("text")
    arguments.check()
    session.need_exclusive("signers")
    session.enter()
    path = session.layout.allowed_signers
    if text is not None:
        disk.write_whole(path, text.encode("utf-8"), session.layout.temporary())
    elif os.path.lexists(str(path)):
        disk.remove(path)
    disk.sync(session.layout.root)
    return {}


def check_signatures(layout: Layout, release: Path, signers: list[str]) -> None:
    """Check that each of the lists of signers has one who signed the release; AgentError if not.

    The list of the device itself counts too, whatever the host asks for.
    """
    lists = {f"the host's signers, list {n}": text for n, text in enumerate(signers, 1)}
    # Not `exists`: a list that is there and cannot be read must not count as none.
    if os.path.lexists(str(layout.allowed_signers)):
        lists[str(layout.allowed_signers)] = layout.allowed_signers.read_bytes().decode("utf-8")
    for name, text in lists.items():
        _check(layout, release, name, text)


def _check(layout: Layout, release: Path, name: str, text: str) -> None:
    signature = release / SIGNATURE_NAME
    if not is_file(signature):
        what = f"is not there, and {name} asks for one"
        raise AgentError(NOT_SIGNED, str(signature), what, "sign the release and push it again")
    allowed = layout.work / f".signers.{unique()}"
    file = disk.open_file(allowed)
    try:
        try:
            disk.write(file, text.encode("utf-8"))
        finally:
            os.close(file.fd)
        _verify(release / MANIFEST_NAME, signature, allowed, name)
    finally:
        disk.remove(allowed)


def _verify(manifest: Path, signature: Path, allowed: Path, name: str) -> None:
    files = ["-f", str(allowed), "-s", str(signature)]
    status, output = _ssh_keygen(["find-principals", *files], None)
    if status != 0:
        what = f"is by nobody of {name} ({_signer(manifest, signature) or _words(output)})"
        raise AgentError(NOT_SIGNED, str(signature), what, "have it signed by one of those")
    principals = dict.fromkeys(output.splitlines())
    for line in list(principals):
        principals.update(dict.fromkeys(line.split(",")))
    reasons = []
    for principal in principals:
        arguments = ["verify", *files, "-n", NAMESPACE, "-I", principal]
        status, output = _ssh_keygen(arguments, manifest)
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


def _ssh_keygen(arguments: list[str], stdin: Path | None) -> tuple[int, str]:
    import subprocess

    try:
        with (stdin or Path(os.devnull)).open("rb") as content:
            done = subprocess.run(
                ["ssh-keygen", "-Y", *arguments],
                stdin=content,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
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
