"""Moves of the aliases ``champion``, ``challenger`` and ``previous``: the only code that makes any, and their records.

(A registered model that is put together anew gets its aliases while it is made, in
:mod:`relapse.tracking.registry.restore`.)

A move is written down before it is made, as an MLflow artifact of the run that made the model and as a file below
``mlruns/moves``; the registered model names each record's digest in a tag, and each record that of the one before it.
"""

import getpass
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from relapse.ground.errors import RegistryError
from relapse.ground.files import sha256_of_text, write_text
from relapse.machinery import Machinery
from relapse.tracking.changes.reviews import held
from relapse.tracking.client import actor
from relapse.tracking.locks import alone, lockable
from relapse.tracking.registry.models import (
    CHALLENGER,
    CHAMPION,
    CONTENT,
    PREVIOUS,
    champion_version,
    fetch_version,
    has_alias,
    identity,
    model_name,
    parent_run,
    version_called,
)
from relapse.tracking.registry.records import (
    TAG,
    Move,
    Place,
    called,
    history,
    last_move,
    record_file,
    recorded,
    unfinished,
)
from relapse.tracking.registry.versions import bundle_digest

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def put_forward(client: "MlflowClient", cohort: str, version: str) -> None:
    """Make a version the challenger."""
    client.set_registered_model_alias(model_name(cohort), CHALLENGER, version)


def promote(
    client: "MlflowClient",
    machinery: Machinery,
    cohort: str,
    version: str,
    *,
    decision: dict[str, Any],
    root: Path = Path(),
) -> Move:
    """Make a version champion, as its decision says, provided that the champion is still the one it was held against.

    Raises
    ------
    RegistryError
        The decision does not promote, another champion has come in between, an earlier move was not finished, or the
        plan of changes asks for a review that is not recorded.
    BundleError
        The version's bundle is not whole.
    """
    if not decision["promoted"]:
        raise RegistryError(f"{model_name(cohort)} version {version} is not promoted: {decision['summary']}")
    expected = decision["champion_before"]["version"] if decision["champion_before"] else None
    with _moving(client, machinery, cohort, root) as last:
        now = champion_version(client, cohort)
        found = str(now.version) if now else None
        if found != expected:
            raise RegistryError(
                f"{model_name(cohort)} version {version} was held against {called(expected)}, and in the meantime the "
                f"champion is {called(found)}: somebody else was first. Nothing was moved. Run the register stage "
                "again, which decides against the champion that there is now."
            )
        target = version_called(client, cohort, version)
        if now and (why := held(client, target, decision, root=root)):
            raise RegistryError(f"{model_name(cohort)} version {version} is held. {why} Nothing was moved.")
        move = next_move(client, cohort, "promote", _standing(now, last), target, decision["summary"], root)
        return make(client, replace(move, decision=decision, previous=found), root=root)


def rollback(
    client: "MlflowClient", machinery: Machinery, cohort: str, *, reason: str = "", root: Path = Path()
) -> Move:
    """Make the previous champion champion again, with exactly the bundle that it had.

    Raises
    ------
    RegistryError
        There is no previous champion, or its bundle is not the one that was promoted.
    """
    with _moving(client, machinery, cohort, root) as last:
        now, target = champion_version(client, cohort), version_called(client, cohort, PREVIOUS)
        reason = reason or "rolled back by hand"
        move = next_move(client, cohort, "rollback", _standing(now, last), target, reason, root)
        moves = history(client, cohort, root=root)
        promoted = [item for item in moves if item.to.version == move.to.version]
        if promoted and promoted[-1].to.bundle != move.to.bundle:
            raise RegistryError(
                f"{target.name} version {target.version}: its bundle is not the one that was promoted "
                f"(record {promoted[-1].number}). Nothing was moved."
            )
        # Its promotion may be that of another number: a version that was deleted is registered again as a new one.
        same = [item for item in moves if item.to.bundle == move.to.bundle]
        first = next((item for item in reversed(same) if item.action == "promote"), None)
        earlier = _number_now(client, cohort, first.from_, moves) if first and first.from_ else None
        return make(client, replace(move, previous=earlier), root=root)


