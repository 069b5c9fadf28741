"""A throw-away PostgreSQL server on a Unix socket, run by an unprivileged user."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_TIMEOUT_S = 30


@dataclass(frozen=True)
class Server:
    folder: Path

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database, in the short form that users write."""
        return f"postgresql://edgeq@/{database}?host={self.folder}"

    def create(self, database: str) -> str:
        """Make an empty database; returns its URL."""
        with self._connect() as connection:
            connection.execute(
                psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database))
            )
        return self.url(database)

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Return when the server answers; RuntimeError when it ended or takes too long."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                self._connect().close()
            except psycopg.OperationalError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(
            host=str(self.folder), user="edgeq", dbname="postgres", autocommit=True
        )


def binaries() -> Path | None:
    """The folder of initdb and postgres: from PATH, else the newest of Debian's; None without."""
    on_path = shutil.which("initdb")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in candidates if (folder / "postgres").exists()), None)


@contextmanager
def running(binary_folder: Path) -> Iterator[Server]:
    """A server with an empty cluster, stopped and removed afterwards."""
    # not pytest's folder: another user cannot pass through it, and a socket's path is short
    folder = Path(tempfile.mkdtemp(prefix="edgeq-postgresql-"))
    user = _unprivileged()
    identity: dict[str, Any] = {}
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    try:
        data = folder / "data"
        subprocess.run(
            [
                binary_folder / "initdb",
                *("--pgdata", data),
                *("--username", "edgeq"),
                *("--auth", "trust"),
                *("--encoding", "UTF8"),
                *("--locale", "C"),
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            cwd=folder,
            **identity,
        )
        settings = [f"unix_socket_directories={folder}", "listen_addresses=", "fsync=off"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    binary_folder / "postgres",
                    *("-D", data),
                    *(argument for setting in settings for argument in ("-c", setting)),
                ],
                stdout=log,
                stderr=log,
                cwd=folder,
                **identity,
            )
        try:
            server = Server(folder)
            server.wait(process)
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            process.wait(_START_TIMEOUT_S)
    finally:
        shutil.rmtree(folder)


def _unprivileged() -> pwd.struct_passwd | None:
    """Who runs the server in root's stead, as PostgreSQL refuses root; None for other users."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name: entry for entry in pwd.getpwall()}
    return users.get("postgres") or users["nobody"]
