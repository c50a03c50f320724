"""What a service keeps of its answers for monitoring: classes and a rounded risk, one file a day, no patient's value.

A line is a JSON object: ``model``, ``version``, ``patient`` (a keyed pseudonym), ``classes`` (the place of each feature
in the training's classes, -1 without a value), ``risk`` (three decimals) and ``unlike`` (whether the answer said so),
the last two null where the fallback answered. The file's name is the day (UTC); no time of day is kept. Pseudonyms are
HMAC-SHA256 under a key that is not in the store: who has only the store cannot try out patients' names, and who has the
key can join outcomes. It is pseudonymous, not anonymous: several classes together may single somebody out.
"""

import fcntl
import hashlib
import hmac
import json
import os
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from relapse.ground.console import say
from relapse.ground.errors import SourceError
from relapse.ground.files import append_whole
from relapse.monitoring.monitored import DECIMALS, Monitored
from relapse.quality.accepted import RARE, Counted


@dataclass(frozen=True, slots=True)
class Line:
    """One answer as it is kept."""

    day: date
    patient: str
    classes: tuple[int, ...]
    risk: float | None
    unlike: bool | None


def pseudonym(key: bytes, patient: bytes) -> str:
    """A patient under a key: the same for the same name, 32 hexadecimal digits."""
    return hmac.new(key, b"monitored\0" + patient, hashlib.sha256).hexdigest()[:32]


class Store:
    """A folder that workers append to, each under the file's lock.

    Parameters
    ----------
    folder
        Made where it is missing, readable by its owner alone.
    key
        The key of the pseudonyms.
    model, version
        What answers.
    training
        Whose classes are kept.

    Raises
    ------
    SourceError
        The folder cannot be written into.
    """

    def __init__(self, folder: Path, key: bytes, *, model: str, version: str, training: Monitored) -> None:
        self._folder, self._key = folder, key
        self._served = {"model": model, "version": version}
        self._places = [(name, _place(item.classes)) for name, item in training.features.items()]
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise SourceError(f"{folder}: the monitoring store cannot be made ({error.strerror}).") from None
        if not os.access(folder, os.W_OK | os.X_OK):
            raise SourceError(f"{folder}: the monitoring store cannot be written into.")

    def line(
        self, patient: bytes, values: Callable[[str], Any], *, risk: float | None, unlike: bool | None
    ) -> dict[str, Any]:
        """What is kept of an answer; ``values`` gives a feature's value by its name, None where there is none."""
        return {
            **self._served,
            "patient": pseudonym(self._key, patient),
            "classes": [-1 if (value := values(name)) is None else place(value) for name, place in self._places],
            "risk": None if risk is None else round(risk, DECIMALS),
            "unlike": unlike,
        }

    def append(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Keep answers, all of them or none; raises :class:`OSError`."""
        day = datetime.now(UTC).date().isoformat()
        text = "".join(json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n" for line in lines).encode()
        descriptor = os.open(self._folder / f"{day}.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            append_whole(descriptor, text)
        finally:
            os.close(descriptor)


def read_store(folder: Path, *, model: str, version: str, training: Monitored) -> tuple[list[Line], dict[str, int]]:
    """The answers of a model in the order in which they were given, and how many each other model gave.

    Raises
    ------
    SourceError
        No such folder, no file of a day in it, or a line that no service of this model wrote.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder. RELAPSE_MONITOR names it to the service.")
    files = sorted(path for path in folder.glob("*.jsonl") if _day(path))
    if not files:
        raise SourceError(f"{folder}: no answers are kept there (files such as 2026-11-28.jsonl).")
    limits = [len(item.counts) for item in training.features.values()]
    found: list[Line] = []
    others: dict[str, int] = {}
    for path in files:
        day = _day(path)
        assert day is not None
        with path.open(encoding="utf-8", errors="replace") as stream:
            for number, text in enumerate(stream, start=1):
                if not text.endswith("\n"):
                    # The last line: a service was killed while it wrote it, and did not answer, or writes it right now.
                    say(f"{path}, line {number}: cut short, and left out.")
                    continue
                item = _object(text, path, number)
                if (item.get("model"), item.get("version")) != (model, version):
                    name = f"{item.get('model')} version {item.get('version')}"
                    others[name] = others.get(name, 0) + 1
                    continue
                line = _line(item, day, limits)
                if line is None:
                    raise SourceError(
                        f"{path}, line {number}: not what a service of {model} version {version} writes. Take the line "
                        "out, or the file."
                    )
                found.append(line)
    return found, others


def _day(path: Path) -> date | None:
    try:
        return date.fromisoformat(path.stem)
    except ValueError:
        return None


def _object(text: str, path: Path, number: int) -> dict[str, Any]:
    try:
        item = json.loads(text)
    except ValueError:
        item = None
    if not isinstance(item, dict):
        raise SourceError(f"{path}, line {number}: no JSON object: cut short, or no answer. Take the line out.")
    return item


def _line(item: Mapping[str, Any], day: date, limits: Sequence[int]) -> Line | None:
    """A line as it was written; None where it holds something else."""
    patient, classes, risk, unlike = (item.get(key) for key in ("patient", "classes", "risk", "unlike"))
    if not isinstance(patient, str) or not isinstance(classes, list) or len(classes) != len(limits):
        return None
    whole = all(type(value) is int and -1 <= value < limit for value, limit in zip(classes, limits, strict=True))
    champion = isinstance(risk, int | float) and 0 <= risk <= 1 and isinstance(unlike, bool)
    if not whole or not (champion or (risk is None and unlike is None)):
        return None
    return Line(day=day, patient=patient, classes=tuple(classes), risk=risk, unlike=unlike)


def _place(classes: Counted) -> Callable[[Any], int]:
    """The class of one value, as :meth:`~relapse.quality.accepted.Counted.places` has it of many, without a table."""
    if classes.classes is None:
        limits = classes.limits or ()
        return lambda value: bisect_left(limits, value)
    places = {level: place for place, level in enumerate(classes.classes)}
    rare = places.get(RARE, len(places))
    return lambda value: places.get(value, rare)
