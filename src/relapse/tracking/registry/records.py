"""The records of moves: what they say, how they are chained, where they lie, and which copies of them still agree."""

import json
import re
import tempfile
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from relapse.ground.errors import RegistryError
from relapse.ground.files import sha256_of_text
from relapse.tracking.client import OWN, address, experiment_of, to_repair
from relapse.tracking.registry.models import (
    PREVIOUS,
    champion_version,
    has_alias,
    model_name,
    registered,
    version_called,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Tags of the registered model that name its records begin like this.
TAG = "relapse.move."

#: Tag of a run that says what it holds, and the value of those that hold a whole pipeline state and its records.
STATE = "relapse.state"
WHOLE = "parent"

_NAMED = re.compile(r"([0-9a-f]{64}) ([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Place:
    """A version that the alias stood on or went to; ``bundle`` is the SHA-256 of its bundle's manifest."""

    version: str
    candidate: str
    content_hash: str
    bundle: str


@dataclass(frozen=True, slots=True)
class Move:
    """One move of the alias ``champion``.

    ``restore`` puts it on a version that was registered again, with the bundle that it had. ``previous`` is the version
    that the alias of that name stands on afterwards; ``before`` is the digest of the record before this one.
    """

    cohort: str
    number: int
    action: Literal["promote", "rollback", "restore"]
    who: str
    when: str
    from_: Place | None
    to: Place
    previous: str | None
    reason: str
    decision: dict[str, Any] | None
    before: str

    def text(self) -> str:
        """The record, as it is written."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def parse(cls, text: str) -> "Move":
        """Read what :meth:`text` gave; ValueError where it is something else."""
        try:
            content = json.loads(text)
            start, end = content["from_"], content["to"]
            return cls(**content | {"from_": Place(**start) if start else None, "to": Place(**end)})
        except (KeyError, TypeError) as error:
            raise ValueError(f"no record of a move: {error}") from None


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as the registered model names it: its number, its digest, and the run that holds it."""

    number: int
    digest: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Record:
    """A record in all places where it should stand; None where it does not.

    ``entry`` is what the registered model names, ``artifact`` the text in MLflow's artifacts, ``copy`` that of the
    file, and ``move`` what it says: by the text that has the digest named, or else, where none is named, by one that
    continues the record before it.
    """

    number: int
    entry: Entry | None
    artifact: str | None
    copy: str | None
    move: Move | None

    @property
    def digest(self) -> str:
        """The digest that the next record has to name; empty where this one is lost."""
        if self.entry:
            return self.entry.digest
        return sha256_of_text(self.move.text()) if self.move else ""


def entries(client: "MlflowClient", cohort: str) -> list[Entry]:
    """The records of a cohort as the registered model names them, oldest first; a tag of another form names none."""
    model = registered(client, cohort)
    tags = model.tags if model else {}
    found = [
        Entry(int(name.removeprefix(TAG)), match[1], match[2])
        for name, text in tags.items()
        if name.startswith(TAG) and name.removeprefix(TAG).isdigit() and (match := _NAMED.fullmatch(text))
    ]
    return sorted(found, key=lambda entry: entry.number)


def recorded(client: "MlflowClient", cohort: str, *, root: Path = Path(), only_last: bool = False) -> list[Record]:
    """Every record of a cohort that the registered model, MLflow's artifacts or a file knows of, oldest first.

    ``only_last`` spares reading those before the last one, where that can be understood without them.
    """
    named = {entry.number: entry for entry in entries(client, cohort)}
    copies = _copies(client, cohort, root)
    # Which run holds a record is known by its tag; where tags are gone, every run has to be looked through.
    whole = named and copies.keys() <= named.keys() and len(named) == max(named)
    held = {} if whole else _held(client, cohort)
    numbers = sorted(named.keys() | copies.keys() | held.keys())
    found: list[Record] = []
    for number in numbers[-1:] if whole and only_last else numbers:
        entry, copy = named.get(number), copies.get(number)
        artifact = _artifact(client, entry.run_id, number) if entry else held.get(number)
        before = found[-1].digest if found else ""
        move = _move([artifact, copy], entry, before)
        found.append(Record(number, entry, artifact, copy, move))
    return found


def history(client: "MlflowClient", cohort: str, *, root: Path = Path()) -> list[Move]:
    """The records of a cohort that can be read, oldest first."""
    return [record.move for record in recorded(client, cohort, root=root) if record.move]


def last_move(client: "MlflowClient", cohort: str, *, root: Path = Path()) -> Move | None:
    """What the last record says, None where there is none.

    Raises
    ------
    RegistryError
        It cannot be read, or was altered.
    """
    found = recorded(client, cohort, root=root, only_last=True)
    if not found:
        return None
    if found[-1].move is None:
        run = found[-1].entry.run_id if found[-1].entry else "that made the champion"
        raise RegistryError(
            f"{model_name(cohort)}: record {found[-1].number} cannot be read from MLflow's artifacts, or was altered. "
            f"Restore the artifacts of run {run}."
        )
    return found[-1].move


def record_file(client: "MlflowClient", cohort: str, number: int, *, root: Path = Path()) -> Path:
    """Where a record lies as a file: a folder a cohort, and one more for each MLflow that is not the project's own."""
    where = address(client, root)
    folder = cohort if where == OWN else f"{cohort}@{sha256(where.encode()).hexdigest()[:8]}"
    return root / "mlruns" / "moves" / folder / f"{number:04}.json"


def unfinished(client: "MlflowClient", cohort: str, last: Move | None) -> str:
    """What to say where the aliases do not stand as the last record says; empty where they do."""
    if last is None:
        return ""
    champion = champion_version(client, cohort)
    now = {"champion": str(champion.version) if champion else None}
    said: dict[str, str | None] = {"champion": last.to.version}
    if last.previous or has_alias(client, cohort, PREVIOUS):
        previous = has_alias(client, cohort, PREVIOUS)
        now["previous champion"] = str(version_called(client, cohort, PREVIOUS).version) if previous else None
        said["previous champion"] = last.previous
    for who, version in said.items():
        if now[who] != version:
            return (
                f"the alias is on {called(now[who])}, and by record {last.number} the {who} is {called(version)}: a "
                f"move was cut short, or made by another hand. {to_repair(cohort)} puts it where the record says."
            )
    return ""


def called(version: str | None) -> str:
    """A version in words."""
    return f"version {version}" if version else "none"


def _move(texts: list[str | None], entry: Entry | None, before: str) -> Move | None:
    for text in texts:
        if text is None or (entry and sha256_of_text(text) != entry.digest):
            continue
        try:
            move = Move.parse(text)
        except ValueError:
            continue
        if entry or move.before == before:
            return move
    return None


def _copies(client: "MlflowClient", cohort: str, root: Path) -> dict[int, str]:
    folder = record_file(client, cohort, 0, root=root).parent
    return {int(path.stem): path.read_text("utf-8", "replace") for path in folder.glob("*.json") if path.stem.isdigit()}


def _held(client: "MlflowClient", cohort: str) -> dict[int, str]:
    """The records that runs hold as artifacts, by number."""
    from mlflow.entities import ViewType

    where, found = experiment_of(client, cohort), {}
    query = f"tags.`{STATE}` = '{WHOLE}'"
    for run in client.search_runs([where.experiment_id], query, ViewType.ALL) if where else []:
        for item in client.list_artifacts(run.info.run_id, "moves"):
            number = Path(item.path).stem
            text = _artifact(client, run.info.run_id, int(number)) if number.isdigit() else None
            if text is not None:
                found[int(number)] = text
    return found


def _artifact(client: "MlflowClient", run_id: str, number: int) -> str | None:
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as scratch:
        try:
            path = Path(client.download_artifacts(run_id, f"moves/{number:04}.json", scratch))
            return path.read_text("utf-8", "replace")
        except (MlflowException, OSError):
            return None
