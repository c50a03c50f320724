"""What goes wrong outside of this program, in one line: a full disk, a folder nobody may write into, a lost server.

Libraries wrap such errors, each in its own way, so that they are looked for in the chain of what led to an exception.
"""

import errno
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator

_FULL = "Make room there"
_CLOSED = "See that it may be written into (owner, mode, and how the disk is mounted)"
_GONE = "See that it runs and can be reached"

#: What a person can do about what the operating system says.
_REMEDIES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: _FULL,
    errno.EROFS: _CLOSED,
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
    errno.EIO: "See to the disk",
    errno.ECONNREFUSED: _GONE,
    errno.ECONNRESET: _GONE,
    errno.EHOSTUNREACH: _GONE,
    errno.ENETUNREACH: _GONE,
}

#: The same of SQLite, by the words of its messages.
_SQLITE = {
    "database or disk is full": _FULL,
    "readonly database": _CLOSED,
    "unable to open database file": _CLOSED,
    "disk I/O error": "See to the disk, and that there is room on it",
}

#: Classes of PostgreSQL's states that speak of the server and not of what it was asked for.
_STATES = ("08", "53", "57")


def outside(error: BaseException) -> str | None:
    """What happened and what to do, where it happened outside of this program; None where it did not.

    Nothing is said of what was asked for or of values: a path or an address, and a reason.
    """
    for found in _chain(error):
        if said := _of_the_system(found) or _of_a_copy(found) or _of_sqlite(found) or _of_a_server(found):
            what, remedy = said
            return f"{what}. {remedy}, then run the same again: what was finished is kept, and nothing is half-written."
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and what led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _of_the_system(error: BaseException) -> tuple[str, str] | None:
    if not isinstance(error, OSError) or error.errno not in _REMEDIES:
        return None
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    # A library may have words of its own in place of the system's.
    return where + os.strerror(error.errno), _REMEDIES[error.errno]


def _of_a_copy(error: BaseException) -> tuple[str, str] | None:
    """Of what went wrong with the files of a folder, ``shutil.copytree`` keeps the words alone."""
    if not isinstance(error, shutil.Error) or not isinstance(error.args[0], list):
        return None
    told = ((to, code) for _, to, why in error.args[0] for code in _REMEDIES if os.strerror(code) in str(why))
    return next(((f"{to}: {os.strerror(code)}", _REMEDIES[code]) for to, code in told), None)


def _of_sqlite(error: BaseException) -> tuple[str, str] | None:
    if not isinstance(error, sqlite3.OperationalError):
        return None
    return next(((f"SQLite: {error}", remedy) for words, remedy in _SQLITE.items() if words in str(error)), None)


def _of_a_server(error: BaseException) -> tuple[str, str] | None:
    """Where a library that was never loaded raised nothing, it is not loaded here either."""
    psycopg, requests = sys.modules.get("psycopg"), sys.modules.get("requests")
    if psycopg and isinstance(error, psycopg.OperationalError):
        state = getattr(error, "sqlstate", None)
        if state is None or state.startswith(_STATES):
            remedy = _FULL if state == "53100" else _GONE
            # Its further lines ask what the first one says.
            return f"PostgreSQL: {str(error).strip().splitlines()[0]}".rstrip("."), remedy
    if requests and isinstance(error, requests.ConnectionError | requests.Timeout):
        asked = getattr(error, "request", None)
        return f"{_origin(asked.url) if asked is not None else 'the server'} does not answer", _GONE
    return None


def _origin(url: str) -> str:
    """Scheme, host and port: no path, and no password."""
    from urllib.parse import urlparse

    parts = urlparse(url)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
