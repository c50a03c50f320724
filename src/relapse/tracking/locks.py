"""One process at a time: locks that the operating system or the database lets go of when their holder dies."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlparse

from relapse.ground.errors import RegistryError

#: Seconds to wait for a lock; whoever holds it moves an alias, or creates MLflow's tables.
PATIENCE = 300


def lockable(uri: str) -> bool:
    """Whether :func:`alone` can lock what is at this address: a SQLite file or a PostgreSQL database."""
    return uri.startswith(("sqlite:///", "postgresql"))


@contextmanager
def alone(uri: str, name: str) -> Iterator[None]:
    """Hold the lock ``name`` of the database at ``uri``: a file beside SQLite's, an advisory lock in PostgreSQL.

    Raises
    ------
    RegistryError
        Somebody else held the lock for :data:`PATIENCE` seconds; the database does not answer; its driver is missing.
    """
    if uri.startswith("sqlite:///"):
        with _file_lock(Path(unquote(uri.removeprefix("sqlite:///"))), name):
            yield
    else:
        with _advisory_lock(uri, name):
            yield


@contextmanager
def _file_lock(database: Path, name: str) -> Iterator[None]:
    import fcntl
    import time

    database.parent.mkdir(parents=True, exist_ok=True)
    with (database.parent / f".{database.name}.{name}.lock").open("w") as lock:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise _taken(name) from None
                time.sleep(0.05)
        yield


@contextmanager
def _advisory_lock(uri: str, name: str) -> Iterator[None]:
    import sqlalchemy
    from sqlalchemy.exc import OperationalError

    # A session's advisory lock ends with its connection: with the process, however that ends.
    try:
        engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.NullPool, isolation_level="AUTOCOMMIT")
        opened = engine.connect()
    except ModuleNotFoundError as error:
        raise RegistryError(
            f"The driver {error.name} of {without_password(uri)} is not installed. Install relapse[postgres] and write "
            "postgresql+psycopg://…"
        ) from None
    except OperationalError as error:
        raise RegistryError(f"{without_password(uri)} does not answer: {error}") from None
    try:
        with opened as connection:
            connection.execute(sqlalchemy.text(f"set lock_timeout = '{PATIENCE}s'"))
            key = {"name": name}
            try:
                connection.execute(
                    sqlalchemy.text("select pg_advisory_lock(hashtext('relapse'), hashtext(:name))"), key
                )
            except OperationalError as error:
                # 55P03: lock_not_available
                if getattr(error.orig, "sqlstate", "") == "55P03":
                    raise _taken(name) from None
                raise
            yield
    finally:
        engine.dispose()


def without_password(uri: str) -> str:
    """An address as it may be shown."""
    parts = urlparse(uri)
    return uri.replace(f":{parts.password}@", ":***@") if parts.password else uri


def _taken(name: str) -> RegistryError:
    return RegistryError(f"Another process has held the lock {name!r} for {PATIENCE} s. Let it end, then run again.")
