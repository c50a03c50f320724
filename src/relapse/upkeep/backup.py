"""Backup of a project, also of one at work: registry, declarations, decisions, served bundles, the service's files."""

import fcntl
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import relapse
from relapse.ground.environment import AUDIT_LOG, MONITOR
from relapse.ground.errors import BackupError
from relapse.machinery import machinery, own_registry
from relapse.tracking.client import OWN
from relapse.tracking.locks import alone, without_password
from relapse.tracking.registry.models import model_name
from relapse.upkeep import archive
from relapse.upkeep.archive import Manifest, Source

#: Single files of a project.
_FILES = ("params.yaml", "change_plan.yaml", "dvc.lock")

#: Folders of a project, as patterns; what is in git besides, or is made again from this, is left out. Tables with
#: patients (data/raw) are DVC's to keep: `make push`.
_PATTERNS = (
    "data/cohorts/**/*",
    "data/accepted/**/*",
    "data/**/*.dvc",
    "results/register/**/*",
    "results/package/*/bundle/**/*",
    "results/package/*/no-champion.txt",
    "deployments/*/record.jsonl",
    "mlruns/artifacts/**/*",
)

#: What a move of an alias writes, which has to fit the database: taken while no alias can be moved.
_MOVED = ("mlruns/moves", "mlruns/published")


def backup(path: Path, *, root: Path = Path()) -> Manifest:
    """Write everything that cannot be made again into one archive, whole or not at all; returns what it holds.

    MLflow's database is copied by SQLite's own backup, so that the copy is of one moment, and files of artifacts after
    it: whatever that moment's database names is there.

    Raises
    ------
    BackupError
        There is no project here, the file is there already, or something cannot be read.
    """
    if not (root / "params.yaml").is_file():
        raise BackupError(f"{root.resolve()}: no project: it has no params.yaml. Change to the project's folder.")
    if path.exists():
        raise BackupError(f"{path}: is there already, and a backup overwrites nothing. Choose another name.")
    uri = machinery(root).tracking_uri
    with tempfile.TemporaryDirectory() as scratch:
        sources = {name: Source(file) for name, file in _registry(root, Path(scratch))}
        sources |= {name: Source(root / name) for name in _FILES if (root / name).is_file()}
        for pattern in _PATTERNS:
            sources |= {item.relative_to(root).as_posix(): Source(item) for item in _files(root, pattern)}
        sources |= dict(_service())
        return archive.write_archive(
            path,
            sources,
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            version=relapse.__version__,
            registry=OWN if uri == own_registry(root) else without_password(uri),
        )


def _files(root: Path, pattern: str) -> list[Path]:
    return [item for item in sorted(root.glob(pattern)) if item.is_file()]


def _registry(root: Path, scratch: Path) -> Iterator[tuple[str, Path]]:
    """The database and what has to fit it, copied while no alias is moved; nothing where the project has none."""
    database = root / OWN
    if not database.is_file():
        return
    cohorts = {path.stem for path in (root / "mlruns" / "published").glob("*.json")}
    cohorts |= {path.name for path in (root / "mlruns" / "moves").glob("*") if "@" not in path.name}
    with ExitStack() as locks:
        for cohort in sorted(cohorts):
            locks.enter_context(alone(own_registry(root), model_name(cohort)))
        copy = scratch / "mlflow.db"
        try:
            with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
        except sqlite3.Error as error:
            raise BackupError(f"{database}: cannot be copied ({error}). Nothing was written.") from None
        for folder in _MOVED:
            if (root / folder).is_dir():
                shutil.copytree(root / folder, scratch / folder)
    yield OWN, copy
    for folder in _MOVED:
        yield from ((item.relative_to(scratch).as_posix(), item) for item in _files(scratch, f"{folder}/**/*"))


def _service() -> Iterator[tuple[str, Source]]:
    """Audit log and monitoring store where the settings name them, each file as far as its last whole answer."""
    log, store = AUDIT_LOG.get(), MONITOR.get()
    if log is not None and log.is_file():
        yield archive.AUDIT_LOG, Source(log, _whole(log))
    if store is not None:
        for item in _files(store, "**/*"):
            yield f"{archive.MONITOR}/{item.relative_to(store).as_posix()}", Source(item, _whole(item))


def _whole(path: Path) -> int:
    """The size of a file that workers append to under its lock, between two answers; what is there is never altered."""
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH)
            return path.stat().st_size
    except OSError as error:
        raise BackupError(f"{path}: cannot be read ({error.strerror}). Nothing was written.") from None
