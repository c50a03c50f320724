"""The model registry: one registered model a cohort, and what is read from it."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from relapse.ground.errors import RegistryError
from relapse.promotion.decision import Version

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel
    from mlflow.exceptions import MlflowException

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"
CONTENT = "relapse.content"
CANDIDATE = "relapse.candidate"
PROMOTED = "relapse.promoted"

#: MLflow's tag of a run that stands below another one.
PARENT = "mlflow.parentRunId"

#: Tags of a version that name its external validations begin like this.
VALIDATED = "relapse.validated."

#: Where a candidate's run keeps its out-of-fold predictions.
PREDICTIONS = "predictions/predictions.parquet"

_NAME = re.compile(r"(?:models:/)?relapse-([a-z][a-z0-9_]*)(?:@([a-z]+)|/(\d+))")


def model_name(cohort: str) -> str:
    """Name of the registered model of a cohort."""
    return f"relapse-{cohort}"


def model_called(name: str) -> tuple[str, str]:
    """Cohort and version (a number or an alias) of a model's name, as people write it or as MLflow's address.

    Raises
    ------
    RegistryError
        It is no such name.
    """
    match = _NAME.fullmatch(name)
    if not match:
        raise RegistryError(f"{name!r} is no model: give relapse-<cohort>@champion, relapse-<cohort>/3, or a bundle.")
    return match[1], match[2] or match[3]


def registered(client: "MlflowClient", cohort: str) -> "RegisteredModel | None":
    """The registered model of a cohort, None where there is none."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(model_name(cohort))
    except MlflowException as error:
        if is_absent(error):
            return None
        raise


def is_absent(error: "MlflowException") -> bool:
    """Whether MLflow says that there is no such thing (and not, say, that it cannot be reached)."""
    return str(error.error_code) == "RESOURCE_DOES_NOT_EXIST"


def champion_version(client: "MlflowClient", cohort: str) -> "ModelVersion | None":
    """The registered champion of a cohort, None where there is none."""
    return _found(client, cohort, CHAMPION)


def version_called(client: "MlflowClient", cohort: str, name: str) -> "ModelVersion":
    """A version by its number or its alias.

    Raises
    ------
    RegistryError
        There is none.
    """
    found = _found(client, cohort, name)
    if found is None:
        what = f"version {name}" if name.isdigit() else f"version with the alias {name!r}"
        raise RegistryError(f"{model_name(cohort)} has no {what}. `relapse registry list {cohort}` shows those it has.")
    return found


def _found(client: "MlflowClient", cohort: str, name: str) -> "ModelVersion | None":
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST, ErrorCode

    absent = {ErrorCode.Name(RESOURCE_DOES_NOT_EXIST), ErrorCode.Name(INVALID_PARAMETER_VALUE)}
    look_up = client.get_model_version if name.isdigit() else client.get_model_version_by_alias
    try:
        return look_up(model_name(cohort), name)
    except MlflowException as error:
        if error.error_code in absent:
            return None
        raise


def has_alias(client: "MlflowClient", cohort: str, name: str) -> bool:
    """Whether some version has this alias (or number)."""
    return _found(client, cohort, name) is not None


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
        return str(client.get_run(str(version.run_id)).data.tags[PARENT])


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
            f"({type(error).__name__}). MLflow keeps absolute paths: after the project's folder was moved, run "
            "`relapse registry relocate`; else restore the artifacts, or start anew with an empty mlruns/."
        ) from None


def cohorts(client: "MlflowClient") -> list[str]:
    """The cohorts that have a registered model."""
    prefix = model_name("")
    names = [item.name for item in client.search_registered_models(f"name LIKE '{prefix}%'", max_results=1000)]
    return sorted(name.removeprefix(prefix) for name in names if "." not in name)


def validations(version: "ModelVersion") -> dict[str, str]:
    """What external validations of a version found, by cohort; empty where none was made."""
    return {
        name.removeprefix(VALIDATED): text for name, text in sorted(version.tags.items()) if name.startswith(VALIDATED)
    }
