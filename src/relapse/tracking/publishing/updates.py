"""An updated champion as a version of its own: a pipeline state in MLflow like any other, made without training."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from relapse.bundle.load import Bundle
from relapse.bundle.manifest import Origin
from relapse.bundle.model_file import load_model
from relapse.bundle.single import load_single
from relapse.bundle.updated import NewPatients, write_updated
from relapse.candidates.base import SurvivalModel
from relapse.candidates.catalogue import REFERENCE
from relapse.candidates.risk_model import RiskModel, Shift
from relapse.change.differences import Difference, of_update
from relapse.change.judging import judged
from relapse.change.kept import Kept, code_digests
from relapse.change.plan import Kind, plan_digest, read_plan
from relapse.evaluation.evidence import Evidence
from relapse.evaluation.statistics.calibration.updating import Update
from relapse.ground.console import say
from relapse.ground.errors import RegistryError
from relapse.ground.files import sha256_of_text
from relapse.machinery import Machinery
from relapse.params import Params, recorded
from relapse.promotion.decision import Changes, Decision
from relapse.tracking.changes.present import KEPT, champion_kept, installed_version
from relapse.tracking.client import experiment, git_commit
from relapse.tracking.publishing.published import ready
from relapse.tracking.publishing.source import Source
from relapse.tracking.registry.logged import log_model, logged_models
from relapse.tracking.registry.models import (
    CANDIDATE,
    PREDICTIONS,
    PROMOTED,
    download,
    fetch_version,
    identity,
    model_name,
    parent_run,
)
from relapse.tracking.registry.moves import promote, put_forward
from relapse.tracking.registry.receipts import renew, standing
from relapse.tracking.registry.records import STATE, WHOLE
from relapse.tracking.registry.versions import DECISION, card_of, create_version, family

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

#: Tag of the run of an update: the run of the pipeline state whose candidates were trained, however many updates ago.
TRAINED = "relapse.trained"


def reference_model(client: "MlflowClient", version: "ModelVersion", bundle: Bundle) -> RiskModel:
    """The clinical reference that was trained beside a champion, which may be the reference itself.

    Raises
    ------
    RegistryError
        Its model is no more in MLflow.
    """
    import mlflow

    if bundle.manifest.candidate == REFERENCE:
        return bundle.model
    if bundle.fallback_model is not None:
        return bundle.fallback_model
    trained = client.get_run(_trained(client, version))
    for run in family(client, trained):
        if run.data.tags.get(CANDIDATE) != REFERENCE:
            continue
        for model_id in logged_models(client, run):
            with tempfile.TemporaryDirectory() as scratch:
                where = mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{model_id}", dst_path=scratch)
                return load_single(Path(where) / "data" / "model").model
    raise RegistryError(
        f"{version.name} version {version.version}: the clinical reference trained beside it has no logged model in "
        f"MLflow any more. `dvc repro register@{bundle.cohort.name}` logs it again."
    )


def differs(
    client: "MlflowClient",
    version: "ModelVersion",
    bundle: Bundle,
    params: Params,
    *,
    chosen: str,
    shift: Shift,
    cohort: str,
    root: Path,
) -> Changes | None:
    """What of an update differs from its champion under the plan; None without a plan."""
    plan, digest = read_plan(root), plan_digest(root)
    if plan is None or digest is None:
        return None
    moved = Difference(
        Kind.RECALIBRATION,
        f"{chosen} on {cohort}",
        "intercept 0, slope 1",
        f"intercept {shift.intercept:.3f}, slope {shift.slope:.3f}",
    )
    before, manifest = champion_kept(client, version), bundle.manifest
    rest = of_update(
        before,
        Kept(columns={}, code=code_digests(root), hyperparameters={}, plan=digest),
        packages=(manifest.packages, {name: installed_version(name) for name in manifest.packages}),
        params=(manifest.origin.params if manifest.origin else None, recorded(params)),
    )
    return judged([moved, *rest], plan, champion=identity(version), digest=digest)


def content_of(version: "ModelVersion", shift: Shift, fingerprint: str, cohort: str) -> str:
    """Identity of an update: the champion's content, the numbers, and the patients."""
    numbers = json.dumps(asdict(shift), sort_keys=True)
    return sha256_of_text("update", version.tags["relapse.content"], numbers, cohort, fingerprint)


