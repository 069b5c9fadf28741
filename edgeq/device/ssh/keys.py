"""Showing the user's keys to a host: the agent's, and files with or without a passphrase."""

from __future__ import annotations

import base64
import binascii
import shlex
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from paramiko.pkey import PublicBlob, UnknownKeyType

from edgeq.device.asking import Ask
from edgeq.device.ssh.config import Hop
from edgeq.device.ssh.shared import Shared
from edgeq.device.ssh.stream import LOOK_AT_THE_WAY
from edgeq.errors import AUTH_FAILED, LINK_LOST, PASSPHRASE, UNREACHABLE

_ATTEMPTS = 3
_ENCRYPTED = "needs its passphrase"


@dataclass
class _Tried:
    """What came of it so far."""

    refused: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)
    locked: list[Path] = field(default_factory=list)


@dataclass
class _Opening:
    """Opens keys that need a passphrase, those of many devices once for all of them."""

    tried: _Tried
    ask: Ask | None
    shared: Shared | None

    def opened(self, path: Path) -> paramiko.PKey | None:
        if self.shared is None:
            return self._asked_for(path)
        return self.shared.key(path, lambda: self._asked_for(path))

    def _asked_for(self, path: Path) -> paramiko.PKey | None:
        for _ in range(_ATTEMPTS if self.ask is not None else 0):
            try:
                passphrase = self.ask(f"Passphrase of {path}: ") if self.ask is not None else ""
            except EOFError:  # Ctrl-D
                passphrase = ""
            if not passphrase:
                return None
            try:
                # In bytes, whatever its types say: the package below it takes nothing else.
                return paramiko.PKey.from_path(path, passphrase.encode())  # type: ignore[arg-type]
            except ValueError:
                continue
            except (OSError, paramiko.SSHException, UnknownKeyType) as exc:
                self.tried.unusable.append(f"{path} ({exc})")
                return None
        return None


def authenticate(
    transport: paramiko.Transport, hop: Hop, ask: Ask | None, shared: Shared | None = None
) -> None:
    """Log in at a host. Raises DeviceError, auth-failed or passphrase.

    Keys that cost nothing come first, as servers allow six in all: the hop's own in their order,
    each by the agent where that holds it, the agent's others, and what needs a passphrase.
    """
    agent = _agent(hop.agent)
    tried = _Tried()
    try:
        for name, key in _keys(hop, agent, tried, _Opening(tried, ask, shared)):
            if not transport.is_active():
                raise _gave_up(hop, tried)
            if _shown(transport, hop, name, key, tried):
                return
    finally:
        if agent is not None:
            agent.close()
    raise _failed(transport, hop, tried)


def _shown(
    transport: paramiko.Transport, hop: Hop, name: str, key: paramiko.PKey, tried: _Tried
) -> bool:
    try:
        more = transport.auth_publickey(hop.user, key)
    except paramiko.BadAuthenticationType as exc:
        accepted = ", ".join(exc.allowed_types)
        what = f"{hop.user} cannot log in by key; the server accepts: {accepted}"
        remedy = "set 'PubkeyAuthentication yes' in sshd_config of the host"
        raise hop.error(what, remedy, AUTH_FAILED) from exc
    except paramiko.SSHException as exc:
        if "timeout" in str(exc).lower():
            what = f"stopped answering during the login of {hop.user}"
            raise hop.error(what, LOOK_AT_THE_WAY, UNREACHABLE) from exc
        if isinstance(broken := transport.get_exception(), OSError):
            what = f"the connection broke during the login of {hop.user}: {broken}"
            raise hop.error(what, LOOK_AT_THE_WAY, LINK_LOST) from exc
        reason = "" if type(exc) is paramiko.AuthenticationException else f" ({exc})"
        tried.refused.append(f"{name}{reason}" if transport.is_active() else name)
        return False
    except (OSError, EOFError, ValueError) as exc:  # the agent is gone, or the key is broken
        tried.unusable.append(f"{name} ({exc})")
        return False
    if more:
        what = f"takes {name} and asks for more: {', '.join(more)}, which is not supported here"
        raise hop.error(what, "let a key alone be enough for this user", AUTH_FAILED)
    return True


