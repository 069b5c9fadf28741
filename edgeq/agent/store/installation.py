"""Environments: a venv of wheels that were sent as blobs, whole or not there.

One that is built again gets a folder of its own, `<key>~<unique>`, as a venv cannot be moved and
jobs may run in the one that is there; that goes by a collection, when nobody runs anything.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BAD_REQUEST, DISK_FULL, ENVIRONMENT, LOCKED, AgentError, raise_problems
from ..names import is_hash, is_plain_name, unique
from ..processes.child import run
from . import disk
from .blobs import commit, is_file
from .layout import environment_key, free_bytes, interpreter, is_runnable, link_name

if TYPE_CHECKING:
    from ..wire.arguments import Arguments
    from .session import AgentSession

COMPLETE = "complete"
_RESERVED = ("current", "previous", "lock")
_REASON_LINES = 12
_FULL = ("No space left on device", "Disk quota exceeded")
_LITTLE_BYTES = 1 << 20


def build(session: AgentSession, arguments: Arguments) -> dict[str, Any]:
    """Make an environment if it is not there, or `anew`, and the current one.

    AgentError when it cannot be built (environment, disk-full); the current one stays what it was.
    """
    key = arguments.plain_name("key")
    requirements = arguments.strings("requirements")
    anew = arguments.flag("anew", False)
    wheels = arguments.section("wheels")
    hashes = {name: wheels.text(name) for name in wheels.names()}
    for name, digest in hashes.items():
        if not (is_plain_name(name) and name.endswith(".whl") and is_hash(digest)):
            wheels.note(name[:60], "is no plain name of a wheel with its sha256")
    if key in _RESERVED:
        arguments.note("key", f"must not be '{key}'")
    if any(text.startswith("-") for text in requirements):
        arguments.note("requirements", "must be requirements, not options")
    arguments.check()
    session.enter()
    commit(session)
    lock = _lock(session)
    try:
        there = [path for path in _folders(session, key) if _is_complete(path)]
        is_new = anew or not there
        if is_new:
            _require(session, hashes)
            folder = _free_folder(session, key)
            _make(session, folder, hashes, requirements)
            # Jobs may still run in them; they are not taken again, and a collection removes them.
            for path in there:
                _retire(path)
        else:
            folder = there[0]
        _switch(session.layout.environments, folder.name)
    finally:
        os.close(lock)
    session.used.difference_update(hashes.values())
    return {"key": key, "new": is_new}


def discard(folder: Path) -> int:
    """Remove an environment, or what lies in its place; the bytes of its files."""
    _retire(folder)
    return disk.remove_tree(folder)


def _retire(folder: Path) -> None:
    """Have an environment count as none for good, before any of it may be missing."""
    complete = folder / COMPLETE
    if not folder.is_symlink() and os.path.lexists(str(complete)):
        disk.remove_tree(complete)
        disk.sync(folder)


def _folders(session: AgentSession, key: str) -> list[Path]:
    folders = session.layout.environments.iterdir()
    return sorted(path for path in folders if environment_key(path.name) == key)


def _is_complete(folder: Path) -> bool:
    # The Python that it was made with may have been replaced since.
    return (folder / COMPLETE).is_file() and is_runnable(folder)


def _require(session: AgentSession, hashes: dict[str, str]) -> None:
    missing = [name for name, digest in hashes.items() if not is_file(session.layout.blob(digest))]
    what = [f"{name} is not there" for name in missing]
    raise_problems(BAD_REQUEST, "wheels", what, "send them before the environment")


def _free_folder(session: AgentSession, key: str) -> Path:
    """Where nothing lies: what is no use there is removed, what may be in use is passed by."""
    environments = session.layout.environments
    folder = environments / key
    if not os.path.lexists(str(folder)):
        return folder
    links = [link_name(environments / name) for name in ("current", "previous")]
    is_used = folder.name in links and is_runnable(folder)
    if is_used or session.lock.mode != "exclusive":
        return environments / f"{key}~{unique()}"
    discard(folder)
    return folder


def _make(
    session: AgentSession, folder: Path, hashes: dict[str, str], requirements: list[str]
) -> None:
    pip = next((name for name in sorted(hashes) if name.startswith("pip-")), None)
    if requirements and pip is None:
        raise AgentError(BAD_REQUEST, "wheels", "have no pip among them", "send its wheel too")
    shelf = session.layout.work / f"wheels.{unique()}"
    disk.mkdir(shelf)
    try:
        for name, digest in hashes.items():
            disk.symlink(str(session.layout.blob(digest)), shelf / name)
        venv = ["-m", "venv", "--without-pip", "--system-site-packages", str(folder)]
        _run(session, folder, [sys.executable, *venv], len(hashes))
        if requirements:
            # Packages that the system has are no part of what the key names.
            options = ["--ignore-installed", "--no-index", "--no-compile", "--no-cache-dir"]
            options += ["--no-input", "--disable-pip-version-check", "--no-warn-script-location"]
            command = [
                str(interpreter(folder)),
                f"{shelf / str(pip)}/pip",
                "install",
            ]
            command += [*options, "--find-links", str(shelf), *requirements]
            _run(session, folder, command, len(hashes))
        content = json.dumps({"requirements": requirements, "wheels": hashes}).encode("ascii")
        disk.sync_all(session.layout.root, _files(folder))
        disk.write_whole(folder / COMPLETE, content, session.layout.temporary())
        disk.sync(session.layout.environments)
    except BaseException:
        with contextlib.suppress(OSError):
            discard(folder)
        raise
    finally:
        disk.remove_tree(shelf)


def _run(session: AgentSession, folder: Path, command: list[str], total: int) -> None:
    lines: list[str] = []
    done = 0

    def on_line(line: bytes) -> bool:
        nonlocal done
        lines.append(line.decode("utf-8", "replace"))
        del lines[:-_REASON_LINES]
        if line.startswith((b"Processing ", b"Looking in")):
            done = min(total, done + line.startswith(b"Processing "))
            frame = {"event": "progress", "stage": "install", "done": done, "total": total}
            session.wire.send(frame)
        return False

    environ = {**os.environ, "TMPDIR": str(session.layout.work), "PIP_CONFIG_FILE": os.devnull}
    ended = run(session.wire, command, on_line, environ=environ)
    if ended.status != 0:
        reason = "\n".join(ended.errors.strip().splitlines()[-_REASON_LINES:] or lines)
        is_full = any(words in "\n".join((ended.errors, *lines)) for words in _FULL)
        if is_full or free_bytes(session.layout.root) < _LITTLE_BYTES:
            what = f"there is no room for it:\n{reason}\n"
            remedy = "free some space on the device, or choose another root"
            raise AgentError(DISK_FULL, str(folder), what, remedy)
        what = f"cannot be built (status {ended.status}):\n{reason}\n"
        raise AgentError(ENVIRONMENT, str(folder), what, "send wheels that fit this device")


def _switch(environments: Path, name: str) -> None:
    current = link_name(environments / "current")
    if current != name:
        # One that was built again is no other to go back to.
        if current is not None and environment_key(current) != environment_key(name):
            disk.link_whole(current, environments / "previous", environments / f".{unique()}")
            disk.sync(environments)
        disk.link_whole(name, environments / "current", environments / f".{unique()}")
    disk.sync(environments)


def _files(folder: Path) -> list[Path]:
    """Every file and folder, for a system that cannot sync them all at once."""
    return [path for path in [*folder.rglob("*"), folder] if not path.is_symlink()]


def _lock(session: AgentSession) -> int:
    """One build at a time, also where the session has a shared lock only."""
    path = session.layout.environments / "lock"
    file = disk.open_file(path)
    try:
        fcntl.flock(file.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file.fd)
        what = "another session builds an environment"
        raise AgentError(LOCKED, str(path), what, "wait until that has ended") from None
    return file.fd
