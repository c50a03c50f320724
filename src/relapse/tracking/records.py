"""The records of moves: what they say, how they are chained, and where they lie."""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from relapse.errors import RegistryError
from relapse.files import read_json
from relapse.tracking.registry import champion_version, model_name

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Tags of the registered model that name its records begin like this.
TAG = "relapse.move."


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

    ``previous`` is the version that the alias of that name stands on afterwards; ``before`` is the digest of the record
    before this one.
    """

    cohort: str
    number: int
    action: Literal["promote", "rollback"]
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
    def read(cls, path: Path) -> "Move":
        """Read a record."""
        content = read_json(path)
        start, end = content["from_"], content["to"]
        return cls(**content | {"from_": Place(**start) if start else None, "to": Place(**end)})


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as the registered model names it: its number, its digest, and the run that holds it."""

    number: int
    digest: str
    run_id: str


def entries(client: "MlflowClient", cohort: str) -> list[Entry]:
    """The records of a cohort as the registered model names them, oldest first."""
    from mlflow.exceptions import MlflowException

    try:
        tags = client.get_registered_model(model_name(cohort)).tags
    except MlflowException:
        return []
    found = [(int(name.removeprefix(TAG)), *text.split()) for name, text in tags.items() if name.startswith(TAG)]
    return [Entry(number, digest, run_id) for number, digest, run_id in sorted(found)]


def history(client: "MlflowClient", cohort: str) -> list[Move]:
    """The records of a cohort, oldest first."""
    return [read_record(client, cohort, entry)[0] for entry in entries(client, cohort)]


def record_file(root: Path, cohort: str, number: int) -> Path:
    """Where a record lies as a file."""
    return root / "mlruns" / "moves" / cohort / f"{number:04}.json"


def read_record(client: "MlflowClient", cohort: str, entry: Entry) -> tuple[Move, str]:
    """A record and its text.

    Raises
    ------
    RegistryError
        It is not where the registered model says.
    """
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as scratch:
        try:
            path = Path(client.download_artifacts(entry.run_id, f"moves/{entry.number:04}.json", scratch))
        except (MlflowException, OSError) as error:
            raise RegistryError(
                f"{model_name(cohort)}: record {entry.number} cannot be read from MLflow's artifacts "
                f"({type(error).__name__}). Restore the artifacts of run {entry.run_id}."
            ) from None
        return Move.read(path), path.read_text(encoding="utf-8")


def unfinished(client: "MlflowClient", cohort: str, moves: list[Move]) -> str:
    """What to say where the champion is not the one of the last of ``moves``; empty where it is."""
    now = champion_version(client, cohort)
    if not moves or (now and str(now.version) == moves[-1].to.version):
        return ""
    return (
        f"the alias is on {called(str(now.version) if now else None)}, and by record {moves[-1].number} the champion "
        f"is version {moves[-1].to.version}: a move was cut short, or made by another hand. "
        f"`relapse registry verify {cohort} --repair` puts it where the record says."
    )


def called(version: str | None) -> str:
    """A version in words."""
    return f"version {version}" if version else "none"
