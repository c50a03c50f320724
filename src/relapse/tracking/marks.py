"""What MLflow knows of a version's external validations: the marks it bears, and the runs that they come from."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from relapse.bundle.validations import Validation
from relapse.tracking.client import is_active
from relapse.tracking.lifecycle import behind
from relapse.tracking.registry import VALIDATED, validations
from relapse.tracking.versions import family

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

#: Tag of a validation's run: the version that it is of.
VALIDATES = "relapse.validates"

#: Tag of a validation's run: what it found, in a line.
RESULT = "relapse.result"


def validations_of(client: "MlflowClient", version: "ModelVersion") -> tuple[Validation, ...]:
    """The external validations that a version bears marks of, with the day and the run of each where it is there."""
    marked = validations(version)
    parent = behind(client, version)[0] if marked else None
    runs = _runs(client, parent) if parent else {}
    return tuple(
        Validation(
            cohort=cohort,
            result=text,
            day=_day(runs[cohort]) if cohort in runs else None,
            run=runs[cohort].info.run_id if cohort in runs else None,
        )
        for cohort, text in marked.items()
    )


def marks(client: "MlflowClient", parent: "Run") -> dict[str, str]:
    """The marks that a version made by a run has to bear, by the validations below that run."""
    found = _runs(client, parent)
    return {f"{VALIDATED}{on}": run.data.tags[RESULT] for on, run in found.items() if RESULT in run.data.tags}


def _runs(client: "MlflowClient", parent: "Run") -> "dict[str, Run]":
    """The last validation on each cohort."""
    runs = [run for run in family(client, parent) if VALIDATES in run.data.tags and is_active(run.info)]
    return {run.data.params["cohort"]: run for run in sorted(runs, key=lambda run: run.info.start_time)}


def _day(run: "Run") -> str:
    return datetime.fromtimestamp(run.info.start_time / 1000, UTC).date().isoformat()
