"""The keys that hosts are known by. A host not known is refused."""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path

from edgeq.device.ssh.config import Hop
from edgeq.device.ssh.known_hosts import KnownHosts, KnownKey, known_hosts
from edgeq.errors import HOST_KEY_CHANGED, HOST_KEY_UNKNOWN

_ALGORITHMS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Kinds of keys, the preferred one first, and the signatures they are asked for."""
_FILES = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}


def known_keys(hop: Hop) -> list[KnownKey]:
    """The lines that are about a host, under the names that OpenSSH looks for."""
    files = [known_hosts(file) for file in hop.known_hosts]
    own, *others = _names(hop)
    found = [key for file in files for key in file.about(own)]
    for name in others:
        # A key known for the host without a port is good for every port, but never a reason to
        # say that another port's key has changed.
        if not any(key.marker == "" for key in found):
            found += [key for file in files for key in file.about(name)]
    return found


def algorithms(hop: Hop, keys: Sequence[KnownKey]) -> tuple[str, ...]:
    """What to ask the host for: kinds it is known by first, or it might show an unknown key."""
    plain = [key for key in keys if not key.marker]
    if hop.host_key is not None:
        plain = [key for key in plain if fingerprint(key.blob) == hop.host_key]
    known = {key.type for key in plain}
    ordered = sorted(_ALGORITHMS, key=lambda name: name not in known)
    return tuple(algorithm for name in ordered for algorithm in _ALGORITHMS[name])


def fingerprint(blob: bytes) -> str:
    """As OpenSSH prints it."""
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


def check(hop: Hop, keys: Sequence[KnownKey], kind: str, blob: bytes) -> None:
    """Return if a host's key is the known one. Raises DeviceError, host-key-unknown or -changed."""
    shown = fingerprint(blob)
    for key in keys:
        if key.marker == "@revoked" and key.blob == blob:
            what = f"its {kind} key {shown} is marked as revoked in {key.place}"
            remedy = "do not connect; give the host a new key"
            raise hop.error(what, remedy, HOST_KEY_CHANGED)
    if hop.host_key is not None:
        if shown == hop.host_key:
            return
        what = f"its host key is not the one that was named: it shows {kind} {shown}, "
        what += f"named is {hop.host_key}"
        remedy = f"{_compare(kind)}, and name that key; if they differ, someone may be in between"
        raise hop.error(what, remedy, HOST_KEY_CHANGED)
    plain = [key for key in keys if not key.marker]
    if any(key.type == kind and key.blob == blob for key in plain):
        return
    name = _names(hop)[0]
    if KnownHosts(plain[:1]).about(name):
        known = next((key for key in plain if key.type == kind), plain[0])
        what = (
            f"its host key is another one than before: now {kind} {shown}, "
            f"known is {known.type} {fingerprint(known.blob)} ({known.place})"
        )
        file = known.place.rpartition(":")[0]
        remove = shlex.join(["ssh-keygen", "-f", file, "-R", name])
        remedy = (
            f"if it was set up anew, run: {remove} && {_accept(hop, kind)}  -- {_compare(kind)}; "
            "if not, someone may be in between"
        )
        raise hop.error(what, remedy, HOST_KEY_CHANGED)
    what = f"its host key is not known: {kind} {shown}"
    for key in keys:
        if key.marker == "@cert-authority":
            what += f"; {key.place} trusts it by a certificate, which is not supported here"
            break
    remedy = f"{_compare(kind)}, then run: {_accept(hop, kind)}"
    raise hop.error(what, remedy, HOST_KEY_UNKNOWN)


def _compare(kind: str) -> str:
    file = _FILES.get(kind, "ecdsa")
    return (
        "compare that with what 'ssh-keygen -lf "
        f"/etc/ssh/ssh_host_{file}_key.pub' prints on the host itself"
    )


def _accept(hop: Hop, kind: str) -> str:
    """The command that makes a host known."""
    if hop.behind is not None or hop.command is not None or hop.known_as is not None:
        # ssh-keyscan knows neither ways around nor other names.
        options = f"HostKeyAlgorithms={','.join(_ALGORITHMS.get(kind, (kind,)))}"
        port = ["-p", str(hop.port)] if hop.port != 22 else []
        return shlex.join(["ssh", "-o", options, *port, f"{hop.user}@{hop.name}", "true"])
    short = _FILES.get(kind, "ecdsa")
    scan = shlex.join(["ssh-keyscan", "-p", str(hop.port), "-t", short, hop.host])
    file = str(hop.known_hosts[0]) if hop.known_hosts else "~/.ssh/known_hosts"
    home = str(Path("~").expanduser())
    if file.startswith(f"{home}/"):
        return f"{scan} >> ~/{shlex.quote(file[len(home) + 1 :])}"
    return f"{scan} >> {shlex.quote(file)}"


def _names(hop: Hop) -> tuple[str, ...]:
    if hop.known_as is not None:
        return (hop.known_as.lower(),)
    host = hop.host.lower()
    return (host,) if hop.port == 22 else (f"[{host}]:{hop.port}", host)
