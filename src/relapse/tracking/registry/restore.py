"""Bringing back what was deleted in MLflow: the registered model with its very numbers, or single versions of it.

The runs hold everything that the registry is made of: bundles, decisions, records of moves. So a registered model that
was deleted is made again from them, under another name first, so that it is there whole or not at all.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from relapse.bundle.load import verify_bundle
from relapse.ground.errors import BundleError, RegistryError
from relapse.ground.files import sha256_of_text
from relapse.ground.workspace import Workspace
from relapse.machinery import Machinery
from relapse.tracking.client import experiment_of, is_active, to_repair
from relapse.tracking.registry.logged import fetch_model, log_model, logged_models
from relapse.tracking.registry.marks import marks
from relapse.tracking.registry.models import (
    CHALLENGER,
    CHAMPION,
    CONTENT,
    PREVIOUS,
    fetch_version,
    has_alias,
    model_name,
    registered,
    version_called,
)
from relapse.tracking.registry.moves import lock, make, next_move, write_copy
from relapse.tracking.registry.receipts import lost_record
from relapse.tracking.registry.records import TAG, Move, Place, Record, entries, record_file, recorded
from relapse.tracking.registry.versions import (
    Published,
    bundle_digest,
    card_of,
    create_model,
    create_version,
    published_states,
    source_model,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel


def bring_back(client: "MlflowClient", machinery: Machinery, cohort: str, *, root: Path = Path()) -> list[str]:
    """Bring back the registered model, the champion and the previous one where they are gone; returns what was done.

    Raises
    ------
    RegistryError
        The registered model has another name, is somebody else's, or what it is made of is gone, too. Nothing was made.
    """
    records = recorded(client, cohort, root=root, only_last=True)
    if lost := lost_record(client, cohort, records, root=root):
        raise _lost(cohort, lost.rstrip("."))
    if not records:
        return []
    last = records[-1].move
    if registered(client, cohort) is not None:
        if not is_ours(client, cohort, records):
            raise RegistryError(foreign(cohort))
        if last is None or not missing(client, cohort, last):
            return []
    with lock(client, machinery, cohort):
        records = recorded(client, cohort, root=root)
        if registered(client, cohort) is None:
            return [_rebuild(client, cohort, records, root)]
        return _again(client, cohort, records, root)


def missing(client: "MlflowClient", cohort: str, last: Move) -> list[str]:
    """The versions that the last record speaks of and the registry does not have."""
    needed = [last.to.version, *([last.previous] if last.previous else [])]
    return [version for version in needed if not has_alias(client, cohort, version)]


def renamed(client: "MlflowClient", cohort: str, records: list[Record]) -> "RegisteredModel | None":
    """The registered model of another name that names this cohort's records; None where there is none."""
    digests, name = {record.digest for record in records if record.digest}, model_name(cohort)
    for model in client.search_registered_models(max_results=1000):
        named = {text.split(" ")[0] for tag, text in model.tags.items() if tag.startswith(TAG)}
        if model.name != name and not model.name.startswith(f"{name}.") and digests & named:
            return model
    return None


def is_ours(client: "MlflowClient", cohort: str, records: list[Record]) -> bool:
    """Whether the registered model is that of the records on disk: it names one, or has a version of one's content."""
    copies = {sha256_of_text(record.copy) for record in records if record.copy is not None}
    named = {entry.digest for entry in entries(client, cohort)}
    if copies & named or (named and not copies):
        return True
    contents = {place.content_hash for record in records if record.move for place in _places(record.move)}
    versions = client.search_model_versions(f"name = '{model_name(cohort)}'")
    return any(item.tags.get(CONTENT) in contents for item in versions)


def foreign(cohort: str) -> str:
    """What to say of a registered model that is not the one of the records."""
    return (
        f"{model_name(cohort)} in MLflow names none of this cohort's records: it was made by other hands. Rename or "
        f"delete it there; {to_repair(cohort)} and `dvc repro` then bring back the one of the records."
    )


