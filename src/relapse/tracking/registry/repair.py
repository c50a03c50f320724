"""Putting a registry right by its records: what was deleted, renamed, moved by hand, or lost in one of two places."""

from pathlib import Path
from typing import TYPE_CHECKING

from relapse.ground.errors import RegistryError
from relapse.ground.files import sha256_of_text
from relapse.machinery import Machinery
from relapse.tracking.client import experiment_of, is_active
from relapse.tracking.registry.lifecycle import behind, find_run, restore_runs
from relapse.tracking.registry.models import (
    CANDIDATE,
    CHALLENGER,
    CHAMPION,
    CONTENT,
    PREVIOUS,
    has_alias,
    model_name,
    registered,
    version_called,
)
from relapse.tracking.registry.moves import lock, place, write_copy
from relapse.tracking.registry.receipts import read_receipt
from relapse.tracking.registry.records import TAG, Move, Record, record_file, recorded, unfinished
from relapse.tracking.registry.restore import bring_back, log_again, missing, renamed
from relapse.tracking.registry.versions import family, published_states

if TYPE_CHECKING:
    from mlflow import MlflowClient


def repair(client: "MlflowClient", machinery: Machinery, cohort: str, *, root: Path = Path()) -> list[str]:
    """Put right what can be put right without a backup; returns what was done.

    Raises
    ------
    RegistryError
        What the records speak of is lost.
    """
    done = []
    with lock(client, machinery, cohort):
        done += [*_restored_experiment(client, cohort), *_named_back(client, cohort, root)]
        done += _restored_runs(client, cohort, root)
    done += bring_back(client, machinery, cohort, root=root)
    with lock(client, machinery, cohort):
        records = recorded(client, cohort, root=root)
        for record in records:
            done += _written(client, cohort, record, root)
        last = records[-1].move if records else None
        if last and not missing(client, cohort, last) and unfinished(client, cohort, last):
            place(client, cohort, last.to.version, last.previous)
            done.append(f"the aliases stand where record {last.number} says.")
        done += log_again(client, cohort, root=root)
        done += _tagged(client, cohort, records)
    return done


def _restored_experiment(client: "MlflowClient", cohort: str) -> list[str]:
    found = experiment_of(client, cohort)
    if found is None or is_active(found):
        return []
    client.restore_experiment(found.experiment_id)
    return [f"the experiment {found.name} (id {found.experiment_id}) is restored, with its runs."]


def _named_back(client: "MlflowClient", cohort: str, root: Path) -> list[str]:
    other = renamed(client, cohort, recorded(client, cohort, root=root))
    if other is None or registered(client, cohort) is not None:
        return []
    client.rename_registered_model(other.name, model_name(cohort))
    return [f"{other.name} has its name {model_name(cohort)} back."]


def _restored_runs(client: "MlflowClient", cohort: str, root: Path) -> list[str]:
    """Those behind versions with an alias, of the champions that the last record speaks of, and of the last state."""
    aliases = [name for name in (CHAMPION, PREVIOUS, CHALLENGER) if has_alias(client, cohort, name)]
    runs = [run for name in aliases for run in behind(client, version_called(client, cohort, name)) if run]
    where, contents = experiment_of(client, cohort), _contents(client, cohort, root)
    states = published_states(client, where.experiment_id) if where else []
    for state in states:
        if state is states[-1] or state.child.data.tags.get(CONTENT) in contents:
            runs += [state.parent, *family(client, state.parent)]
    found = list({run.info.run_id: run for run in runs}.values())
    number = restore_runs(client, found)
    return [f"{number} {'run is' if number == 1 else 'runs are'} restored."] if number else []


def _contents(client: "MlflowClient", cohort: str, root: Path) -> set[str]:
    records = recorded(client, cohort, root=root)
    last = records[-1].move if records else None
    kept = {last.to.version, last.previous} if last else set()
    mine = {record.move.to.content_hash for record in records if record.move and record.move.to.version in kept}
    return {str(read_receipt(cohort, root=root).get("published"))} | mine


def _written(client: "MlflowClient", cohort: str, record: Record, root: Path) -> list[str]:
    """A record in those places where it is missing or altered."""
    if record.move is None:
        return []
    text, number, done = record.move.text(), record.number, []
    digest = sha256_of_text(text)
    run_id = record.entry.run_id if record.entry else ""
    if not run_id or find_run(client, run_id) is None:
        run_id = _holder(client, cohort, record.move)
    if record.artifact is None or sha256_of_text(record.artifact) != digest:
        client.log_text(run_id, text, f"moves/{number:04}.json")
        done.append(f"record {number} is written again in MLflow's artifacts.")
    path = record_file(client, cohort, number, root=root)
    if record.copy is None or sha256_of_text(record.copy) != digest:
        write_copy(path, text)
        done.append(f"record {number} is written again as {path}.")
    if record.entry is None or record.entry.run_id != run_id:
        client.set_registered_model_tag(model_name(cohort), f"{TAG}{number:04}", f"{digest} {run_id}")
        done.append(f"record {number} is named by the registered model again.")
    return done


def _holder(client: "MlflowClient", cohort: str, move: Move) -> str:
    """A run to hold a record that no tag names, or whose run is no more: that of its version, else the champion's."""
    for name in (move.to.version, CHAMPION):
        parent = behind(client, version_called(client, cohort, name))[0] if has_alias(client, cohort, name) else None
        if parent is not None:
            return str(parent.info.run_id)
    raise RegistryError(f"{model_name(cohort)} has no run left to hold record {move.number}.")


def _tagged(client: "MlflowClient", cohort: str, records: list[Record]) -> list[str]:
    """The tags by which versions are known, where they are not those of the records."""
    done = []
    for at in {record.move.to.version: record.move.to for record in records if record.move}.values():
        if not has_alias(client, cohort, at.version):
            continue
        version = version_called(client, cohort, at.version)
        for key, value in {CANDIDATE: at.candidate, CONTENT: at.content_hash}.items():
            if version.tags.get(key) != value:
                client.set_model_version_tag(version.name, at.version, key, value)
                done.append(f"version {at.version} has its tag {key} back.")
    return done
