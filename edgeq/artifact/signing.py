"""Signing an artifact's manifest with an SSH key, by OpenSSH's own `ssh-keygen -Y sign`.

What is signed is the manifest, which holds the hash of every file. The device verifies it with
`ssh-keygen -Y verify` against the signers that the target allows.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgeq import reading
from edgeq.artifact.folder import Artifact
from edgeq.errors import InputError

LARGEST_SIGNERS = 2**20
NAMESPACE = "edgeq"
"""Signatures made for another purpose do not count (`-n` of ssh-keygen)."""


def sign(artifact: Artifact, key: Path) -> Artifact:
    """The artifact with its manifest signed. Raises InputError as `signature`."""
    return replace(artifact, signature=signature(artifact.manifest.encoded(), key))


def signature(content: bytes, key: Path) -> bytes:
    """The signature by a private key; one with a passphrase has to be held by ssh-agent.

    Raises InputError when the key is missing or cannot be used, or ssh-keygen is missing.
    """
    path = key.expanduser()
    if not path.is_file():
        raise InputError("--sign", f"there is no key '{key}'", "make one: ssh-keygen -t ed25519")
    with tempfile.TemporaryDirectory() as folder:
        message = Path(folder) / "message"
        message.write_bytes(content)
        done = _ssh_keygen("sign", "-n", NAMESPACE, "-f", str(path), str(message))
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["ssh-keygen failed"])[-1]
            remedy = "name a private key that is yours to read"
            if "passphrase" in reason:
                remedy = f"a key with a passphrase is taken from the agent: ssh-add {key}"
            raise InputError("--sign", f"cannot sign with '{key}': {reason}", remedy)
        return message.with_name("message.sig").read_bytes()


def read_signers(file: Path) -> str:
    """The text of a file of allowed signers. Raises InputError for what is none."""
    remedy = "a line is: name@example.org ssh-ed25519 AAAA..., as ALLOWED SIGNERS in ssh-keygen(1)"
    text = reading.text(file, LARGEST_SIGNERS, remedy)
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise InputError(str(file), "names no signer", remedy)
    for number, line in enumerate(text.splitlines(), 1):
        kinds = [word for word in line.split() if word.startswith(("ssh-", "ecdsa-", "sk-"))]
        if line in lines and (len(line.split()) < 3 or not kinds):
            raise InputError(f"{file}:{number}", "is no allowed signer", remedy)
    return text


def require_signer(proof: bytes, signers: str, who: str, file: Path | None) -> None:
    """InputError when a signature is not by one of the allowed signers."""
    if not is_signer(proof, signers):
        what = f"{who} is signed by a key that is not among these"
        if who != "the artifact":
            what = f"the key '{who}' is not among these"
        raise InputError(str(file), what, "add its public key, or sign with another")


def is_signer(proof: bytes, signers: str) -> bool:
    """Whether a signature is by one of the allowed signers."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "signers").write_text(signers, encoding="utf-8")
        (Path(folder) / "signature").write_bytes(proof)
        files = ("-s", f"{folder}/signature", "-f", f"{folder}/signers")
        done = _ssh_keygen("find-principals", *files)
    return done.returncode == 0


def _ssh_keygen(*arguments: str) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = ("ssh-keygen", "-Y", *arguments)
    try:
        # Without a terminal, so that it does not ask in the middle of a progress bar.
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
        )
    except OSError as exc:
        what = f"ssh-keygen cannot be run ({exc.strerror})"
        raise InputError("--sign", what, "install OpenSSH's client") from exc
