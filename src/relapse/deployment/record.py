"""What happened to a deployment: a line an event, each with the digest of the one before; no value of a patient."""

import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from relapse.ground.errors import DeploymentError
from relapse.ground.files import append_whole, sha256_of_text

#: What the first line has in place of a digest.
START = "0" * 64


def append(path: Path, event: str, who: str, **said: Any) -> dict[str, Any]:
    """Write an event down as the line after the last one; returns it. Raises :class:`OSError`, and writes nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        lines = _lines(stream.read())
        entry = {
            "number": len(lines) + 1,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "who": who,
            "event": event,
            **said,
            "before": sha256_of_text(lines[-1]) if lines else START,
        }
        append_whole(descriptor, (json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n").encode())
        os.fsync(descriptor)
    return entry


def read(path: Path) -> list[dict[str, Any]]:
    """Every event, oldest first, the chain checked; none where there is no file.

    Raises
    ------
    DeploymentError
        A line was altered, moved or taken out.
    """
    before, found = START, []
    for number, line in enumerate(_lines(path.read_bytes()) if path.is_file() else [], start=1):
        entry = _entry(line)
        if entry.get("number") != number or entry.get("before") != before:
            raise DeploymentError(f"{path}, line {number}: does not follow the line before: altered, moved or missing.")
        before = sha256_of_text(line)
        found.append(entry)
    return found


def _lines(content: bytes) -> list[str]:
    """The whole lines; half of one at the end is being written, or its writer was killed."""
    return content[: content.rfind(b"\n") + 1].decode().splitlines()


def _entry(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}