def next_move(
    client: "MlflowClient",
    cohort: str,
    action: Literal["promote", "rollback", "restore"],
    now: Place | None,
    target: "ModelVersion",
    reason: str,
    root: Path,
) -> Move:
    """The move of the champion from ``now`` to ``target``, as the record after the last one; not made yet."""
    before = recorded(client, cohort, root=root)
    return Move(
        cohort=cohort,
        number=before[-1].number + 1 if before else 1,
        action=action,
        who=actor(),
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        from_=now,
        to=_described(target),
        previous=None,
        reason=reason,
        decision=None,
        before=before[-1].digest if before else "",
    )


def make(client: "MlflowClient", move: Move, *, root: Path) -> Move:
    """Write a move down, then make it. The lock has to be held."""
    text, target = move.text(), version_called(client, move.cohort, move.to.version)
    run_id = parent_run(client, target)
    client.log_text(run_id, text, f"moves/{move.number:04}.json")
    tag = f"{sha256_of_text(text)} {run_id}"
    client.set_registered_model_tag(model_name(move.cohort), f"{TAG}{move.number:04}", tag)
    place(client, move.cohort, move.to.version, move.previous)
    write_copy(record_file(client, move.cohort, move.number, root=root), text)
    return move


def write_copy(path: Path, text: str) -> None:
    """Write a record as a file that nobody changes by mistake."""
    write_text(path, text, mode=0o444)


def place(client: "MlflowClient", cohort: str, champion: str, previous: str | None) -> None:
    """Put the aliases on their versions. The lock has to be held."""
    name = model_name(cohort)
    client.set_registered_model_alias(name, CHAMPION, champion)
    if previous:
        client.set_registered_model_alias(name, PREVIOUS, previous)
    else:
        client.delete_registered_model_alias(name, PREVIOUS)
    if str(client.get_registered_model(name).aliases.get(CHALLENGER)) == champion:
        client.delete_registered_model_alias(name, CHALLENGER)


def _described(version: "ModelVersion") -> Place:
    known = identity(version)
    return Place(known.version, known.candidate, version.tags.get(CONTENT, ""), digest_of(version))


def digest_of(version: "ModelVersion") -> str:
    """The SHA-256 of the manifest of a version's bundle, which has to be whole."""
    with tempfile.TemporaryDirectory() as scratch:
        fetch_version(version, Path(scratch) / "bundle")
        return bundle_digest(Path(scratch) / "bundle")


def _standing(now: "ModelVersion | None", last: Move | None) -> Place | None:
    """Where the champion stands; by the last record where that says so: its bundle may be what is to be left behind."""
    if now is None or (last and last.to.version == str(now.version)):
        return last.to if now and last else None
    return _described(now)


def _number_now(client: "MlflowClient", cohort: str, place: Place, moves: list[Move]) -> str | None:
    """The version that has a place's bundle now: registered under the last number recorded that is still there."""
    numbers = [place.version, *(item.to.version for item in moves if item.to.bundle == place.bundle)]
    return next((number for number in reversed(numbers) if has_alias(client, cohort, number)), None)


@contextmanager
def _moving(client: "MlflowClient", machinery: Machinery, cohort: str, root: Path) -> Iterator[Move | None]:
    """Hold the lock, with the last move, which has to be finished."""
    with lock(client, machinery, cohort):
        last = last_move(client, cohort, root=root)
        if cut_short := unfinished(client, cohort, last):
            raise RegistryError(f"{model_name(cohort)}: {cut_short}")
        yield last


@contextmanager
def lock(client: "MlflowClient", machinery: Machinery, cohort: str) -> Iterator[None]:
    """One move at a time. Behind a server there is no lock to be had but a name that can be taken only once."""
    from mlflow.exceptions import MlflowException

    uri, name = machinery.tracking_uri, model_name(cohort)
    if lockable(uri):
        with alone(uri, name):
            yield
        return
    claim = f"{name}.moving"
    try:
        client.create_registered_model(claim, description=f"{getpass.getuser()} on {platform.node()} moves an alias.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        raise RegistryError(
            f"{name}: somebody else moves its alias right now. Nothing was moved; try again. Should a killed process "
            f"have left it behind, delete the registered model {claim!r} in MLflow."
        ) from None
    try:
        yield
    finally:
        client.delete_registered_model(claim)
