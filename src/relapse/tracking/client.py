"""MLflow, quiet and ready: the only module that connects to it."""

import getpass
import os
import platform
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from relapse.ground.environment import ACTOR
from relapse.ground.errors import RegistryError
from relapse.machinery import Machinery, own_registry
from relapse.tracking.locks import alone, lockable, without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, RunInfo

#: Tag of an experiment that names its cohort: people may rename experiments.
COHORT = "relapse.cohort"

#: What a receipt calls MLflow's database inside the project itself, which may be moved with the project.
OWN = "mlruns/mlflow.db"


def connect(machinery: Machinery) -> "MlflowClient":
    """A client of the tracking server or database named in the settings; a new SQLite file is set up first.

    Raises
    ------
    RegistryError
        The server or database does not answer.
    """
    import logging

    import mlflow
    from mlflow.exceptions import MlflowException

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # What it raises, it also logs with a traceback.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    # What the machine does while files are copied to MLflow says nothing of a candidate, whatever the environment says.
    mlflow.disable_system_metrics_logging()
    # Several processes that create MLflow's tables at once break each other.
    uri = machinery.tracking_uri
    if uri.startswith("http"):
        # A server that comes back within a minute is waited for. MLflow's own seven attempts are four minutes, and what
        # ends runs that were begun asks anew: a quarter of an hour before it is said that the server is gone.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
        _reach(uri)
    with alone(uri, "tables") if lockable(uri) else nullcontext():
        mlflow.set_tracking_uri(machinery.tracking_uri)
        client = mlflow.MlflowClient(machinery.tracking_uri)
        try:
            client.search_experiments(max_results=1)
        except MlflowException as error:
            raise RegistryError(f"MLflow at {without_password(uri)} does not answer: {error}") from None
    return client


def _reach(uri: str) -> None:
    """See that a server is there: MLflow itself asks one that is not for minutes before it says so.

    That is right for a server that goes in the middle of the work and comes back, and not for a beginning.
    """
    import httpx

    try:
        # Only whether anybody answers: nothing is sent that a stranger should not see, so that certificates, for which
        # MLflow has settings of its own, do not matter here.
        httpx.get(httpx.URL(uri).copy_with(userinfo=b"", path="/health"), timeout=10, verify=False)
    except httpx.TransportError:
        raise RegistryError(
            f"MLflow at {without_password(uri)} does not answer. Start it, or see to MLFLOW_TRACKING_URI, then run the "
            "same again: what was finished is kept."
        ) from None


def address(client: "MlflowClient", root: Path = Path()) -> str:
    """Where MLflow is, as it may be written down: without a password, and :data:`OWN` for the project's own file."""
    uri = str(client.tracking_uri)
    return OWN if uri == own_registry(root) else without_password(uri)


def experiment_of(client: "MlflowClient", cohort: str) -> "Experiment | None":
    """The experiment of a cohort, deleted or not: the one tagged so, whatever its name is, else the one named so."""
    from mlflow.entities import ViewType

    tagged = list(client.search_experiments(ViewType.ALL, filter_string=f"tags.`{COHORT}` = '{cohort}'"))
    return max(tagged, key=is_active) if tagged else client.get_experiment_by_name(cohort)


def is_active(item: "Experiment | RunInfo") -> bool:
    """Whether an experiment or a run is there, that is, not marked deleted."""
    return str(item.lifecycle_stage) == "active"


def experiment(client: "MlflowClient", cohort: str, machinery: Machinery) -> str:
    """The id of the experiment of a cohort, made where there is none.

    Raises
    ------
    RegistryError
        It was deleted. MLflow keeps such an experiment until it is removed for good, and its name with it.
    """
    found = experiment_of(client, cohort)
    if found is None:
        location = f"{machinery.artifact_root}/{cohort}" if machinery.artifact_root else None
        # The UI shows an experiment of this kind as model training, not as a chat application.
        tags = {"mlflow.experimentKind": "custom_model_development", COHORT: cohort}
        return str(client.create_experiment(cohort, location, tags=tags))
    if not is_active(found):
        raise RegistryError(f"{deleted_experiment(found)} Nothing was published. {to_repair(cohort)} restores it.")
    if found.tags.get(COHORT) != cohort:
        client.set_experiment_tag(found.experiment_id, COHORT, cohort)
    return str(found.experiment_id)


def deleted_experiment(item: "Experiment") -> str:
    """What to say of a deleted experiment."""
    return (
        f"The experiment {item.name} (id {item.experiment_id}) was deleted in MLflow, with every run in it: MLflow's "
        "garbage collection would remove what its models were made of."
    )


def to_repair(cohort: str) -> str:
    """The command that puts a cohort's registry right."""
    return f"`relapse registry verify {cohort} --repair`"


def actor() -> str:
    """Who does something that is written down, and on which machine."""
    who = ACTOR.get() or os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    return f"{who} on {platform.node()}"


def git_commit(root: Path) -> tuple[str | None, bool]:
    """The commit checked out at ``root`` and whether tracked files differ from it; (None, False) outside git."""
    commit = git(root, "rev-parse", "HEAD")
    return commit or None, bool(commit and git(root, "status", "--porcelain", "--untracked-files=no"))


def git(root: Path, *words: str) -> str:
    """What git says at ``root``; nothing where it refuses, or there is no repository."""
    import subprocess

    quiet = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, env=quiet, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
