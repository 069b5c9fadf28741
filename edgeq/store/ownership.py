"""Whether a database is a store of edgeq, or may become one; asked before anything is written."""

from __future__ import annotations

from sqlalchemy import Connection, Engine, MetaData, inspect

from edgeq.errors import InputError

APPLICATION_ID = 0x65646765
"""What SQLite's header says of a file's program: 'edge'. Stores of older versions say nothing."""
_ELSEWHERE = "name another store in EDGEQ_STORE; this one is left as it is"


def check(engine: Engine, where: str, ours: MetaData) -> None:
    """InputError for a database that another program made, or that is damaged.

    A store of edgeq's has its tables, whatever else; a new one is a database with no table at all.
    """
    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        if connection.dialect.name == "sqlite":
            _check_file(connection, where, tables, tables & ours.tables.keys())


def check_columns(engine: Engine, where: str, ours: MetaData) -> None:
    """InputError where a table of ours is none of ours after all."""
    with engine.connect() as connection:
        inspector = inspect(connection)
        for name in sorted(ours.tables.keys() & set(inspector.get_table_names())):
            have = {column["name"] for column in inspector.get_columns(name)}
            lacking = sorted(set(ours.tables[name].columns.keys()) - have)
            if lacking:
                what = f"its table '{name}' has no column '{lacking[0]}', so it is none of edgeq's"
                raise InputError(where, what, _ELSEWHERE)


def mark(connection: Connection) -> None:
    """Say in a file of SQLite whose it is, with the transaction."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")


def _check_file(connection: Connection, where: str, tables: set[str], known: set[str]) -> None:
    program = connection.exec_driver_sql("PRAGMA application_id").scalar_one() & 0xFFFFFFFF
    if not known and (tables or program not in (0, APPLICATION_ID)):
        names = ", ".join(sorted(tables)[:3]) + (", ..." if len(tables) > 3 else "")
        holds = f"it holds {names}" if tables else f"its application_id is {program:#x}"
        what = f"is the database of another program: {holds}"
        raise InputError(where, what, _ELSEWHERE)
    found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if found != "ok":
        what = f"is damaged: {' '.join(str(found).split())}"
        raise InputError(where, what, f"restore it from a copy, or {_ELSEWHERE}")
