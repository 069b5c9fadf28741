"""Environments: a venv of wheels that were sent as blobs, whole or not there."""

from __future__ import annotations

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import disk
from .blobs import commit, is_file
from .child import run
from .errors import BAD_REQUEST, ENVIRONMENT, LOCKED, AgentError, raise_problems
from .layout import is_hash, is_plain_name, link_name, unique

if TYPE_CHECKING:
    from .arguments import Arguments
    from .session import Session

COMPLETE = "complete"
_RESERVED = ("current", "previous", "lock")
_REASON_LINES = 12


def build(session: Session, arguments: Arguments) -> dict[str, Any]:
    """Make an environment if it is not there, and the current one; AgentError (environment)."""
    key = arguments.plain_name("key")
    requirements = arguments.strings("requirements")
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
    session.used.update(hashes.values())
    missing = [name for name, digest in hashes.items() if not is_file(session.layout.blob(digest))]
    what = [f"{name} is not there" for name in missing]
    raise_problems(BAD_REQUEST, "wheels", what, "send them before the environment")
    lock = _lock(session)
    try:
        folder = session.layout.environments / key
        # The Python that it was made with may have been replaced since.
        is_new = not ((folder / COMPLETE).is_file() and session.layout.interpreter(key).exists())
        if is_new:
            _make(session, folder, hashes, requirements)
        _switch(session.layout.environments, key)
    finally:
        os.close(lock)
    return {"key": key, "new": is_new}


def _make(session: Session, folder: Path, hashes: dict[str, str], requirements: list[str]) -> None:
    pip = next((name for name in sorted(hashes) if name.startswith("pip-")), None)
    if requirements and pip is None:
        raise AgentError(BAD_REQUEST, "wheels", "have no pip among them", "send its wheel too")
    if os.path.lexists(str(folder)):
        disk.remove_tree(folder)
    shelf = session.layout.work / f"wheels.{unique()}"
    disk.mkdir(shelf)
    try:
        for name, digest in hashes.items():
            disk.symlink(str(session.layout.blob(digest)), shelf / name)
        venv = ["-m", "venv", "--without-pip", "--system-site-packages", str(folder)]
        _run(session, folder, [sys.executable, *venv], len(hashes))
        if requirements:
            options = ["--no-index", "--no-compile", "--no-cache-dir", "--no-input"]
            options += ["--disable-pip-version-check", "--no-warn-script-location"]
            command = [
                str(session.layout.interpreter(folder.name)),
                f"{shelf / str(pip)}/pip",
                "install",
            ]
            command += [*options, "--find-links", str(shelf), *requirements]
            _run(session, folder, command, len(hashes))
    finally:
        disk.remove_tree(shelf)
    content = {"requirements": requirements, "wheels": hashes}
    disk.sync_all(session.layout.root, _files(folder))
    disk.write_whole(
        folder / COMPLETE, json.dumps(content).encode("ascii"), session.layout.temporary()
    )
    disk.sync(session.layout.environments)


def _run(session: Session, folder: Path, command: list[str], total: int) -> None:
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
        what = f"cannot be built (status {ended.status}):\n{reason}\n"
        raise AgentError(ENVIRONMENT, str(folder), what, "send wheels that fit this device")


def _switch(environments: Path, key: str) -> None:
    current = link_name(environments / "current")
    if current != key:
        if current is not None:
            disk.link_whole(current, environments / "previous", environments / f".{unique()}")
            disk.sync(environments)
        disk.link_whole(key, environments / "current", environments / f".{unique()}")
    disk.sync(environments)


def _files(folder: Path) -> list[Path]:
    """Every file and folder, for a system that cannot sync them all at once."""
    return [path for path in [*folder.rglob("*"), folder] if not path.is_symlink()]


def _lock(session: Session) -> int:
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
