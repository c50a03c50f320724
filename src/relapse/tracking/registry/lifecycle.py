"""What MLflow has marked deleted or removed for good of all that stands behind a version."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relapse.tracking.client import deleted_experiment, is_active, to_repair
from relapse.tracking.registry.logged import logged_models
from relapse.tracking.registry.models import PARENT, is_absent
from relapse.tracking.registry.versions import family, source_model

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in the registry that does not fit; ``code`` is one of those in ``codes``, the rest is for people.

    ``remedy`` ends the message: what to do.
    """

    code: str
    found: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.code} {self.found} {self.remedy}".rstrip()


def find_run(client: "MlflowClient", run_id: str) -> "Run | None":
    """A run, deleted or not; None where it was removed for good."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if is_absent(error):
            return None
        raise


def behind(client: "MlflowClient", version: "ModelVersion") -> "list[Run | None]":
    """The run of the pipeline state behind a version, and all below it; None for one that is no more."""
    child = find_run(client, str(version.run_id))
    if child is None:
        return [None]
    parent = find_run(client, child.data.tags.get(PARENT, ""))
    return [parent, *family(client, parent)] if parent else [None, child]


def deletions(client: "MlflowClient", cohort: str, version: "ModelVersion", role: str) -> list[Fault]:
    """What was deleted of that which stands behind a version; ``role`` says what the version is."""
    runs, called = behind(client, version), f"Version {version.version} ({role})"
    known = [run for run in runs if run is not None]
    found = []
    if len(known) < len(runs):
        found.append(
            Fault(
                "M009",
                f"{called}: a run behind it was removed from MLflow for good.",
                "Restore MLflow's database and artifacts from a backup, "
                + (
                    f"go back with `relapse registry rollback {cohort}`, "
                    if role == "champion"
                    else "or leave it: the champion does not need it, "
                )
                + "or begin a new history (docs/promotion.md).",
            )
        )
    if known and not is_active(item := client.get_experiment(known[0].info.experiment_id)):
        return [*found, Fault("M001", deleted_experiment(item), f"{to_repair(cohort)} restores it.")]
    if gone := [run.info.run_id for run in known if not is_active(run.info)]:
        found.append(
            Fault(
                "M008",
                f"{called}: {len(gone)} of the runs behind it {'was' if len(gone) == 1 else 'were'} deleted in MLflow "
                f"({', '.join(name[:8] for name in gone)}), whose garbage collection would remove what it was made of.",
                f"{to_repair(cohort)} restores {'it' if len(gone) == 1 else 'them'}.",
            )
        )
    child = next((run for run in known if run.info.run_id == version.run_id), None)
    if child and (model_id := source_model(version)) and model_id not in logged_models(client, child):
        found.append(
            Fault(
                "M010",
                f"{called}: the logged model that it was registered from was deleted in MLflow, whose garbage "
                "collection would remove its bundle.",
                f"{to_repair(cohort)} logs it again.",
            )
        )
    return found


def restore_runs(client: "MlflowClient", runs: "Sequence[Run | None]") -> int:
    """Bring back those runs that are marked deleted; returns how many."""
    gone = [run for run in runs if run is not None and not is_active(run.info)]
    for run in gone:
        client.restore_run(run.info.run_id)
    return len(gone)