def _keys(
    hop: Hop, agent: _Agent | None, tried: _Tried, opening: _Opening
) -> Iterator[tuple[str, paramiko.PKey]]:
    blobs = {path: _public(path) for path in hop.identities}
    held = [_usable(key) for key in agent.get_keys()] if agent is not None else []
    named = {key.asbytes(): key for key in held if key.asbytes() in blobs.values()}
    done = set()
    for path in hop.identities:
        blob = blobs[path]
        if blob in named:
            if blob not in done:
                yield _name(named[blob]), named[blob]
            done.add(blob)
            continue
        try:
            yield str(path), paramiko.PKey.from_path(path)
        except FileNotFoundError:
            pass
        except TypeError:  # what cryptography raises for a key that has a passphrase
            tried.locked.append(path)
        except (OSError, ValueError, paramiko.SSHException, UnknownKeyType) as exc:
            tried.unusable.append(f"{path} ({exc or type(exc).__name__})")
    if not hop.identities_only:
        for key in held:
            if key.asbytes() not in named:
                yield _name(key), key
    for path in list(tried.locked) if opening.ask is not None else []:
        opened = opening.opened(path)
        if opened is not None:
            tried.locked.remove(path)
            yield str(path), opened


def _failed(transport: paramiko.Transport, hop: Hop, tried: _Tried) -> Exception:
    if tried.locked:
        path = tried.locked[0]
        what = f"the key {path} {_ENCRYPTED}"
        if tried.refused:
            what += f", and {hop.user} may not log in with {', '.join(tried.refused)}"
        return hop.error(what, f"run: {shlex.join(['ssh-add', str(path)])}", PASSPHRASE)
    if not transport.is_active():
        return _gave_up(hop, tried)
    keys = ", ".join(tried.refused) or "no key, as there is none"
    what = f"{hop.user} may not log in: tried {keys}"
    if tried.unusable:
        what += f"; could not be used: {', '.join(tried.unusable)}"
    what += f"; the server accepts: {_accepted(transport, hop.user)}"
    return hop.error(what, _copy(hop), AUTH_FAILED)


def _gave_up(hop: Hop, tried: _Tried) -> Exception:
    what = (
        f"the server ended the login of {hop.user} after {len(tried.refused)} "
        f"key(s): {', '.join(tried.refused)}"
    )
    remedy = f"name the right one by IdentityFile and 'IdentitiesOnly yes', or {_copy(hop)}"
    return hop.error(what, remedy, AUTH_FAILED)


def _copy(hop: Hop) -> str:
    port = ["-p", str(hop.port)] if hop.port != 22 else []
    return f"run: {shlex.join(['ssh-copy-id', *port, f'{hop.user}@{hop.name}'])}"


def _accepted(transport: paramiko.Transport, user: str) -> str:
    try:
        transport.auth_none(user)
    except paramiko.BadAuthenticationType as exc:
        return ", ".join(exc.allowed_types)
    except (paramiko.SSHException, OSError, EOFError):
        pass
    return "it did not say"


class _Agent(paramiko.agent.AgentSSH):
    """The agent behind a socket, which need not be that of SSH_AUTH_SOCK."""

    def __init__(self, path: str) -> None:
        super().__init__()
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect(path)
            self._connect(stream)  # type: ignore[attr-defined]  # as paramiko's own agents do
        except BaseException:
            stream.close()
            raise

    def close(self) -> None:
        """Leave it."""
        self._close()  # type: ignore[attr-defined]


def _agent(path: str | None) -> _Agent | None:
    try:
        return None if path is None else _Agent(path)
    except (paramiko.SSHException, OSError):
        return None


def _usable(key: paramiko.AgentKey) -> paramiko.AgentKey:
    if "-cert-v01@" in key.get_name():
        # Paramiko would show the bare key under the certificate's name.
        key.public_blob = PublicBlob(key.get_name(), key.blob)  # type: ignore[assignment]
    return key


def _name(key: paramiko.AgentKey) -> str:
    return f"{key.comment or key.get_name()} (of the agent)"


def _public(path: Path) -> bytes | None:
    """The public half that lies beside a key; enough to find it in the agent."""
    try:
        fields = path.with_name(f"{path.name}.pub").read_text().split()
        return base64.b64decode(fields[1])
    except (OSError, ValueError, IndexError, binascii.Error):
        return None
