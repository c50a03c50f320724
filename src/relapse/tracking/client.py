"""MLflow, quiet and ready: the only module that connects to it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from relapse.errors import RegistryError
from relapse.files import sha256_of_text
from relapse.settings import Machinery

if TYPE_CHECKING:
    from mlflow import MlflowClient


def connect(machinery: Machinery) -> "MlflowClient":
    """A client of the tracking server or database named in the settings; a new SQLite file is set up first.

    Raises
    ------
    RegistryError
        The server or database does not answer.
    """
    import logging

    import mlflow
    from mlflow.exceptions import MlflowException

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Several processes that create its tables at once break each other.
    with exclusive(machinery.tracking_uri, "tables"):
        mlflow.set_tracking_uri(machinery.tracking_uri)
        client = mlflow.MlflowClient(machinery.tracking_uri)
        try:
            client.search_experiments(max_results=1)
        except MlflowException as error:
            raise _silent(machinery.tracking_uri, error) from None
    return client


def experiment(client: "MlflowClient", name: str, machinery: Machinery) -> str:
    """The id of the experiment ``name``, made where there is none."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    location = f"{machinery.artifact_root}/{name}" if machinery.artifact_root else None
    # The UI shows an experiment of this kind as model training, not as a chat application.
    return str(client.create_experiment(name, location, tags={"mlflow.experimentKind": "custom_model_development"}))


@contextmanager
def exclusive(uri: str, purpose: str) -> Iterator[None]:
    """Keep out every other process that asks for the same ``purpose`` on the same database, wherever it runs.

    A lock beside a SQLite file, an advisory lock of PostgreSQL; both end with the process that holds them. Nothing
    where a tracking server stands between: it has no lock to give.

    Raises
    ------
    RegistryError
        The database does not answer, or its driver is not installed.
    """
    if uri.startswith("sqlite:///"):
        with _locked_file(Path(unquote(uri.removeprefix("sqlite:///"))), purpose):
            yield
    elif uri.startswith("postgresql"):
        with _advisory_lock(uri, purpose):
            yield
    else:
        yield


@contextmanager
def _locked_file(database: Path, purpose: str) -> Iterator[None]:
    import fcntl

    database.parent.mkdir(parents=True, exist_ok=True)
    with (database.parent / f".{database.name}.{purpose}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _advisory_lock(uri: str, purpose: str) -> Iterator[None]:
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import OperationalError
    from sqlalchemy.pool import NullPool

    # 15 digits of a digest: PostgreSQL knows its locks by number.
    number = int(sha256_of_text("relapse", purpose)[:15], 16)
    try:
        connection = create_engine(uri, poolclass=NullPool).connect()
    except ModuleNotFoundError as error:
        raise RegistryError(
            f"The driver {error.name} of {_without_password(uri)} is not installed. Install "
            "relapse[postgres] and write postgresql+psycopg://…"
        ) from None
    except OperationalError as error:
        raise _silent(uri, error) from None
    with connection:
        connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": number})
        yield


def _silent(uri: str, error: Exception) -> RegistryError:
    return RegistryError(f"MLflow at {_without_password(uri)} does not answer: {error}")


def _without_password(uri: str) -> str:
    parts = urlparse(uri)
    return uri.replace(f":{parts.password}@", ":***@") if parts.password else uri


def git_commit(root: Path) -> tuple[str | None, bool]:
    """The commit checked out at ``root`` and whether tracked files differ from it; (None, False) outside git."""
    import subprocess

    def run(*words: str) -> str:
        quiet = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, env=quiet, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = run("rev-parse", "HEAD")
    return commit or None, bool(commit and run("status", "--porcelain", "--untracked-files=no"))
