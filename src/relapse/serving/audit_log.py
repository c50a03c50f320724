"""The audit log: one line a prediction, each holding the digest of the line before; no patient can be read from it.

A line is a JSON object with ``number``, ``time``, ``endpoint``, ``model``, ``version``, ``input`` (a keyed digest of
the patient), ``output``, ``previous`` and ``digest``. Digests are HMAC-SHA256 under a key that is not in the file: who
has only the file can neither try out patients against a digest nor write a line that fits. What the chain cannot show
is that its last lines were cut off: keep the last digest that ``relapse audit-log`` prints elsewhere.
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
        The file cannot be opened, or ends within a line.
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
            size = os.fstat(descriptor).st_size
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
    if not tail.endswith(b"\n"):
        raise AuditLogError(f"{path}: ends within a line. Check it with relapse audit-log, and begin a new file.")
    entry = _entry(tail.rstrip(b"\n").rsplit(b"\n", 1)[-1], path, "the last")
    if not isinstance(entry.get("number"), int) or not isinstance(entry.get("digest"), str):
        raise AuditLogError(f"{path}: its last line is none of an audit log. Name another file in RELAPSE_AUDIT_LOG.")
    return entry["number"], entry["digest"]


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
