from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import DBAPIError

import edgeq
from edgeq.errors import InputError
from edgeq.store import open_store
from edgeq.store.ownership import APPLICATION_ID

from .reports import report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user@127.0.0.1:1/runs?password=secret",
        "postgresql://user@127.0.0.1:1/runs?sslpassword=secret&password=secret",
        "postgresql://user:secret@127.0.0.1:1/runs?connect_timeout=secret&passfile=/secret",
        "postgresql://user@/runs?host=a:1&host=b,c&password=secret",
        "postgresql://user@/runs?host=/nowhere&options=secret",
        "postgresql://user@127.0.0.1:1/runs?passwrd=secret",
        "mysql://user@host/runs?password=secret",
        "sqlite:////nowhere/store.sqlite?password=secret",
        "sqlite:////nowhere/store.sqlite?timeout=secret",
    ],
)
def test_secret_among_the_options_is_not_told(url: str) -> None:
    with pytest.raises(InputError) as caught:
        open_store(url)
    said = str(caught.value).replace("connect_timeout=secret", "").replace("/secret", "")
    assert "secret" not in said


def test_host_among_the_options_is_told() -> None:
    with pytest.raises(InputError) as caught:
        open_store("postgresql://user@/runs?host=/nowhere&password=secret")
    assert caught.value.where == "postgresql+psycopg://user@/runs?host=%2Fnowhere"


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


@pytest.mark.parametrize("wal", [False, True])
def test_database_of_another_program_is_left_as_it_is(tmp_path: Path, wal: bool) -> None:
    path = tmp_path / "places.sqlite"
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
        foreign.execute("CREATE TABLE bookmarks (url TEXT)")
    before = path.read_bytes()
    with pytest.raises(InputError, match="database of another program: it holds bookmarks; name"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_empty_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("PRAGMA application_id=0x0f055112")
        foreign.execute("VACUUM")
    before = path.read_bytes()
    with pytest.raises(InputError, match="another program: its application_id is 0xf055112"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_tables_of_our_names_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE edgeq_runs (id TEXT)")
    before = path.read_bytes()
    with pytest.raises(InputError, match="'edgeq_runs' has no column 'artifact_id'"):
        open_store(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_new_store_says_whose_it_is(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    open_store(f"sqlite:///{path}").add(report("0123abcd"))
    with closing(sqlite3.connect(path)) as opened:
        assert opened.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert opened.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert path.read_bytes()[68:72] == b"edge"


def test_store_of_an_older_edgeq_that_says_nothing_still_opens(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    open_store(f"sqlite:///{path}").add(report("0123abcd"))
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA application_id=0")
        opened.execute("CREATE TABLE notes (mine TEXT)")  # older ones went where they were told
    store = open_store(f"sqlite:///{path}")
    store.add(report("4567abcd"))
    assert len(store.reports()) == 2


@pytest.mark.parametrize("damage", ["cut", "page", "root"])
def test_damaged_store_is_refused_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "store.sqlite"
    for number in range(20):
        open_store(f"sqlite:///{path}").add(report(f"{number:08x}"))
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[16:18], "big")
    if damage == "cut":
        content = content[: len(content) // 2]
    else:
        start = size * (1 if damage == "root" else 10)
        content[start : start + size] = bytes(size)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"damaged|malformed") as caught:
        open_store(f"sqlite:///{path}")
    assert "left as it is" in caught.value.remedy
    assert path.read_bytes() == bytes(content)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_no_store(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "store.sqlite")
    with pytest.raises(InputError, match="is not a regular file"):
        open_store(f"sqlite:///{tmp_path}/store.sqlite")


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
