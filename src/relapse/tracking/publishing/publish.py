"""Publishing a pipeline state to MLflow: the one logger. It says what the files say, once, however often it runs."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from relapse.added_value.evidence import AddedValue, read_added_value
from relapse.documents import Document
from relapse.evaluation.evidence import Evidence
from relapse.ground.files import read_json
from relapse.ground.workspace import Workspace
from relapse.machinery import Machinery
from relapse.params import Params, flat
from relapse.promotion.decision import Decision
from relapse.tracking.changes.present import KEPT, kept, with_changes
from relapse.tracking.publishing.candidates import Asked, log_candidate, log_failure, numbers
from relapse.tracking.publishing.comparisons import TABLE, numbers_of_tests, table_of_tests
from relapse.tracking.publishing.registered_bundle import write_challenger
from relapse.tracking.publishing.source import Source
from relapse.tracking.publishing.tables import log_table
from relapse.tracking.registry.models import CANDIDATE, PROMOTED, model_name, registered
from relapse.tracking.registry.moves import promote, put_forward
from relapse.tracking.registry.receipts import standing
from relapse.tracking.registry.records import STATE, WHOLE
from relapse.tracking.registry.versions import DECISION, card_of, create_model, create_version
from relapse.tracking.views import compared, save_view

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.data.pandas_dataset import PandasDataset


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
    decision = with_changes(client, at, params, decision)
    held = bool(decision.changes and decision.changes.to_review)
    dataset, asked = _dataset(at), Asked.read(at)
    name = f"{at.cohort} {source.content_hash[:8]}"
    with mlflow.start_run(run_name=name, tags=source.tags | {STATE: WHOLE}) as parent:
        mlflow.log_input(dataset, context="training")
        settings = params.model_dump(mode="json", include={"seed", "budget", "split", "train", "evaluate"})
        mlflow.log_params(flat(settings) | {"candidates": ", ".join(params.candidates)})
        mlflow.log_metrics(numbers(evidence.candidate(decision.challenger)))
        for folder, paths in {"data": [at.resolved, at.flow, at.gate], "evaluation": [at.evidence]}.items():
            for path in paths:
                mlflow.log_artifact(str(path), folder)
        mlflow.log_dict(kept(at, decision.challenger).model_dump(), KEPT)
        mlflow.log_artifacts(str(at.figures), "figures")
        mlflow.log_artifacts(str(at.curves), "evaluation/plots")
        mlflow.log_artifacts(str(at.of("describe")), "description")
        mlflow.log_artifacts(str(at.of("audit")), "audit")
        if (added := read_added_value(at.added_value)).answers:
            mlflow.log_metrics(_added_numbers(added))
            mlflow.log_artifacts(str(at.of("added_value")), "added_value")
        if evidence.comparisons:
            log_table(table_of_tests(evidence), TABLE)
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
            made = {
                item.name: log_candidate(
                    client,
                    at,
                    item,
                    numbers_of_tests(evidence, item.name),
                    source,
                    dataset,
                    asked,
                    bundle=bundle if item.name == decision.challenger else None,
                )
                for item in evidence.candidates
            }
            missing = [name for name in params.candidates if name not in made]
            failed = {name: log_failure(at, name, source) for name in missing if "failed" in read_json(at.record(name))}
            version = _register(client, at, decision, source, made[decision.challenger], card_of(bundle))
        put_forward(client, at.cohort, version)
        if decision.promoted and machinery.promotes and not held:
            promote(client, machinery, at.cohort, version, decision=asdict(decision), root=at.root)
        record = asdict(decision) | {"champion": standing(client, at.cohort), "challenger_version": version}
        note = _note(evidence, decision, {name: run for name, (run, _) in made.items()}, experiment_id, failed)
        mlflow.set_tags({"mlflow.note.content": note, PROMOTED: str(decision.promoted).lower()})
        mlflow.log_dict(record, DECISION)
        for file, text in documents(record).items():
            mlflow.log_text(text, f"report/{file}")
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


def _register(
    client: "MlflowClient", at: Workspace, decision: Decision, source: Source, made: tuple[str, str], card: Document
) -> str:
    tags = source.tags | {CANDIDATE: decision.challenger, PROMOTED: str(decision.promoted).lower()}
    (run_id, model_id), name = made, model_name(at.cohort)
    if registered(client, at.cohort) is None:
        create_model(client, name)
    return create_version(client, name, model_id, run_id, tags=tags, card=card, new=True)


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


def _added_numbers(added: AddedValue) -> dict[str, float]:
    """As ``added.imaging_over_reference.linear.difference``."""
    return {
        f"added.{question}.{family}.{key}": value
        for question, families in added.headline().items()
        for family, numbers in families.items()
        for key, value in numbers.items()
    }
