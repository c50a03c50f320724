"""Whether a pipeline state was published already: in a run that is there, with a version that the registry has."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.ground.errors import RegistryError
from relapse.ground.files import read_json
from relapse.ground.workspace import Workspace
from relapse.machinery import Machinery
from relapse.tracking.client import experiment, is_active, to_repair
from relapse.tracking.publishing.candidates import log_missing_models
from relapse.tracking.publishing.source import Source
from relapse.tracking.registry.faults import standing_faults
from relapse.tracking.registry.logged import logged_models
from relapse.tracking.registry.models import CHALLENGER, CONTENT, has_alias, model_name
from relapse.tracking.registry.moves import put_forward
from relapse.tracking.registry.records import STATE, WHOLE, history
from relapse.tracking.registry.restore import bring_back, register_again
from relapse.tracking.registry.versions import DECISION, family, published_states, version_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


def ready(client: "MlflowClient", machinery: Machinery, cohort: str, *, say: Callable[[str], None]) -> str:
    """Bring back what MLflow cannot undo, and see that nothing stands against publishing; returns the experiment's id.

    ``say`` is told what was brought back.

    Raises
    ------
    RegistryError
        The registry does not stand as the records say. Nothing was published.
    """
    into = experiment(client, cohort, machinery)
    for done in bring_back(client, machinery, cohort):
        say(f"{cohort}: {done}")
    if found := standing_faults(client, cohort):
        raise RegistryError(f"{model_name(cohort)}: {' '.join(map(str, found))} Nothing was published.")
    return into


def published_decision(
    client: "MlflowClient", experiment_id: str, at: Workspace, source: Source
) -> dict[str, Any] | None:
    """The decision that was published for this content, None where there is none.

    A state counts as published only where the registry has its version: one that was deleted is registered again. What
    an interrupted publication left behind is marked deleted, so that the next one starts clean.

    Raises
    ------
    RegistryError
        The run that holds it is marked deleted.
    """
    query = f"tags.`{CONTENT}` = '{source.content_hash}'"
    for run in client.search_runs([experiment_id], f"{query} and tags.`{STATE}` = '{WHOLE}'"):
        if run.info.status != "FINISHED":
            _discard(client, run)
    states = published_states(client, experiment_id, query)
    if not states:
        return None
    state = max(states, key=lambda item: is_active(item.parent.info))
    if gone := [run for run in (state.parent, state.child) if not is_active(run.info)]:
        raise RegistryError(
            f"What is to be published was published before, and its run {gone[0].info.run_id} was deleted in MLflow. "
            f"Nothing was published. {to_repair(at.cohort)} restores it; `mlflow gc --run-ids "
            f"{gone[0].info.run_id}` removes it for good, and the next run publishes anew."
        )
    with tempfile.TemporaryDirectory() as scratch:
        path = client.download_artifacts(state.parent.info.run_id, DECISION, scratch)
        found: dict[str, Any] = read_json(Path(path))
    version = version_of(client, at.cohort, state.child)
    number = register_again(client, at.cohort, state) if version is None else str(version.version)
    if number != state.version:
        found["challenger_version"] = number
        client.log_dict(state.parent.info.run_id, found, DECISION)
    log_missing_models(client, at, state)
    if not has_alias(client, at.cohort, CHALLENGER) and number not in _promoted(client, at):
        put_forward(client, at.cohort, number)
    return found


def _promoted(client: "MlflowClient", at: Workspace) -> set[str]:
    return {
        place.version for move in history(client, at.cohort, root=at.root) for place in (move.from_, move.to) if place
    }


def _discard(client: "MlflowClient", parent: "Run") -> None:
    for run in (*family(client, parent), parent):
        # MLflow goes on showing the models of a run that was deleted.
        for model_id in logged_models(client, run):
            client.delete_logged_model(model_id)
        client.delete_run(run.info.run_id)
