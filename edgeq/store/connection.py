"""From a URL to a database, and what can go wrong on the way, said plainly.

The one place where exceptions of SQLAlchemy and its drivers become ours.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Engine, NullPool, create_engine, event, exc, make_url

from edgeq import places
from edgeq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from sqlite3 import Connection

_FORMS = "write sqlite:////folder/store.sqlite or postgresql+psycopg://user@host/database"
_BUSY_TIMEOUT_MS = 30_000
_CONNECT_TIMEOUT_S = 10
_TOLD = ("host", "port", "dbname", "user", "sslmode", "connect_timeout")
"""Options of PostgreSQL that are no secret."""
_SQLITE_OPTIONS = {
    "uri",
    "timeout",
    "isolation_level",
    "detect_types",
    "check_same_thread",
    "cached_statements",
}
_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def default_url() -> str:
    """EDGEQ_STORE, else the SQLite file `store.sqlite` in EDGEQ_HOME (default ~/.edgeq)."""
    given = os.environ.get("EDGEQ_STORE")
    if given:
        return given
    home = places.home()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as exc_:
        remedy = "set EDGEQ_HOME to a folder that can be written"
        raise InputError(str(home), f"cannot be made ({exc_.strerror})", remedy) from exc_
    return URL.create("sqlite", database=str(home / "store.sqlite")).render_as_string()


def parse(url: str) -> URL:
    """The URL with the driver that edgeq uses; InputError without a word of it that is secret."""
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError) as error:
        raise InputError("store URL", "is not a database URL", _FORMS) from error
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        what = f"'{parsed.drivername}' is no store that edgeq knows"
        raise InputError(place(parsed), what, _FORMS)
    if driver.startswith("sqlite"):
        _check_file(parsed)
    return parsed.set(drivername=driver)


def _check_file(url: URL) -> None:
    if url.database in (None, "", ":memory:"):
        raise InputError(place(url), "names no file, so nothing would be kept", _FORMS)
    unknown = sorted(set(url.query) - _SQLITE_OPTIONS)
    if unknown and "uri" not in url.query:
        raise InputError(place(url), f"a file of SQLite takes no '{unknown[0]}='", _FORMS)
    file = Path(str(url.database))
    if file.exists() and not file.is_file() and not file.is_dir():
        raise InputError(place(url), "is not a regular file", "name a file in EDGEQ_STORE")


def connect(url: URL) -> Engine:
    """An engine for the database; it connects with the first query.

    Raises InputError when the driver is missing, or the URL has an option that makes no sense.
    """
    is_file = url.get_backend_name() == "sqlite"
    waits = is_file or "connect_timeout" in url.query
    arguments = {} if waits else {"connect_timeout": _CONNECT_TIMEOUT_S}
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=arguments)
    except (exc.ArgumentError, ValueError, TypeError) as error:
        what = f"cannot be used: {_without_secrets(url, str(error))}"
        raise InputError(place(url), what, _FORMS) from error
    except ImportError as error:
        what = f"the driver for PostgreSQL is not installed ({error})"
        raise InputError(place(url), what, "run: pip install 'edgeq[postgresql]'") from error
    if is_file:
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def place(url: URL) -> str:
    """Where the store is, for messages: the file, or the URL with nothing in it that is secret."""
    if url.get_backend_name() == "sqlite" and url.database:
        return url.database
    # A password may stand among the options, under any name that a driver knows.
    told = {key: value for key, value in url.query.items() if key in _TOLD}
    return url.set(query=told).render_as_string(hide_password=True)


def _without_secrets(url: URL, text: str) -> str:
    hidden = [value for key, value in url.normalized_query.items() if key not in _TOLD]
    for secret in (url.password, *(value for values in hidden for value in values)):
        text = text.replace(str(secret), "***") if secret else text
    return text


@contextmanager
def reported(url: URL) -> Iterator[None]:
    """Turn the database's errors into InputError with place, cause and remedy."""
    try:
        yield
    except exc.DBAPIError as error:
        cause = _without_secrets(url, " ".join(str(error.orig).split()))
        raise InputError(place(url), cause, _remedy(url, cause)) from error


def _prepare_sqlite(connection: Connection, record: object) -> None:
    # transactions are begun by hand: the driver's own BEGIN comes late and leaves out tables
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")


def _remedy(url: URL, cause: str) -> str:
    if url.get_backend_name() != "sqlite":
        return "check address, user, password and database name in EDGEQ_STORE"
    if "not a database" in cause or "malformed" in cause:
        return "name another file; this one is left as it is"
    if "locked" in cause:
        return "another program holds it; try again when that has ended"
    return "the file and its folder must exist and be writable"
