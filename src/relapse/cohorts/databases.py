"""The answer of a data base to one query, as a raw table. Nothing is ever written there, whatever the query says.

The address may hold a password, by a variable: it is in no message. Nor is a value: of what a data base complains, only
what speaks of names in the query is repeated.
"""

import datetime
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pandas as pd

from relapse.cohorts.declared.source import SqlSource
from relapse.cohorts.diagnosis.files import squeezed
from relapse.cohorts.grids import repeated
from relapse.cohorts.variables import filled_in, require_set
from relapse.ground.errors import SourceError

if TYPE_CHECKING:
    import psycopg

#: Whole numbers of more digits than a number in a table is exact to, such as long identifiers, are taken as text.
_EXACT = 10**15

#: Seconds to wait for a server, where the address says nothing else.
_PATIENCE = "10"

#: What SQLite may do for a query: read, compute, and recurse. All else is denied before it begins.
_READING = frozenset((sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE))

#: What SQLite says of names and signs in a query, and not of values.
_OF_THE_QUERY = re.compile(
    r"no such (table|column|function)|near |ambiguous column|incomplete input|unrecognized token"
)

Answer = tuple[list[str], list[tuple[Any, ...]]]


def read_answer(source: SqlSource, *, root: Path) -> pd.DataFrame:
    """Ask a data base, and give its answer as a raw table.

    Numbers, true and false (1 and 0) and dates keep their types; all else is text. NULL is missing. A data base
    promises no order of rows: where the query asks for none, they are sorted by their values, first column first, so
    that the same rows are the same table.

    Raises
    ------
    SourceError
        A variable is not set, no driver, no answer from that address, a refused user, a query that is none or that
        would write, or an answer without rows.
    """
    declared = source.sql
    require_set(
        declared,
        whole="address of the data base, postgresql://user:password@host/name or sqlite:///file",
        part="part of the data base's address that it stands for",
        obtain=source.obtain,
    )
    address = _address(declared)
    scheme, _, rest = address.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and rest != "/":
        names, rows = _sqlite(source, root / rest[1:])
    elif scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        names, rows = _postgresql(source, f"postgresql://{rest}")
    else:
        raise SourceError(f"{declared}: an address of a data base is postgresql://… or sqlite:///….")
    names = [squeezed(name) for name in names]
    if again := repeated(names):
        raise SourceError(
            f"{declared}: column name more than once in the answer: {again}. Name one by `as` in the query."
        )
    if not rows:
        raise SourceError(f"{declared}: the answer to the query has no rows. At least one is needed.")
    columns = {
        name: _column(name, values, declared) for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }
    table = pd.DataFrame(columns)
    if re.search(r"\border\s+by\b", source.query, re.IGNORECASE):
        return table
    return table.sort_values(names, kind="stable", ignore_index=True)


def _address(declared: str) -> str:
    """The address with its variables filled in; those of user and password are quoted, as an address needs it."""
    user = declared.partition("://")[2].rpartition("@")[0]
    ends = declared.find("://") + len("://") + len(user)
    return filled_in(declared, lambda value, at: quote(value, safe="") if at < ends and ":" in user else value)


def _column(name: str, values: Sequence[Any], declared: str) -> pd.Series:
    known = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in known):
        return pd.Series([None if value is None else float(value) for value in values], dtype="float64")
    if all(isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in known):
        if any(isinstance(value, int) and abs(value) >= _EXACT for value in known):
            return _text(values)
        return pd.Series([None if value is None else float(value) for value in values], dtype="float64")
    if all(isinstance(value, datetime.date) for value in known):
        if any(getattr(value, "tzinfo", None) for value in known):
            values = [value.replace(tzinfo=None) if isinstance(value, datetime.datetime) else value for value in values]
        return pd.to_datetime(pd.Series(values, dtype="object"))
    if any(isinstance(value, bytes | bytearray | memoryview) for value in known):
        raise SourceError(f"{declared}: column {name} holds bytes, which are no value of a table. Leave it out.")
    return _text(values)


