"""The model registry: one registered model a cohort, whose alias ``champion`` is moved here and nowhere else."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from relapse.errors import RegistryError
from relapse.promotion.decision import Version

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
CONTENT = "relapse.content"
CANDIDATE = "relapse.candidate"

#: Where a candidate's run keeps its out-of-fold predictions.
PREDICTIONS = "predictions/predictions.parquet"


def model_name(cohort: str) -> str:
    """Name of the registered model of a cohort."""
    return f"relapse-{cohort}"


def champion_version(client: "MlflowClient", cohort: str) -> "ModelVersion | None":
    """The registered champion of a cohort, None where there is none."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

    absent = {ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE)}
    try:
        return client.get_model_version_by_alias(model_name(cohort), CHAMPION)
    except MlflowException as error:
        if error.error_code in absent:
            return None
        raise


def identity(version: "ModelVersion") -> Version:
    """Version and candidate of a registered model."""
    if CANDIDATE not in version.tags:
        raise RegistryError(
            f"{version.name} version {version.version} was not registered by this project (it has no tag {CANDIDATE}). "
            "Remove the alias 'champion' from it, or register it under another name."
        )
    return Version(str(version.version), version.tags[CANDIDATE])


def download(
    client: "MlflowClient", version: "ModelVersion", artifact: str, folder: Path, *, run_id: str | None = None
) -> Path:
    """An artifact of a version's run (or of ``run_id``), as a file below ``folder``."""
    with readable(version):
        return Path(client.download_artifacts(run_id or str(version.run_id), artifact, str(folder)))


def parent_run(client: "MlflowClient", version: "ModelVersion") -> str:
    """The id of the run of the whole pipeline state that a version comes from."""
    with readable(version):
        return str(client.get_run(str(version.run_id)).data.tags["mlflow.parentRunId"])


def fetch_champion(client: "MlflowClient", cohort: str, destination: Path) -> Version:
    """Put the champion's bundle, as it was registered, into the empty folder ``destination``.

    Raises
    ------
    RegistryError
        There is no champion.
    """
    found = champion_version(client, cohort)
    if found is None:
        raise RegistryError(
            f"{model_name(cohort)} has no champion: nothing was promoted yet. The decision says why; "
            "run the register stage first, or correct what the policy complains of."
        )
    fetch_version(found, destination)
    return identity(found)


def fetch_version(version: "ModelVersion", destination: Path) -> None:
    """Put the bundle of a registered version into the empty folder ``destination``."""
    import shutil

    import mlflow

    with tempfile.TemporaryDirectory() as scratch, readable(version):
        uri = f"models:/{version.name}/{version.version}"
        model = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=scratch))
        shutil.copytree(model / "data" / "bundle", destination, dirs_exist_ok=True)


@contextmanager
def readable(version: "ModelVersion") -> Iterator[None]:
    """Say in one message that what a registered version consists of is not where MLflow says."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        raise RegistryError(
            f"{version.name} version {version.version}: its files cannot be read from MLflow's artifacts "
            f"({type(error).__name__}). MLflow keeps absolute paths: move the project back to where it was registered, "
            "restore the artifacts, or start anew with an empty mlruns/."
        ) from None


def make_champion(client: "MlflowClient", cohort: str, version: str) -> None:
    """Move the alias."""
    client.set_registered_model_alias(model_name(cohort), CHAMPION, version)
