"""A candidate of a pipeline state as a run of MLflow's: settings, figures, tests, trials, explanations, its model."""

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from relapse.bundle.single import write_single
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import read_table
from relapse.evaluation.evidence import CandidateEvidence
from relapse.ground.files import read_json
from relapse.ground.workspace import Workspace
from relapse.tracking.publishing.source import Source
from relapse.tracking.publishing.tables import log_table
from relapse.tracking.registry.logged import SERIES, log_model
from relapse.tracking.registry.models import CANDIDATE, PREDICTIONS
from relapse.tracking.registry.versions import Published, without_model
from relapse.training.nested import FINAL

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.data.pandas_dataset import PandasDataset
    from mlflow.entities import Run

#: The final search in a candidate's run, a row a trial and a column a hyperparameter.
SEARCH = "training/final_search.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the models of a state are asked with: the resolved declaration, and the typed canonical table."""

    cohort: Cohort
    table: pd.DataFrame

    @classmethod
    def read(cls, at: Workspace) -> "Asked":
        """As ingest left them."""
        cohort = read_cohort(at.resolved)
        return cls(cohort, read_table(at.table, cohort))


def log_candidate(
    client: "MlflowClient",
    at: Workspace,
    item: CandidateEvidence,
    tests: dict[str, float],
    source: Source,
    dataset: "PandasDataset",
    asked: Asked,
    *,
    bundle: Path | None,
) -> tuple[str, str]:
    """Log a candidate as a run below the active one; returns the ids of the run and of its logged model.

    Parameters
    ----------
    tests
        Its paired tests, by metric.
    bundle
        What is logged as its model, for the one that is put forward; for the others None: their model by itself.
    """
    import mlflow
    from mlflow.entities import Metric

    record = read_json(at.record(item.name))
    with mlflow.start_run(run_name=record["title"], nested=True, tags=source.tags | {CANDIDATE: item.name}) as run:
        run_id = str(run.info.run_id)
        mlflow.log_input(dataset, context="training")
        mlflow.log_params({"candidate": item.name, **record["params"]})
        trials = pd.read_parquet(at.trials(item.name))
        final = trials[(trials["fold"] == FINAL) & trials["value"].notna()]
        series = {
            "fold": enumerate(item.primary_by_fold),
            "trial": zip(final["number"], final["value"], strict=True),
        }
        points = [Metric(name, float(value), 0, int(step)) for name in SERIES for step, value in series[name]]
        client.log_batch(run_id, points)
        metrics = numbers(item) | tests | {"work_seconds": record["seconds"]}
        if bundle:
            model_id = log_model(client, run_id, bundle, metrics=metrics)
        else:
            model_id = _log_single(client, client.get_run(run_id), at, asked, metrics)
        mlflow.log_artifact(str(at.predictions(item.name)), str(Path(PREDICTIONS).parent))
        mlflow.log_artifact(str(at.record(item.name)), "training")
        mlflow.log_text(trials.to_csv(index=False), "training/trials.csv")
        if len(search := search_of(trials)):
            log_table(search, SEARCH)
        # Not the table of single rows' values, which names patients.
        for path in sorted(at.explained(item.name).iterdir()):
            if path.suffix != ".parquet":
                mlflow.log_artifact(str(path), "explanation")
    return run_id, model_id


def log_failure(at: Workspace, name: str, source: Source) -> str:
    """A run marked failed for a candidate of which every trial failed; returns the error."""
    import mlflow
    from mlflow.entities import RunStatus

    record = read_json(at.record(name))
    error = str(record["failed"])
    tags = source.tags | {CANDIDATE: name, "mlflow.note.content": error}
    with mlflow.start_run(run_name=record["title"], nested=True, tags=tags):
        mlflow.log_params({"candidate": name})
        mlflow.log_artifact(str(at.record(name)), "training")
        mlflow.end_run(RunStatus.to_string(RunStatus.FAILED))
    return error


def log_missing_models(client: "MlflowClient", at: Workspace, state: Published) -> list[str]:
    """Log again the models of a published state's candidates that were deleted; returns the candidates.

    That of the candidate put forward is its version's bundle, which the registry itself sees to.
    """
    found = [run for run in without_model(client, state) if at.model(run.data.tags[CANDIDATE]).is_file()]
    if found:
        asked = Asked.read(at)
        for run in found:
            _log_single(client, run, at, asked)
    return [run.data.tags[CANDIDATE] for run in found]


def numbers(item: CandidateEvidence) -> dict[str, float]:
    """A candidate's metrics with their intervals, as ``auc``, ``auc_lower`` and ``auc_upper``; those that are known."""
    found: dict[str, float] = {}
    for key, estimate in item.metrics.items():
        found |= {key: estimate.value, f"{key}_lower": estimate.lower, f"{key}_upper": estimate.upper}
    found["mean_over_folds"] = item.mean_over_folds
    return {key: value for key, value in found.items() if value == value}


def search_of(trials: pd.DataFrame) -> pd.DataFrame:
    """The final search, as parallel coordinates are drawn from: a row a trial, a column a hyperparameter.

    Before those stand ``number``, ``value`` (the ranking metric in the inner folds, missing where a trial was ended
    early or failed), ``state`` and ``seconds``. A hyperparameter that a trial did not draw is missing.
    """
    mine = trials[trials["fold"] == FINAL].sort_values("number")
    drawn = pd.DataFrame([json.loads(text) for text in mine["params"]], index=mine.index)
    return mine[["number", "value", "state", "seconds"]].join(drawn).reset_index(drop=True)


def _log_single(
    client: "MlflowClient", run: "Run", at: Workspace, asked: Asked, metrics: dict[str, float] | None = None
) -> str:
    name = run.data.tags[CANDIDATE]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        cohort = write_single(
            folder,
            model=at.model(name),
            declaration=at.resolved,
            cohort=asked.cohort,
            table=asked.table,
            candidate=name,
            title=read_json(at.record(name))["title"],
            **asdict(Source.told(run.data.tags)),
        )
        return log_model(client, run.info.run_id, folder, cohort, metrics)