def register_again(client: "MlflowClient", cohort: str, state: Published, model_id: str = "") -> str:
    """Register the challenger of a published state as the next version; returns its number."""
    models = [model_id] if model_id else logged_models(client, state.child)
    if not models:
        raise _lost(cohort, f"the logged model of run {state.child.info.run_id} was deleted")
    if registered(client, cohort) is None:
        create_model(client, model_name(cohort))
    return _create(client, model_name(cohort), state, models[0], new=True)


def log_again(client: "MlflowClient", cohort: str, *, root: Path) -> list[str]:
    """Log and register again, under new numbers, champion and previous one whose logged models are marked deleted."""
    records = recorded(client, cohort, root=root)
    if not records:
        return []
    last, states = _last(cohort, records), _states(client, cohort)
    numbers, done = {CHAMPION: last.to.version, PREVIOUS: last.previous}, []
    for alias, number in numbers.items():
        version = version_called(client, cohort, number) if number else None
        state = next((item for item in states if version and item.child.info.run_id == version.run_id), None)
        if version is None or state is None or source_model(version) in logged_models(client, state.child):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            fetch_version(version, Path(scratch) / "bundle")
            verify_bundle(Path(scratch) / "bundle")
            model_id = log_model(client, state.child.info.run_id, Path(scratch) / "bundle")
        numbers[alias] = register_again(client, cohort, state, model_id)
        done.append(f"version {number}: its logged model was deleted; its bundle is version {numbers[alias]} now.")
    if done:
        _write_down(client, cohort, last, str(numbers[CHAMPION]), numbers[PREVIOUS], done, root)
    return done


def _rebuild(client: "MlflowClient", cohort: str, records: list[Record], root: Path) -> str:
    """Make the registered model again, every version under the number that it had."""
    if other := renamed(client, cohort, records):
        raise RegistryError(
            f"{model_name(cohort)} was renamed to {other.name} in MLflow. {to_repair(cohort)} gives it its name back."
        )
    last, states = _last(cohort, records), _states(client, cohort)
    places = {place.version: place for record in records if record.move for place in _places(record.move)}
    numbers = {state.version: state for state in states if logged_models(client, state.child)}
    numbers |= {place.version: state for place in places.values() if (state := _state(states, place)) and _alive(state)}
    # Before anything is made.
    models = {last.to.version: _model(client, cohort, last.to, states, root)[1]}
    name = f"{model_name(cohort)}.restoring"
    if client.search_registered_models(f"name = '{name}'"):
        client.delete_registered_model(name)
    create_model(client, name, {f"{TAG}{record.number:04}": _tag(cohort, record, states) for record in records})
    for number in range(1, max(map(int, [*numbers, *places])) + 1):
        state = numbers.get(str(number))
        logged = [models[str(number)]] if str(number) in models else logged_models(client, state.child) if state else []
        if state and logged:
            _create(client, name, state, logged[0], new=False)
        else:
            # The number of a version that is gone stays taken.
            gone = client.create_model_version(name, f"models:/{models[last.to.version]}")
            client.delete_model_version(name, str(gone.version))
    there = {str(item.version) for item in client.search_model_versions(f"name = '{name}'")}
    client.set_registered_model_alias(name, CHAMPION, last.to.version)
    if last.previous in there:
        client.set_registered_model_alias(name, PREVIOUS, last.previous)
    newest = str(max(map(int, there)))
    if newest not in places:
        client.set_registered_model_alias(name, CHALLENGER, newest)
    client.rename_registered_model(name, model_name(cohort))
    for record in records:
        if record.move and record.copy is None:
            write_copy(record_file(client, cohort, record.number, root=root), record.move.text())
    return (
        f"{model_name(cohort)} had been deleted in MLflow. It was registered again from its runs, with champion "
        f"version {last.to.version} and the bundle of record {last.number}."
    )


