"""Moves of the aliases ``champion``, ``challenger`` and ``previous``: the only code that makes any, and their records.

A move is written down before it is made, as an MLflow artifact of the run that made the model and as a file below
``mlruns/moves``; the registered model names each record's digest in a tag, and each record that of the one before it.
"""

import getpass
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from relapse.bundle.load import verify_bundle
from relapse.bundle.manifest import MANIFEST
from relapse.environment import ACTOR
from relapse.errors import BundleError, RegistryError
from relapse.files import sha256_of_file, sha256_of_text, write_text
from relapse.settings import Machinery
from relapse.tracking.locks import alone, lockable
from relapse.tracking.records import TAG, Move, Place, called, entries, history, read_record, record_file, unfinished
from relapse.tracking.registry import (
    CHALLENGER,
    CHAMPION,
    CONTENT,
    PREVIOUS,
    champion_version,
    fetch_version,
    identity,
    model_name,
    parent_run,
    version_called,
)

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
        The decision does not promote, another champion has come in between, or an earlier move was not finished.
    BundleError
        The version's bundle is not whole.
    """
    if not decision["promoted"]:
        raise RegistryError(f"{model_name(cohort)} version {version} is not promoted: {decision['summary']}")
    expected = decision["champion_before"]["version"] if decision["champion_before"] else None
    with _moving(client, machinery, cohort):
        now = champion_version(client, cohort)
        found = str(now.version) if now else None
        if found != expected:
            raise RegistryError(
                f"{model_name(cohort)} version {version} was held against {called(expected)}, and in the meantime the "
                f"champion is {called(found)}: somebody else was first. Nothing was moved. Run the register stage "
                "again, which decides against the champion that there is now."
            )
        move = _next(client, cohort, "promote", now, version_called(client, cohort, version), decision["summary"])
        return _make(client, replace(move, decision=decision, previous=found), root=root)


def rollback(
    client: "MlflowClient", machinery: Machinery, cohort: str, *, reason: str = "", root: Path = Path()
) -> Move:
    """Make the previous champion champion again, with exactly the bundle that it had.

    Raises
    ------
    RegistryError
        There is no previous champion, or its bundle is not the one that was promoted.
    """
    with _moving(client, machinery, cohort):
        now, target = champion_version(client, cohort), version_called(client, cohort, PREVIOUS)
        move = _next(client, cohort, "rollback", now, target, reason or "rolled back by hand")
        promoted = [item for item in history(client, cohort) if item.to.version == move.to.version]
        if promoted and promoted[-1].to.bundle != move.to.bundle:
            raise RegistryError(
                f"{target.name} version {target.version}: its bundle is not the one that was promoted "
                f"(record {promoted[-1].number}). Nothing was moved."
            )
        first = next((item for item in reversed(promoted) if item.action == "promote"), None)
        previous = first.from_.version if first and first.from_ else None
        return _make(client, replace(move, previous=previous), root=root)


def faults(client: "MlflowClient", cohort: str, *, root: Path = Path()) -> list[str]:
    """What does not fit together: records, their chain, their copies, the aliases, and every promoted bundle."""
    found, digest, moves = [], "", []
    for number, entry in enumerate(entries(client, cohort), start=1):
        move, text = read_record(client, cohort, entry)
        moves.append(move)
        if entry.number != number:
            found.append(f"record {number} is missing")
        if sha256_of_text(text) != entry.digest:
            found.append(f"record {entry.number}: altered in MLflow's artifacts")
        if move.before != digest:
            found.append(f"record {entry.number}: does not continue the one before it")
        copy = record_file(root, cohort, entry.number)
        if copy.is_file() and sha256_of_text(copy.read_text(encoding="utf-8")) != entry.digest:
            found.append(f"record {entry.number}: altered in {copy}")
        digest = entry.digest
    if cut_short := unfinished(client, cohort, moves):
        found.append(cut_short)
    for place in {item.to.version: item.to for item in moves}.values():
        try:
            if _bundle(version_called(client, cohort, place.version)) != place.bundle:
                found.append(f"version {place.version}: its bundle is not the one that was promoted")
        except (BundleError, RegistryError) as error:
            found.append(f"version {place.version}: {error}")
    return found


def repair(client: "MlflowClient", machinery: Machinery, cohort: str) -> None:
    """Put the champion where the last record says: after a move that was cut short, or made by another hand."""
    with _lock(client, machinery, cohort):
        moves = history(client, cohort)
        if moves and unfinished(client, cohort, moves):
            _place(client, cohort, moves[-1].to.version, moves[-1].previous)


def _next(
    client: "MlflowClient",
    cohort: str,
    action: Literal["promote", "rollback"],
    now: "ModelVersion | None",
    target: "ModelVersion",
    reason: str,
) -> Move:
    before = entries(client, cohort)
    who = ACTOR.get() or os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    return Move(
        cohort=cohort,
        number=before[-1].number + 1 if before else 1,
        action=action,
        who=f"{who} on {platform.node()}",
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        from_=_described(now) if now else None,
        to=_described(target),
        previous=None,
        reason=reason,
        decision=None,
        before=before[-1].digest if before else "",
    )


def _make(client: "MlflowClient", move: Move, *, root: Path) -> Move:
    """Write a move down, then make it."""
    text, target = move.text(), version_called(client, move.cohort, move.to.version)
    run_id = parent_run(client, target)
    client.log_text(run_id, text, f"moves/{move.number:04}.json")
    tag = f"{sha256_of_text(text)} {run_id}"
    client.set_registered_model_tag(model_name(move.cohort), f"{TAG}{move.number:04}", tag)
    _place(client, move.cohort, move.to.version, move.previous)
    path = record_file(root, move.cohort, move.number)
    write_text(path, text)
    path.chmod(0o444)
    return move


def _place(client: "MlflowClient", cohort: str, champion: str, previous: str | None) -> None:
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
    return Place(known.version, known.candidate, version.tags.get(CONTENT, ""), _bundle(version))


def _bundle(version: "ModelVersion") -> str:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "bundle"
        fetch_version(version, folder)
        verify_bundle(folder)
        return sha256_of_file(folder / MANIFEST)


@contextmanager
def _moving(client: "MlflowClient", machinery: Machinery, cohort: str) -> Iterator[None]:
    with _lock(client, machinery, cohort):
        last = entries(client, cohort)[-1:]
        if last and (cut_short := unfinished(client, cohort, [read_record(client, cohort, last[0])[0]])):
            raise RegistryError(f"{model_name(cohort)}: {cut_short}")
        yield


@contextmanager
def _lock(client: "MlflowClient", machinery: Machinery, cohort: str) -> Iterator[None]:
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