def _text(values: Sequence[Any]) -> pd.Series:
    return pd.Series([None if value is None else str(value) for value in values], dtype="str")


def _sqlite(source: SqlSource, path: Path) -> Answer:
    if not path.is_file():
        raise SourceError(f"{source.sql}: no such file. Nothing is created.")
    denied = []

    def only_reads(action: int, *_: str | None) -> int:
        if action in _READING:
            return sqlite3.SQLITE_OK
        denied.append(action)
        return sqlite3.SQLITE_DENY

    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("pragma query_only = on")
            connection.set_authorizer(only_reads)
            cursor = connection.execute(source.query)
            if cursor.description is None:
                raise _no_table(source)
            return [item[0] for item in cursor.description], cursor.fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        if denied:
            raise _writes(source) from None
        said = str(error)
        if "one statement at a time" in said:
            raise _several(source) from None
        if "not a database" in said:
            raise SourceError(f"{source.sql}: this file is no SQLite data base.") from None
        raise _refused(source, said if _OF_THE_QUERY.match(said) else type(error).__name__) from None


def _postgresql(source: SqlSource, address: str) -> Answer:
    try:
        import psycopg
        from psycopg import errors
    except ImportError:
        raise SourceError(
            f"{source.sql}: the driver of PostgreSQL, psycopg, is not installed. Install relapse[postgres]."
        ) from None
    with closing(_connected(psycopg, source, address)) as connection:
        # One transaction that only reads, and is never committed; its snapshot is taken before the query is heard,
        # after which nothing in it can make it one that writes. Prepared, since only one command can be.
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        try:
            connection.execute("select 1")
            cursor = connection.execute(source.query.encode(), prepare=True)
            if cursor.description is None:
                raise _no_table(source)
            return [item.name for item in cursor.description], cursor.fetchall()
        except errors.ReadOnlySqlTransaction:
            raise _writes(source) from None
        except psycopg.Error as error:
            said, state = error.diag.message_primary or "", error.sqlstate or ""
            if "multiple commands" in said:
                raise _several(source) from None
            # Of class 42, what is said speaks of names and syntax; of others, of values, too.
            of_the_query = state.startswith("42") and state != "42804"
            raise _refused(source, said if of_the_query else f"{type(error).__name__}, {state}") from None


def _connected(psycopg: Any, source: SqlSource, address: str) -> "psycopg.Connection[Any]":
    try:
        known = psycopg.conninfo.conninfo_to_dict(address)
    except psycopg.Error:
        # What it says repeats the address.
        raise SourceError(
            f"{source.sql}: not readable as an address, postgresql://user:password@host:port/name."
        ) from None
    try:
        return psycopg.connect(**{"connect_timeout": _PATIENCE, **known})
    except (psycopg.Error, UnicodeError) as error:
        said = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        if known.get("password"):
            said = said.replace(str(known["password"]), "***")
        if re.search("password|authentication|role", said):
            told = (
                f"the server refuses the user or the password ({said}). Look at what the variables of the address hold."
            )
        elif re.search("does not exist", said):
            told = f"the server has no such data base ({said})."
        else:
            told = f"no answer from the data base ({said}). Look whether host and port are right and the server runs."
        raise SourceError(f"{source.sql}: {told}") from None


def _writes(source: SqlSource) -> SourceError:
    return SourceError(
        f"{source.sql}: the query does more than read, and was refused: a source is only read. Nothing was changed. "
        "Give one `select`."
    )


def _several(source: SqlSource) -> SourceError:
    return SourceError(
        f"{source.sql}: the query is several commands, none of which was carried out. Give one `select`."
    )


def _no_table(source: SqlSource) -> SourceError:
    return SourceError(f"{source.sql}: the query gives no table. Give one `select`.")


def _refused(source: SqlSource, said: str) -> SourceError:
    return SourceError(f"{source.sql}: the data base does not carry out the query ({said}). Nothing was changed.")