def _again(client: "MlflowClient", cohort: str, records: list[Record], root: Path) -> list[str]:
    """Register again, under new numbers, the champion and the previous one where their versions were deleted."""
    last, states = _last(cohort, records), _states(client, cohort)
    gone = missing(client, cohort, last)
    numbers, done = {CHAMPION: last.to.version, PREVIOUS: last.previous}, []
    moves = [record.move for record in records if record.move]
    for alias, number in numbers.items():
        if number not in gone:
            continue
        place = next(at for move in reversed(moves) for at in _places(move) if at.version == number)
        try:
            state, model_id = _model(client, cohort, place, states, root)
        except RegistryError:
            # Without the previous champion the champion can still be served.
            if alias == CHAMPION:
                raise
            numbers[alias] = None
            done.append(f"version {number}, the previous champion, was deleted and cannot be brought back.")
            continue
        numbers[alias] = register_again(client, cohort, state, model_id)
        done.append(f"version {number} was deleted in MLflow; its bundle is version {numbers[alias]} now.")
    if done:
        _write_down(client, cohort, last, str(numbers[CHAMPION]), numbers[PREVIOUS], done, root)
    return done


def _write_down(
    client: "MlflowClient", cohort: str, last: Move, champion: str, previous: str | None, done: list[str], root: Path
) -> None:
    move = next_move(client, cohort, "restore", last.to, version_called(client, cohort, champion), " ".join(done), root)
    make(client, replace(move, previous=previous), root=root)


def _create(client: "MlflowClient", name: str, state: Published, model_id: str, *, new: bool) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        fetch_model(model_id, Path(scratch) / "bundle")
        tags, card = state.tags | marks(client, state.parent), card_of(Path(scratch) / "bundle")
    return create_version(client, name, model_id, state.child.info.run_id, tags=tags, card=card, new=new)


def _model(
    client: "MlflowClient", cohort: str, place: Place, states: Sequence[Published], root: Path
) -> tuple[Published, str]:
    """The state of a record and a logged model with its very bundle, logged again from the packaged one if need be."""
    state = _state(states, place)
    if state is None:
        raise _lost(cohort, f"the runs of version {place.version} are no more in MLflow")
    if not _alive(state):
        raise RegistryError(
            f"{model_name(cohort)} version {place.version} was deleted in MLflow, and with it the runs that made it. "
            f"Nothing was made. {to_repair(cohort)} restores them."
        )
    for model_id in logged_models(client, state.child):
        with tempfile.TemporaryDirectory() as scratch:
            fetch_model(model_id, Path(scratch) / "bundle")
            if bundle_digest(Path(scratch) / "bundle") == place.bundle:
                return state, model_id
    packaged = Workspace(cohort, root).bundle
    try:
        if bundle_digest(packaged) == place.bundle:
            return state, log_model(client, state.child.info.run_id, packaged)
    except BundleError:
        pass
    raise _lost(cohort, f"no logged model of run {state.child.info.run_id} has the bundle of version {place.version}")


def _states(client: "MlflowClient", cohort: str) -> list[Published]:
    where = experiment_of(client, cohort)
    return published_states(client, where.experiment_id) if where else []


def _state(states: Sequence[Published], place: Place) -> Published | None:
    mine = [state for state in states if state.child.data.tags.get(CONTENT) == place.content_hash]
    return max(mine, key=_alive, default=None)


def _alive(state: Published) -> bool:
    return is_active(state.parent.info) and is_active(state.child.info)


def _places(move: Move) -> list[Place]:
    return [*([move.from_] if move.from_ else []), move.to]


def _tag(cohort: str, record: Record, states: Sequence[Published]) -> str:
    state = _state(states, record.move.to) if record.move else None
    if state is None:
        raise _lost(cohort, f"record {record.number} is nowhere to be found, or the run that it belongs to is no more")
    return f"{record.digest} {state.parent.info.run_id}"


def _last(cohort: str, records: list[Record]) -> Move:
    if records[-1].move is None:
        raise _lost(cohort, f"record {records[-1].number} cannot be read, or was altered")
    return records[-1].move


def _lost(cohort: str, what: str) -> RegistryError:
    return RegistryError(
        f"{model_name(cohort)} cannot be brought back: {what}. Nothing was made. Restore MLflow's database and "
        "artifacts from a backup, or begin a new history (docs/promotion.md)."
    )
