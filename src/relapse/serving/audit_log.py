"""The audit log: one line a prediction, each holding the digest of the line before; no patient can be read from it.

A line is a JSON object with ``number``, ``time``, ``endpoint``, ``model``, ``version``, ``input`` (a keyed digest of
the patient), ``output``, ``previous`` and ``digest``. A writer that is killed leaves half a line, whose answer was not
given: the next one sets it aside, in a file whose name ends in ``.cut``. Digests are HMAC-SHA256 under a key that is
not in the file: who has only the file can neither try out patients against a digest nor write a line that fits. What
the chain cannot show is that its last lines were cut off: keep the last digest that ``relapse audit-log`` prints
elsewhere.
"""

import fcntl
import hashlib
import hmac
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from relapse.ground.errors import AuditLogError
from relapse.ground.files import append_whole

#: What the first line has in place of a digest.
START = "0" * 64

_TAIL = 1 << 16

#: How every line begins: its keys are sorted.
_BEGINNING = b'{"digest":"'


@dataclass(frozen=True, slots=True)
class Verified:
    """A chain that holds: its number of lines, and the digest of the last."""

    lines: int
    last: str


class AuditLog:
    """A file that workers append to, each under the file's lock.

    Parameters
    ----------
    path
        The file; made where it is missing, readable by its owner alone.
    key
        The key of all digests.
    model, version
        What answers.

    Raises
    ------
    AuditLogError
        The file cannot be opened, or is none of an audit log.
    """

    def __init__(self, path: Path, key: bytes, *, model: str, version: str) -> None:
        self._path, self._key = path, key
        self._served = {"model": model, "version": version}
        self.append("start", [])

    def append(self, endpoint: str, answered: Sequence[tuple[bytes, Mapping[str, Any]]]) -> None:
        """Record ``answered`` (the patient as bytes, what was answered), all of it or nothing."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise AuditLogError(f"{self._path}: the audit log cannot be opened ({error.strerror}).") from None
        with os.fdopen(descriptor, "r+b", buffering=0) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            size = self._whole(descriptor)
            number, previous = _end(stream, size, self._path)
            lines = b""
            for patient, output in answered:
                number += 1
                entry = {
                    "number": number,
                    "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "endpoint": endpoint,
                    **self._served,
                    "input": _digest(self._key, b"input", patient),
                    "output": dict(output),
                    "previous": previous,
                }
                previous = _digest(self._key, b"line", _canonical(entry))
                lines += _canonical(entry | {"digest": previous}) + b"\n"
            try:
                append_whole(descriptor, lines)
            except OSError as error:
                raise AuditLogError(f"{self._path}: the audit log cannot be written ({error.strerror}).") from None

    def _whole(self, descriptor: int) -> int:
        """The size of the log up to its last whole line; half a line that a killed writer left is set aside."""
        size = os.fstat(descriptor).st_size
        if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
            return size
        tail = os.pread(descriptor, _TAIL, max(0, size - _TAIL))
        half = tail[tail.rfind(b"\n") + 1 :]
        if not _is_ours(half) or len(half) == _TAIL:
            raise AuditLogError(f"{self._path}: ends within a line that is none of an audit log. Begin a new file.")
        try:
            aside = os.open(f"{self._path}.cut", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                append_whole(aside, half + b"\n")
            finally:
                os.close(aside)
            os.ftruncate(descriptor, size - len(half))
        except OSError as error:
            raise AuditLogError(
                f"{self._path}: ends within a line, which cannot be set aside ({error.strerror})."
            ) from None
        return size - len(half)


def verify(path: Path, key: bytes) -> Verified:
    """Check every line of a log and its place in the chain.

    Raises
    ------
    AuditLogError
        The first line that is altered, missing or out of place, by its number.
    """
    previous, number = START, 0
    try:
        stream = path.open("rb")
    except OSError as error:
        raise AuditLogError(f"{path}: cannot be read ({error.strerror}).") from None
    with stream:
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n") and _is_ours(line):
                raise AuditLogError(
                    f"{path}, line {number}: cut short. A service that is killed while it writes leaves that, and gave "
                    f"no such answer; what answers next sets it aside ({path.name}.cut). The {number - 1} lines before "
                    "it hold."
                )
            entry = _entry(line, path, number)
            given = entry.pop("digest", None)
            if entry.get("number") != number or entry.get("previous") != previous:
                raise AuditLogError(
                    f"{path}, line {number}: does not follow the line before: lines are missing or moved."
                )
            expected = _digest(key, b"line", _canonical(entry))
            if not isinstance(given, str) or not hmac.compare_digest(given, expected):
                raise AuditLogError(
                    f"{path}, line {number}: altered, or RELAPSE_AUDIT_KEY is not the key it was written with."
                )
            previous = expected
    return Verified(number, previous)


def _end(stream: Any, size: int, path: Path) -> tuple[int, str]:
    """Number and digest of the last line."""
    if size == 0:
        return 0, START
    stream.seek(max(0, size - _TAIL))
    tail = stream.read(_TAIL)
    entry = _entry(tail.rstrip(b"\n").rsplit(b"\n", 1)[-1], path, "the last")
    if not isinstance(entry.get("number"), int) or not isinstance(entry.get("digest"), str):
        raise AuditLogError(f"{path}: its last line is none of an audit log. Name another file in RELAPSE_AUDIT_LOG.")
    return entry["number"], entry["digest"]


def _is_ours(half: bytes) -> bool:
    """Whether a line begins as one of an audit log, as far as it goes."""
    return half[: len(_BEGINNING)] == _BEGINNING[: len(half)]


def _entry(line: bytes, path: Path, number: object) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if not isinstance(entry, dict):
        raise AuditLogError(f"{path}, line {number}: no JSON object: cut short, or no audit log.")
    return entry


def _canonical(entry: Mapping[str, Any]) -> bytes:
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _digest(key: bytes, purpose: bytes, content: bytes) -> str:
    return hmac.new(key, purpose + b"\0" + content, hashlib.sha256).hexdigest()
