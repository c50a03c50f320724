"""Putting a project back from an archive: all is unpacked and checked beside what is here before any is moved."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from relapse.ground.environment import AUDIT_LOG, MONITOR
from relapse.ground.errors import BackupError
from relapse.ground.files import sha256_of_file
from relapse.tracking.client import OWN
from relapse.upkeep import archive
from relapse.upkeep.archive import Manifest
from relapse.upkeep.relocate import Relocated, relocate

_REGISTRY = "mlruns"

#: Files named in a message.
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done: what the archive held, places of MLflow written anew, where replaced files lie, what was left."""

    manifest: Manifest
    relocated: Relocated | None
    replaced: Path | None
    left: list[str]


def restore(path: Path, *, root: Path = Path(), replace: bool = False) -> Restored:
    """Put an archive's files where they belong, all of them or none, with MLflow's places those of this folder.

    What is here with other bytes is kept in a folder ``replaced-<time>``. The service's files are put back only where
    the settings name a place for them and nothing is there: an audit log is never taken back to an earlier state.

    Raises
    ------
    BackupError
        The archive is damaged or of another format, or would overwrite what is here and ``replace`` is not asked for.
        Nothing was changed.
    """
    root = root.resolve()
    with _opened(path) as opened:
        manifest = archive.read_manifest(opened, path)
        service, left = _service(manifest)
        names = [name for name in manifest.files if not name.startswith("service/")]
        units = _units(names)
        standing = [unit for unit, own in units.items() if _differs(root, unit, own, manifest)]
        if standing and not replace:
            shown = ", ".join(standing[:_SHOWN]) + (", …" if len(standing) > _SHOWN else "")
            raise BackupError(
                f"{root}: {len(standing)} of what the archive holds would be overwritten: {shown}. Nothing was "
                "changed. --replace puts the archive's in their place, and keeps what was there in replaced-<time>."
            )
        kept = root / f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        stage = Path(tempfile.mkdtemp(dir=root, prefix=".restoring-"))
        try:
            archive.unpack(opened, path, manifest, [*names, *service], stage)
            relocated = relocate(stage / OWN, root, files=stage, despite_missing=True) if OWN in names else None
            with _all_or_none() as undo:
                for name, target in service.items():
                    _copy(stage / name, target, undo)
                # The registry last: whatever stops a restore, it is the old one or the new one.
                for unit in sorted(units, key=lambda name: (name == _REGISTRY, name)):
                    if (root / unit).exists():
                        _move(root / unit, kept / unit, undo)
                    _move(stage / unit, root / unit, undo)
        finally:
            shutil.rmtree(stage)
            _without_empty(kept)
    # What had the same bytes was replaced by itself and is not kept.
    for unit in set(units) - set(standing):
        _remove(kept / unit)
    _without_empty(kept)
    return Restored(manifest, relocated, kept if kept.exists() else None, left)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        opened = zipfile.ZipFile(path)
    except OSError as error:
        raise BackupError(f"{path}: cannot be read ({error.strerror}).") from None
    except zipfile.BadZipFile:
        raise archive.damaged(path, "it is no whole archive") from None
    with opened:
        yield opened


def _service(manifest: Manifest) -> tuple[dict[str, Path], list[str]]:
    """Where the service's files go, and what is said of those that are left in the archive."""
    into: dict[str, Path] = {}
    left = []
    log, store = AUDIT_LOG.get(), MONITOR.get()
    kept = [name for name in manifest.files if name.startswith(f"{archive.MONITOR}/")]
    if archive.AUDIT_LOG in manifest.files:
        if log is None:
            left.append("the audit log: RELAPSE_AUDIT_LOG does not say where it belongs")
        elif log.exists():
            left.append(f"the audit log: {log} is there, and is never taken back to an earlier state")
        else:
            into[archive.AUDIT_LOG] = log
    if kept:
        if store is None:
            left.append("the monitoring store: RELAPSE_MONITOR does not say where it belongs")
        elif store.is_dir() and any(store.iterdir()):
            left.append(f"the monitoring store: {store} is not empty")
        else:
            into |= {name: store / name.removeprefix(f"{archive.MONITOR}/") for name in kept}
    return into, left


def _units(names: Iterable[str]) -> dict[str, list[str]]:
    """What is moved as one, the registry and each bundle as a folder and all else as a file, and the files in it."""
    units: dict[str, list[str]] = {}
    for name in names:
        parts = PurePosixPath(name).parts
        if parts[0] == _REGISTRY:
            unit = _REGISTRY
        elif parts[:2] == ("results", "package") and len(parts) > 4 and parts[3] == "bundle":
            unit = "/".join(parts[:4])
        else:
            unit = name
        units.setdefault(unit, []).append(name)
    return units


def _differs(root: Path, unit: str, own: list[str], manifest: Manifest) -> bool:
    """Whether something is here that is not the archive's, byte for byte."""
    here = root / unit
    if not here.is_dir():
        return here.exists() and (unit != own[0] or sha256_of_file(here) != manifest.files[unit].sha256)
    # A lock says nothing.
    found = [item.relative_to(root).as_posix() for item in here.rglob("*") if item.is_file() and item.name[0] != "."]
    if unit == _REGISTRY:
        return bool(found)
    same = all(name in manifest.files and sha256_of_file(root / name) == manifest.files[name].sha256 for name in found)
    return bool(found) and not (same and set(found) == set(own))


@contextmanager
def _all_or_none() -> Iterator[list[Callable[[], object]]]:
    """A list of what takes back each step that was made, which is done where one of them fails."""
    undo: list[Callable[[], object]] = []
    try:
        yield undo
    except BaseException as error:
        for step in reversed(undo):
            step()
        if isinstance(error, OSError):
            raise BackupError(f"{error.filename}: {error.strerror}. Nothing was changed.") from None
        raise


def _move(source: Path, target: Path, undo: list[Callable[[], object]]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)
    undo.append(lambda: os.replace(target, source))


def _copy(source: Path, target: Path, undo: list[Callable[[], object]]) -> None:
    """For what may lie on another file system, where nothing is yet."""
    target.parent.mkdir(parents=True, exist_ok=True)
    undo.append(lambda: target.unlink(missing_ok=True))
    shutil.copy2(source, target)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _without_empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
