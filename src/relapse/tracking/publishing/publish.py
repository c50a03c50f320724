"""Publishing a pipeline state to MLflow: the one logger. It says what the files say, once, however often it runs."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from relapse.added_value.evidence import AddedValue, read_added_value
from relapse.documents import Document
from relapse.evaluation.evidence import CandidateEvidence, Evidence
from relapse.ground.files import read_json
from relapse.ground.workspace import Workspace
from relapse.machinery import Machinery
from relapse.params import Params, flat
from relapse.promotion.decision import Decision
from relapse.tracking.publishing.comparisons import TABLE, numbers_of_tests, table_of_tests
from relapse.tracking.publishing.registered_bundle import write_challenger
from relapse.tracking.publishing.source import Source
from relapse.tracking.registry.models import (
    CANDIDATE,
    PREDICTIONS,
    PROMOTED,
    model_name,
    registered,
)
from relapse.tracking.registry.moves import promote, put_forward
from relapse.tracking.registry.receipts import standing
from relapse.tracking.registry.records import STATE, WHOLE
from relapse.tracking.registry.versions import (
    DECISION,
    card_of,
    create_model,
    create_version,
    log_bundle,
)
from relapse.tracking.views import compared, save_view

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.data.pandas_dataset import PandasDataset
    from mlflow.entities import Run


def publish(
    client: "MlflowClient",
    experiment_id: str,
    at: Workspace,
    *,
    machinery: Machinery,
    source: Source,
    params: Params,
    evidence: Evidence,
    decision: Decision,
    card: Document,
    checklist: Document,
    documents: Callable[[dict[str, Any]], Mapping[str, str]],
) -> dict[str, Any]:
    """Log a pipeline state (a parent run, a child run a candidate), register the challenger, carry the decision out.

    The parent is marked finished last: a state counts as published only when everything about it is there.

    Parameters
    ----------
    machinery
        Says where MLflow is, and whether a decision is carried out now.
    card, checklist
        The challenger's model card and the filled TRIPOD+AI checklist.
    documents
        From the decision as JSON to the texts of the report's files, by name.

    Returns
    -------
    dict
        The decision as JSON, with the champion that there is now.
    """
    import mlflow

    mlflow.set_experiment(experiment_id=experiment_id)
    dataset = _dataset(at)
    with _run(f"{at.cohort} {source.content_hash[:8]}", source.tags | {STATE: WHOLE}) as parent:
        mlflow.log_input(dataset, context="training")
        settings = params.model_dump(mode="json", include={"seed", "budget", "split", "train", "evaluate"})
        mlflow.log_params(flat(settings) | {"candidates": ", ".join(params.candidates)})
        mlflow.log_metrics(_numbers(evidence.candidate(decision.challenger)))
        for folder, paths in {"data": [at.resolved, at.flow, at.gate], "evaluation": [at.evidence]}.items():
            for path in paths:
                mlflow.log_artifact(str(path), folder)
        mlflow.log_artifacts(str(at.figures), "figures")
        mlflow.log_artifacts(str(at.curves), "evaluation/plots")
        mlflow.log_artifacts(str(at.of("describe")), "description")
        mlflow.log_artifacts(str(at.of("audit")), "audit")
        if (added := read_added_value(at.added_value)).answers:
            mlflow.log_metrics(_added_numbers(added))
            mlflow.log_artifacts(str(at.of("added_value")), "added_value")
        _log_tests(evidence)
        tests = {item.name: numbers_of_tests(evidence, item.name) for item in evidence.candidates}
        run_ids = {
            item.name: _log_candidate(at, item, tests[item.name], source, dataset) for item in evidence.candidates
        }
        missing = [name for name in params.candidates if name not in run_ids]
        failed = {name: _log_failure(at, name, source) for name in missing if "failed" in read_json(at.record(name))}
        with tempfile.TemporaryDirectory() as scratch:
            bundle = Path(scratch) / "bundle"
            write_challenger(
                bundle,
                at,
                source=source,
                params=params,
                evidence=evidence,
                decision=decision,
                card=card,
                checklist=checklist,
            )
            version = _register(client, at, decision, source, run_ids[decision.challenger], bundle)
        put_forward(client, at.cohort, version)
        if decision.promoted and machinery.promotes:
            promote(client, machinery, at.cohort, version, decision=asdict(decision), root=at.root)
        record = asdict(decision) | {"champion": standing(client, at.cohort), "challenger_version": version}
        note = _note(evidence, decision, run_ids, experiment_id, failed)
        mlflow.set_tags({"mlflow.note.content": note, PROMOTED: str(decision.promoted).lower()})
        mlflow.log_dict(record, DECISION)
        for name, text in documents(record).items():
            mlflow.log_text(text, f"report/{name}")
        save_view(client, experiment_id, at.cohort, parent.info.run_id, primary=evidence.primary)
    return record


def _note(
    evidence: Evidence, decision: Decision, run_ids: dict[str, str], experiment_id: str, failed: dict[str, str]
) -> str:
    """What the parent run says of itself in the UI: the decision, the candidates side by side, and where to compare."""
    metrics = evidence.endpoint.metrics
    rows = [["candidate", *(metric.label for metric in metrics)], ["---"] * (len(metrics) + 1)]
    for item in evidence.candidates:
        shown = [item.metrics[metric.key] for metric in metrics]
        cells = [f"{found.value:.3f} ({found.lower:.3f} to {found.upper:.3f})" for found in shown]
        rows.append([f"[{item.name}](#/experiments/{experiment_id}/runs/{run_ids[item.name]})", *cells])
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    compare = compared(list(run_ids.values()), experiment_id)
    missing = "".join(f"\n\n**{name} could not be trained:** {error}" for name, error in failed.items())
    return f"**{decision.summary}**\n\n{table}\n\n[Compare all candidates]({compare}){missing}"


def _log_candidate(
    at: Workspace, item: CandidateEvidence, tests: dict[str, float], source: Source, dataset: "PandasDataset"
) -> str:
    import mlflow
    from mlflow.entities import Metric

    record = read_json(at.record(item.name))
    with _run(record["title"], source.tags | {CANDIDATE: item.name}, nested=True) as run:
        mlflow.log_input(dataset, context="training")
        mlflow.log_params({"candidate": item.name, **record["params"]})
        mlflow.log_metrics(_numbers(item) | tests | {"work_seconds": record["seconds"]})
        trials = pd.read_parquet(at.trials(item.name))
        series = [("fold", step, value) for step, value in enumerate(item.primary_by_fold)]
        final = trials[(trials["fold"] < 0) & trials["value"].notna()]
        series += [
            ("trial", int(number), float(value)) for number, value in zip(final["number"], final["value"], strict=True)
        ]
        client = mlflow.MlflowClient()
        client.log_batch(run.info.run_id, [Metric(name, value, 0, step) for name, step, value in series])
        mlflow.log_artifact(str(at.predictions(item.name)), str(Path(PREDICTIONS).parent))
        mlflow.log_artifact(str(at.record(item.name)), "training")
        mlflow.log_text(trials.to_csv(index=False), "training/trials.csv")
        # Not the table of single rows' values, which names patients.
        for path in sorted(at.explained(item.name).iterdir()):
            if path.suffix != ".parquet":
                mlflow.log_artifact(str(path), "explanation")
        return str(run.info.run_id)


def _log_tests(evidence: Evidence) -> None:
    import warnings

    import mlflow

    if evidence.comparisons:
        with warnings.catch_warnings():
            # MLflow looks for images among the columns in a way that pandas 4 will read otherwise; there are none.
            warnings.filterwarnings("ignore", message="For backward compatibility, 'str' dtypes are included")
            mlflow.log_table(table_of_tests(evidence), TABLE)


def _log_failure(at: Workspace, name: str, source: Source) -> str:
    """A run marked failed for a candidate of which every trial failed; returns the error."""
    import mlflow
    from mlflow.entities import RunStatus

    record = read_json(at.record(name))
    error = str(record["failed"])
    with _run(record["title"], source.tags | {CANDIDATE: name, "mlflow.note.content": error}, nested=True):
        mlflow.log_params({"candidate": name})
        mlflow.log_artifact(str(at.record(name)), "training")
        mlflow.end_run(RunStatus.to_string(RunStatus.FAILED))
    return error


def _register(
    client: "MlflowClient", at: Workspace, decision: Decision, source: Source, run_id: str, bundle: Path
) -> str:
    tags = source.tags | {CANDIDATE: decision.challenger, PROMOTED: str(decision.promoted).lower()}
    model_id, name = log_bundle(run_id, bundle), model_name(at.cohort)
    if registered(client, at.cohort) is None:
        create_model(client, name)
    return create_version(client, name, model_id, run_id, tags=tags, card=card_of(bundle), new=True)


def _dataset(at: Workspace) -> "PandasDataset":
    """The table as MLflow names it: digest, number of rows and columns, and schema; no values."""
    import warnings

    from mlflow.data.pandas_dataset import from_pandas

    table = pd.read_parquet(at.table)
    # Whole numbers as float: MLflow's schema would otherwise warn of missing values to come.
    table = table.astype({name: float for name in table.select_dtypes("integer").columns})
    with warnings.catch_warnings():
        # A local path can be two kinds of local source for MLflow; both are the same.
        warnings.filterwarnings("ignore", message="The specified dataset source can be interpreted in multiple ways")
        return from_pandas(table, source=str(at.table), name=at.cohort, targets="event")


def _numbers(item: CandidateEvidence) -> dict[str, float]:
    found: dict[str, float] = {}
    for key, estimate in item.metrics.items():
        found |= {key: estimate.value, f"{key}_lower": estimate.lower, f"{key}_upper": estimate.upper}
    found["mean_over_folds"] = item.mean_over_folds
    return {key: value for key, value in found.items() if value == value}


def _added_numbers(added: AddedValue) -> dict[str, float]:
    """As ``added.imaging_over_reference.linear.difference``."""
    return {
        f"added.{question}.{family}.{key}": value
        for question, families in added.headline().items()
        for family, numbers in families.items()
        for key, value in numbers.items()
    }


@contextmanager
def _run(name: str, tags: dict[str, str], *, nested: bool = False) -> "Iterator[Run]":
    import mlflow

    with mlflow.start_run(run_name=name, nested=nested, tags=tags) as run:
        yield run
