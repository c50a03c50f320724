"""External validations of registered models, and the only place that writes them down in MLflow."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from relapse.bundle.load import Bundle, load_bundle
from relapse.evaluation.evidence import Evidence
from relapse.machinery import Machinery
from relapse.tracking.client import connect, experiment
from relapse.tracking.registry.marks import RESULT, VALIDATES
from relapse.tracking.registry.models import (
    PARENT,
    VALIDATED,
    fetch_version,
    model_called,
    model_name,
    parent_run,
    version_called,
)
from relapse.tracking.registry.receipts import renew
from relapse.training.external import PLAIN

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def find_model(name: str, machinery: Machinery) -> "tuple[Bundle, ModelVersion | None]":
    """The model that ``relapse-gbsg@champion``, ``relapse-gbsg/3`` or a bundle's folder names, verified and loaded.

    Raises
    ------
    RegistryError
        It is neither, or the registry has none of that name.
    """
    if (Path(name) / "manifest.json").is_file():
        return load_bundle(Path(name)), None
    version = version_called(connect(machinery), *model_called(name))
    with tempfile.TemporaryDirectory() as scratch:
        fetch_version(version, Path(scratch) / "bundle")
        return load_bundle(Path(scratch) / "bundle"), version


def record_validation(version: "ModelVersion", evidence: Evidence, folder: Path, machinery: Machinery) -> str:
    """Log a validation as a run below the run that made the version, and mark the version; returns the mark.

    The receipt is renewed, so that ``dvc repro`` packages what is known now.
    """
    import mlflow

    client, cohort = connect(machinery), version.name.removeprefix(model_name(""))
    found = evidence.candidate(PLAIN)
    mark = in_words(evidence)
    tags = {
        PARENT: parent_run(client, version),
        VALIDATES: f"{version.name}/{version.version}",
        RESULT: mark,
        "mlflow.note.content": f"{version.name} version {version.version} on {evidence.cohort}: {mark}",
    }
    mlflow.set_experiment(experiment_id=experiment(client, cohort, machinery))
    with mlflow.start_run(run_name=f"validated on {evidence.cohort}", tags=tags):
        mlflow.log_params({"cohort": evidence.cohort, **asdict(evidence.size)})
        for key, estimate in found.metrics.items():
            numbers = {key: estimate.value, f"{key}_lower": estimate.lower, f"{key}_upper": estimate.upper}
            mlflow.log_metrics({name: value for name, value in numbers.items() if value == value})
        mlflow.log_artifacts(str(folder), "evaluation")
    client.set_model_version_tag(version.name, str(version.version), f"{VALIDATED}{evidence.cohort}", mark)
    renew(client, cohort)
    return mark


def in_words(evidence: Evidence) -> str:
    """The result of a validation in a line: ranking and calibration with their intervals."""
    found = evidence.candidate(PLAIN)
    size, ranking = evidence.size, found.metrics[evidence.primary]
    said = [f"{evidence.primary_label} {ranking.value:.3f} ({ranking.lower:.3f} to {ranking.upper:.3f})"]
    for item in found.calibration.values():
        ratio = f"observed / expected {item.observed_expected.value:.2f}"
        said.append(f"slope {item.slope.value:.2f} and {ratio} {item.label}".rstrip())
    return "; ".join([*said, f"{size.patients} patients, {size.with_event} with the event"])
