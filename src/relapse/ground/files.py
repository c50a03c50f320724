"""Files written whole or not at all, and the digests that identify them."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_CHUNK = 1 << 20


def write_atomic(path: Path, write: Callable[[Path], object], *, mode: int = 0o644) -> None:
    """Let ``write`` fill a temporary neighbour of ``path``, then rename it over ``path``.

    A reader sees the old file or the new one, never a part; a killed process leaves at most a hidden temporary file.
    An :class:`OSError` names ``path``.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        try:
            write(temporary)
            temporary.chmod(mode)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        # A full disk names no file, and a folder that takes nothing the temporary one.
        if error.filename is None or Path(os.fsdecode(error.filename)).name.startswith(f".{path.name}."):
            error.filename = str(path)
        raise


def write_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write ``text`` as UTF-8."""
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"), mode=mode)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON; NaN becomes null, which every JSON reader takes."""
    write_text(path, json.dumps(_without_nan(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_whole(descriptor: int, lines: bytes) -> None:
    """Append ``lines`` to a file that is open to be read and appended to, under a lock of the caller's: all or none.

    Half a line that a killed writer left is taken off first: nothing rests on it, and the next one would not be read.

    Raises
    ------
    OSError
        They could not be written whole; the file is what it was.
    """
    size = _whole_lines(descriptor)
    try:
        if os.write(descriptor, lines) != len(lines):
            # What stopped the system in the middle is told by the next attempt alone, and is hardly anything else.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _whole_lines(descriptor: int) -> int:
    """The size of a file up to the end of its last whole line, where it is cut."""
    size = whole = os.fstat(descriptor).st_size
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return size
    while whole:
        start = max(0, whole - _CHUNK)
        found = os.pread(descriptor, whole - start, start).rfind(b"\n") + 1
        whole = start + found
        if found:
            break
    os.ftruncate(descriptor, whole)
    return whole


def read_json(path: Path) -> Any:
    """Read what :func:`write_json` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_parquet(path: Path, frame: "pd.DataFrame") -> None:
    """Write a table as parquet, without its index."""
    write_atomic(path, lambda temporary: frame.to_parquet(temporary, index=False))


def write_csv(path: Path, frame: "pd.DataFrame") -> None:
    """Write a table as CSV, without its index."""
    write_atomic(path, lambda temporary: frame.to_csv(temporary, index=False))


def sha256_of_file(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of_text(*parts: str) -> str:
    """Hexadecimal SHA-256 of several strings; their boundaries count."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value