def publish_update(
    client: "MlflowClient",
    machinery: Machinery,
    version: "ModelVersion",
    bundle: Bundle,
    *,
    decision: Decision,
    evidence: Evidence,
    update: Update,
    shift: Shift,
    patients: NewPatients,
    predictions: dict[str, pd.DataFrame],
    root: Path = Path(),
) -> dict[str, Any]:
    """Log an update, register it as challenger, and promote it where its decision and the plan of changes let it.

    Returns
    -------
    dict
        The decision as JSON, with the challenger's version and the champion that there is now.

    Raises
    ------
    RegistryError
        The registry does not stand as the records say. Nothing was published.
    """
    import mlflow

    trained_on = bundle.cohort.name
    ready(client, machinery, trained_on, say=say)
    commit, dirty = git_commit(root)
    source = Source(decision.content_hash, commit, dirty)
    candidate = bundle.manifest.candidate
    mlflow.set_experiment(experiment_id=experiment(client, trained_on, machinery))
    tags = source.tags | {STATE: WHOLE, TRAINED: _trained(client, version)}
    name = f"{trained_on} updated on {evidence.cohort}"
    record: dict[str, Any]
    with mlflow.start_run(run_name=name, tags=tags), tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _copy_data(client, version, folder)
        kept = {"columns": {}, "code": code_digests(root), "hyperparameters": {}, "plan": plan_digest(root)}
        if (before := champion_kept(client, version)) is not None:
            # The data, and what they were tuned to, are the champion's.
            kept |= {"columns": before.columns, "hyperparameters": before.hyperparameters}
            mlflow.log_dict(kept, KEPT)
        read = {"cohort": patients.cohort, "where": patients.where, "fingerprint": patients.fingerprint}
        mlflow.log_dict({"update": asdict(update), "shift": asdict(shift), "patients": read}, "update.json")
        for key, table in predictions.items():
            table.drop(columns="patient").to_parquet(folder / f"{key}.parquet", index=False)
            mlflow.log_artifact(str(folder / f"{key}.parquet"), "evaluation")
        metrics = evidence.candidate(candidate).metrics
        labels = {metric.key: metric.label for metric in evidence.endpoint.metrics}
        fetch_version(version, folder / "champion")
        write_updated(
            folder / "bundle",
            folder / "champion",
            shift=shift,
            patients=patients,
            metrics=[
                {"key": key, "label": labels[key], "value": found.value, "lower": found.lower, "upper": found.upper}
                for key, found in metrics.items()
            ],
            decision=asdict(decision) | {"external_validation": f"updated on {evidence.cohort}, cross-fitted"},
            said=_said(evidence, update, shift, identity(version).version, patients),
            content_hash=decision.content_hash,
            git_commit=commit,
            origin=_origin(bundle, dirty),
        )
        own = source.tags | {CANDIDATE: candidate}
        with mlflow.start_run(run_name=f"{bundle.manifest.title}, updated", nested=True, tags=own) as child:
            mlflow.log_params({"candidate": candidate, "update": update.chosen, **asdict(shift)})
            _predictions(client, version, folder, load_model(folder / "bundle" / "model.skops"), shift)
            numbers = {key: found.value for key, found in metrics.items() if found.value == found.value}
            model_id = log_model(client, child.info.run_id, folder / "bundle", metrics=numbers)
            child_id = str(child.info.run_id)
        marks = own | {PROMOTED: str(decision.promoted).lower()}
        number = create_version(
            client, model_name(trained_on), model_id, child_id, tags=marks, card=card_of(folder / "bundle"), new=True
        )
        put_forward(client, trained_on, number)
        held = bool(decision.changes and decision.changes.to_review)
        if decision.promoted and machinery.promotes and not held:
            promote(client, machinery, trained_on, number, decision=asdict(decision), root=root)
        record = asdict(decision) | {"champion": standing(client, trained_on), "challenger_version": number}
        mlflow.set_tags({"mlflow.note.content": decision.summary, PROMOTED: str(decision.promoted).lower()})
        mlflow.log_dict(record, DECISION)
    renew(client, trained_on, root=root)
    return record


def _trained(client: "MlflowClient", version: "ModelVersion") -> str:
    parent = parent_run(client, version)
    return str(client.get_run(parent).data.tags.get(TRAINED, parent))


def _copy_data(client: "MlflowClient", version: "ModelVersion", folder: Path) -> None:
    """What the champion's run says of its data is what this one's does: a later run is held against the same rows."""
    import mlflow

    parent = parent_run(client, version)
    for item in client.list_artifacts(parent, "data"):
        path = download(client, version, item.path, folder, run_id=parent)
        mlflow.log_artifact(str(path), "data")


def _predictions(client: "MlflowClient", version: "ModelVersion", folder: Path, model: RiskModel, shift: Shift) -> None:
    """The champion's out-of-fold predictions, on the scale of the updated model where its score has one."""
    import mlflow

    path = download(client, version, PREDICTIONS, folder)
    table = pd.read_parquet(path)
    if isinstance(model.model, SurvivalModel):
        table["score"] = shift.of(table["score"].to_numpy())
        table.to_parquet(path, index=False)
    mlflow.log_artifact(str(path), str(Path(PREDICTIONS).parent))


def _origin(bundle: Bundle, dirty: bool) -> Origin | None:
    """What the model was trained from is what it was; the patients of the update stand in its card and its run."""
    before = bundle.manifest.origin
    return before.model_copy(update={"git_dirty": dirty}) if before else None


def _said(evidence: Evidence, update: Update, shift: Shift, version: str, patients: NewPatients) -> list[str]:
    size = evidence.size
    return [
        f"Version {version} was {update.chosen} on {size.patients} patients of {evidence.cohort}, {size.with_event} "
        f"with the event: intercept {shift.intercept:.3f}, slope {shift.slope:.3f} on the scale of the "
        "log-odds (of the log cumulative hazard where the outcome has a time). The order of patients is what it was.",
        "The update was chosen by a closed test (Vergouwe et al. 2017). Metrics in this bundle are of these patients, "
        "by updates chosen and fitted without each tenth of them; what is said of the training above is of the "
        "model before it.",
        f"These patients were read from {patients.where} ({patients.fingerprint}).",
    ]
