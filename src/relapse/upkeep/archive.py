"""An archive of a project: one zip file with a manifest of its files' digests, written whole and checked before use."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from relapse.ground.errors import BackupError
from relapse.ground.files import write_atomic

#: Name of the manifest in an archive.
MANIFEST = "manifest.json"

#: The format that this version writes and reads.
FORMAT = 1

#: Where a service's own files stand in an archive: they lie outside the project.
AUDIT_LOG = "service/audit-log"
MONITOR = "service/monitor"

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """A file of an archive: its SHA-256, its size in bytes, and who may read and write it (the lowest nine bits)."""

    sha256: str
    size: int
    mode: int


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be put into an archive; of one that grows, the first ``size`` bytes."""

    path: Path
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds: when it was made, by which version, of which registry, and each file by its name."""

    made: str
    version: str
    registry: str
    files: dict[str, Item]


def write_archive(path: Path, sources: dict[str, Source], *, made: str, version: str, registry: str) -> Manifest:
    """Write files into an archive, with the manifest of the bytes that were written, whole or not at all.

    Raises
    ------
    BackupError
        A file went, or grew shorter, while it was read; nothing was written.
    """
    files: dict[str, Item] = {}
    manifest = Manifest(made, version, registry, files)

    def write(temporary: Path) -> None:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, source in sorted(sources.items()):
                files[name] = _put(archive, name, source)
            text = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1, sort_keys=True)
            archive.writestr(MANIFEST, text)

    write_atomic(path, write)
    # It holds pseudonyms of patients where the service keeps them.
    path.chmod(0o600)
    return manifest


def _put(archive: zipfile.ZipFile, name: str, source: Source) -> Item:
    digest, size = hashlib.sha256(), 0
    try:
        mode = source.path.stat().st_mode & 0o777
        with source.path.open("rb") as stream, archive.open(name, "w", force_zip64=True) as into:
            while chunk := stream.read(_CHUNK if source.size is None else min(_CHUNK, source.size - size)):
                digest.update(chunk)
                into.write(chunk)
                size += len(chunk)
    except OSError as error:
        raise BackupError(f"{source.path}: cannot be read ({error.strerror}). Nothing was written.") from None
    if source.size is not None and size < source.size:
        raise BackupError(f"{source.path}: was cut short while it was read. Nothing was written; run it again.")
    return Item(digest.hexdigest(), size, mode)


def read_manifest(archive: zipfile.ZipFile, path: Path) -> Manifest:
    """The manifest of an opened archive, held against the names of its files.

    Raises
    ------
    BackupError
        There is none, it is of another format, names files outside the project, or other files than there are.
    """
    try:
        content = json.loads(archive.read(MANIFEST))
        given = content.pop("format")
        files = {str(name): Item(**item) for name, item in content.pop("files").items()}
        manifest = Manifest(**content, files=files)
    except KeyError:
        raise BackupError(f"{path}: no archive of `relapse project backup`: it has no {MANIFEST}.") from None
    except (ValueError, TypeError, AttributeError, zipfile.BadZipFile):
        raise damaged(path, f"its {MANIFEST} cannot be read") from None
    if given != FORMAT:
        raise BackupError(
            f"{path}: has format {given}; this version reads {FORMAT}. Use the version {manifest.version}."
        )
    if foreign := [name for name in files if not _is_inside(name)]:
        raise BackupError(f"{path}: names {foreign[0]!r}, which is no file of a project. Nothing was changed.")
    if differing := sorted(set(archive.namelist()) ^ {*files, MANIFEST}):
        raise damaged(path, f"{differing[0]} is named by the manifest or there, not both")
    return manifest


def unpack(archive: zipfile.ZipFile, path: Path, manifest: Manifest, names: Iterable[str], into: Path) -> None:
    """Unpack files into a folder of their own, each held against its digest.

    Raises
    ------
    BackupError
        The first file whose bytes are not those that were put into the archive, or that cannot be written.
    """
    for name in names:
        item, target = manifest.files[name], into / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as stream, target.open("wb") as out:
                digest = _copied(stream, out)
            target.chmod(item.mode & 0o777)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise damaged(path, f"{name}: {error}") from None
        except OSError as error:
            raise BackupError(f"{target}: cannot be written ({error.strerror}). Nothing was changed.") from None
        if digest != item.sha256:
            raise damaged(path, f"{name} has not the digest that the manifest names")


def damaged(path: Path, what: str) -> BackupError:
    """What to say of an archive whose bytes are not those that were written."""
    return BackupError(f"{path}: damaged: {what}. Nothing was changed; take another copy of it, or an earlier one.")


def _copied(stream: IO[bytes], out: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        out.write(chunk)
    return digest.hexdigest()


def _is_inside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return bool(parts) and name == "/".join(parts) and ".." not in parts and parts[0] != "/" and "\\" not in name
