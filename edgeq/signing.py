"""Signing an artifact's manifest with an SSH key, by OpenSSH's own `ssh-keygen -Y sign`.

What is signed is the manifest, which holds the hash of every file. The device verifies it with
`ssh-keygen -Y verify` against the signers that the target allows.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from edgeq.artifact import MANIFEST, Artifact
from edgeq.errors import InputError

NAMESPACE = "edgeq"
"""Signatures made for another purpose do not count (`-n` of ssh-keygen)."""


def check_key(key: Path) -> Path:
    """The key's path; InputError when there is none, before any work."""
    path = key.expanduser()
    if not path.is_file():
        raise InputError("--sign", f"there is no key '{key}'", "make one: ssh-keygen -t ed25519")
    return path


def sign(artifact: Artifact, key: Path) -> Artifact:
    """The artifact with its manifest signed by a private key, or a public one that ssh-agent holds.

    A key with a passphrase asks for it on the terminal. Raises InputError when ssh-keygen is
    missing or cannot use the key.
    """
    path = check_key(key)
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / MANIFEST
        manifest.write_bytes(artifact.manifest.encoded())
        command = ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", str(path), str(manifest)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except OSError as exc:
            what = f"ssh-keygen cannot be run ({exc.strerror})"
            raise InputError("--sign", what, "install OpenSSH's client") from exc
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["ssh-keygen failed"])[-1]
            what = f"cannot sign with '{key}': {reason}"
            raise InputError("--sign", what, "name a private key that is yours to read")
        return replace(artifact, signature=manifest.with_name(f"{MANIFEST}.sig").read_bytes())
