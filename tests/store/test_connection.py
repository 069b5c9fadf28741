from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import DBAPIError

import edgeq
from edgeq.errors import InputError
from edgeq.store import open_store

from .reports import report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .postgresql import Server

NOBODY = 65534


@contextmanager
def _unprivileged() -> Iterator[None]:
    """Without root's right to write anywhere; nothing changes for other users."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_default_store_is_a_file_in_edgeq_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEQ_STORE", raising=False)
    monkeypatch.setenv("EDGEQ_HOME", str(tmp_path / "home"))
    store = open_store()
    store.add(report("0123abcd"))
    assert store.where == str(tmp_path / "home" / "store.sqlite")
    assert (tmp_path / "home" / "store.sqlite").is_file()


def test_store_of_the_environment_comes_before_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEQ_STORE", f"sqlite:///{tmp_path / 'mine.sqlite'}")
    monkeypatch.setenv("EDGEQ_HOME", str(tmp_path / "home"))
    assert open_store().where == str(tmp_path / "mine.sqlite")
    assert not (tmp_path / "home").exists()


def test_home_that_cannot_be_made_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEQ_STORE", raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGEQ_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match="set EDGEQ_HOME to a folder"):
        open_store()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("no url, secret", "is not a database URL"),
        ("postgresql://user:secret@host:port/runs", "is not a database URL"),
        ("mysql://user:secret@host/runs", "'mysql' is no store that edgeq knows"),
        ("postgresql+asyncpg://user:secret@host/runs", "'postgresql.asyncpg' is no store"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_url_that_is_no_store_is_refused_without_its_password(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_store(url)
    assert "sqlite:////folder/store.sqlite or postgresql+psycopg://" in caught.value.remedy
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_way_to_write_postgresql_is_understood(server: Server, scheme: str) -> None:
    url = server.url("postgres").replace("postgresql://", f"{scheme}://")
    assert open_store(url).where.startswith("postgresql+psycopg://edgeq@")


def test_server_that_does_not_answer_is_an_input_error() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with pytest.raises(InputError, match=r"[Cc]onnection refused") as caught:
        open_store(f"postgresql://edgeq:secret@127.0.0.1:{port}/runs")
    assert caught.value.where == f"postgresql+psycopg://edgeq:***@127.0.0.1:{port}/runs"
    assert "EDGEQ_STORE" in caught.value.remedy
    assert isinstance(caught.value.__cause__, DBAPIError)
    assert "secret" not in str(caught.value)


def test_database_that_is_not_there_is_an_input_error(server: Server) -> None:
    with pytest.raises(InputError, match='database "nowhere" does not exist'):
        open_store(server.url("nowhere"))


def test_missing_driver_names_the_extra_that_brings_it() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from edgeq.errors import InputError\n"
        "from edgeq.store import open_store\n"
        "try: open_store('postgresql://host/runs')\n"
        "except InputError as error: print(error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(edgeq.__file__).parents[1])}
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert "driver for PostgreSQL is not installed" in found.stdout
    assert "pip install 'edgeq[postgresql]'" in found.stdout


def test_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("feed the pigs\n" * 100)
    with pytest.raises(InputError, match="not a database; name another file"):
        open_store(f"sqlite:///{path}")
    assert path.read_text() == "feed the pigs\n" * 100
    assert list(tmp_path.iterdir()) == [path]


def test_file_in_a_missing_folder_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unable to open database file; the file and its folder"):
        open_store(f"sqlite:///{tmp_path}/missing/store.sqlite")


def test_read_only_folder_and_file_are_input_errors() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folder is closed to other users
        folder = Path(name)
        path = folder / "store.sqlite"
        folder.chmod(0o555)
        with _unprivileged(), pytest.raises(InputError, match="must exist and be writable"):
            open_store(f"sqlite:///{path}")
        folder.chmod(0o755)
        open_store(f"sqlite:///{path}").add(report("0123abcd"))
        path.chmod(0o444)
        folder.chmod(0o555)
        with _unprivileged(), pytest.raises(InputError, match="must exist and be writable"):
            open_store(f"sqlite:///{path}").add(report("4567abcd"))
        folder.chmod(0o755)


def test_readers_do_not_wait_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = open_store(f"sqlite:///{path}")
    store.add(report("0123abcd"))
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM edgeq_runs")
    assert [kept.id for kept in store.reports()] == ["0123abcd"]
    writer.close()
