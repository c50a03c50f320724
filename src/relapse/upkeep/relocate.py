"""Moving a project: MLflow's database names artifacts by absolute places, which are written anew for where it is."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlparse

from relapse.ground.errors import RegistryError

#: Columns of MLflow 3.17's tables that hold places of artifacts (looked up in the tables of a published project). The
#: places of model versions and logged models have to hold files; a run or an experiment may have logged none.
COLUMNS = (
    ("experiments", "artifact_location", False),
    ("runs", "artifact_uri", False),
    ("logged_models", "artifact_location", True),
    ("model_versions", "source", True),
    ("model_versions", "storage_location", True),
)

_FOLDER = "/mlruns/"

#: Places named in a message.
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Relocated:
    """What was done: places written anew by the root they named before, places already here, and those elsewhere."""

    moved: dict[str, int] = field(default_factory=dict)
    here: int = 0
    elsewhere: int = 0


def relocate(database: Path, root: Path, *, files: Path | None = None, despite_missing: bool = False) -> Relocated:
    """Write every place below another project's ``mlruns`` as the same place below this one's, all or none.

    Places that are not below a folder ``mlruns`` (a bucket, a share) do not move with a project and are left.

    Parameters
    ----------
    database
        MLflow's SQLite file.
    root
        The project's folder, as it will be named from now on.
    files
        Where the project's files lie now, if not there yet: they are looked for below this folder.
    despite_missing
        Also where files of models are found neither here nor there.

    Raises
    ------
    RegistryError
        Files are not here, or the database is in use or cannot be read. Nothing was changed.
    """
    root = root.resolve()
    if not database.is_file():
        raise RegistryError(f"{database}: there is no such database. Nothing was changed.")
    try:
        with closing(sqlite3.connect(database, isolation_level=None, timeout=5)) as connection:
            connection.execute("begin immediate")
            try:
                done = _written(connection, root, files or root, despite_missing)
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")
    except sqlite3.Error as error:
        raise RegistryError(
            f"{database}: {error}. Nothing was changed. Stop what uses it (service of MLflow, pipeline), and run again."
        ) from None
    return done


def _written(connection: sqlite3.Connection, root: Path, files: Path, despite_missing: bool) -> Relocated:
    moved: dict[str, int] = {}
    here = elsewhere = 0
    absent: list[str] = []
    for table, column, needed in COLUMNS:
        if column not in {row[1] for row in connection.execute(f"pragma table_info({table})")}:
            continue
        found = connection.execute(f"select rowid, {column} from {table} where {column} is not null").fetchall()
        for row, place in found:
            before, below = _parted(place)
            if before is None:
                elsewhere += not place.startswith(("models:", "mlflow-artifacts:"))
            elif before == root:
                here += 1
            else:
                there = files / "mlruns" / below
                if not there.exists() and (needed or (before / "mlruns" / below).exists()):
                    absent.append(f"{root / 'mlruns' / below}")
                connection.execute(
                    f"update {table} set {column} = ? where rowid = ?", (_named(place, root / "mlruns" / below), row)
                )
                moved[str(before)] = moved.get(str(before), 0) + 1
    if absent and not despite_missing:
        shown = ", ".join(list(dict.fromkeys(absent))[:_SHOWN])
        raise RegistryError(
            f"{len(absent)} places of MLflow have no files here, such as {shown}. Nothing was changed. Copy the whole "
            "folder mlruns first; where such files are lost for good, --despite-missing writes the places all the same."
        )
    return Relocated(moved, here, elsewhere)


def _parted(place: str) -> tuple[Path | None, str]:
    """The project's folder that a place names, and what follows its ``mlruns``; None where it is no such place."""
    path = _path(place)
    before, folder, below = path.rpartition(_FOLDER)
    return (Path(before or "/"), below) if folder and before.startswith("/") else (None, "")


def _path(place: str) -> str:
    """The path of a place, as a file system has it; empty where it is none."""
    if place.startswith("file:"):
        return unquote(urlparse(place).path)
    return place if place.startswith("/") else ""


def _named(like: str, path: Path) -> str:
    """A path written as ``like`` is: as an address or plainly."""
    return path.as_uri() if like.startswith("file:") else str(path)
