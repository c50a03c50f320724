"""Logged models: the model of each candidate's run, with signature, example, metrics and data set, as MLflow shows it.

The candidate that is put forward has its bundle logged so, which its version in the registry points to; the others have
their model by itself. Either is loaded by :mod:`relapse.tracking.flavour`.
"""

import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from relapse.bundle.load import describe_bundle
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.schema import Cohort
from relapse.cohorts.typical import typical_values
from relapse.ground.errors import RegistryError
from relapse.tracking.registry.models import CANDIDATE, is_absent

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.models import ModelSignature

#: The module by which MLflow loads what was logged.
_LOADER = "relapse.tracking.flavour"

#: Metrics of a run that are a series, over outer folds and over the trials of the final search.
SERIES = ("fold", "trial")


def log_model(
    client: "MlflowClient",
    run_id: str,
    folder: Path,
    cohort: Cohort | None = None,
    metrics: Mapping[str, float] | None = None,
) -> str:
    """Log a bundle, or a model by itself, as the model of a candidate's run; returns the model's id.

    MLflow's own ``log_model`` is not asked: it runs the example in a server's way and asks for the history of every
    metric, which takes longer than all the rest.

    Parameters
    ----------
    folder
        A bundle in a folder of the name ``bundle``, or what :func:`relapse.bundle.single.write_single` wrote.
    cohort
        The declaration of what it asks for; by default the bundle's.
    metrics
        What is logged to the run and its model at once; by default the model is given those that its run has.
    """
    import mlflow
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric
    from mlflow.models import Model

    from relapse import __version__

    run, cohort = client.get_run(run_id), cohort or describe_bundle(folder).cohort
    tags = {key: text for key, text in run.data.tags.items() if key.startswith("relapse.")}
    made = client.create_logged_model(
        run.info.experiment_id, run.data.tags[CANDIDATE], run_id, tags=tags, params=dict(run.data.params)
    )
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        # MLflow asks whether columns are numbered in a way that pandas 4 will read otherwise; they have names.
        warnings.filterwarnings("ignore", message="Operation with range is deprecated")
        mlflow.pyfunc.save_model(
            Path(scratch) / "model",
            loader_module=_LOADER,
            data_path=str(folder),
            mlflow_model=Model(
                artifact_path=made.artifact_location, run_id=run_id, model_uuid=made.model_id, model_id=made.model_id
            ),
            signature=signature(cohort),
            input_example=example(cohort),
            metadata=tags,
            # Named, so that MLflow does not spend seconds on inferring them.
            pip_requirements=[f"relapse=={__version__}"],
        )
        client.log_model_artifacts(made.model_id, str(Path(scratch) / "model"))
    client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    client.log_outputs(run_id, [LoggedModelOutput(made.model_id, step=0)])
    known = {key: value for key, value in run.data.metrics.items() if key not in SERIES}
    numbers = known if metrics is None else metrics
    dataset = next((item.dataset for item in (run.inputs.dataset_inputs if run.inputs else [])), None)
    name, digest = (dataset.name, dataset.digest) if dataset else (None, None)
    client.log_batch(
        run_id,
        [Metric(key, value, run.info.start_time, 0, made.model_id, name, digest) for key, value in numbers.items()],
    )
    return str(made.model_id)


def signature(cohort: Cohort) -> "ModelSignature":
    """What a model asks for, by the declaration, and what it answers with.

    Columns are of any type, and none is required of MLflow: it would take neither whole numbers nor categories, and its
    refusal repeats the table that it was given. The loader has types from the declaration, and a refusal of its own.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType

    asked = [*cohort.predictors, *([IMAGE] if cohort.volumes else [])]
    return ModelSignature(
        inputs=Schema([ColSpec(AnyType(), name, required=False) for name in asked]),
        outputs=Schema([ColSpec("double", name) for name in ("score", *cohort.endpoint.risk_columns)]),
    )


def example(cohort: Cohort) -> "pd.DataFrame":
    """One row that a model takes: a patient made up from the declaration."""
    import pandas as pd

    row = dict(typical_values(cohort))
    if cohort.volumes:
        from relapse.bundle.eyes import noise
        from relapse.imaging.uploads import as_text

        row[IMAGE] = as_text(noise(cohort.volumes))
    return pd.DataFrame([row])


def logged_models(client: "MlflowClient", child: "Run") -> list[str]:
    """The models that a run logged and that are not deleted, newest first."""
    from mlflow.exceptions import MlflowException

    outputs = client.get_run(child.info.run_id).outputs
    found = []
    for item in reversed(outputs.model_outputs if outputs else []):
        try:
            client.get_logged_model(item.model_id)
        except MlflowException as error:
            if not is_absent(error):
                raise
        else:
            found.append(str(item.model_id))
    return found


def fetch_model(model_id: str, folder: Path) -> None:
    """Put the bundle of a logged model into ``folder``.

    Raises
    ------
    RegistryError
        Its files are not where MLflow says.
    """
    import shutil

    import mlflow
    from mlflow.exceptions import MlflowException

    with tempfile.TemporaryDirectory() as scratch:
        try:
            found = Path(mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{model_id}", dst_path=scratch))
            shutil.copytree(found / "data" / "bundle", folder)
        except (MlflowException, OSError) as error:
            raise RegistryError(
                f"The logged model {model_id} cannot be read from MLflow's artifacts ({type(error).__name__}). Restore "
                "the artifacts."
            ) from None
