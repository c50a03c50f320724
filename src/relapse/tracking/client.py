"""MLflow, quiet and ready: the only module that connects to it."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from relapse.errors import RegistryError
from relapse.settings import Machinery
from relapse.tracking.locks import alone, lockable, without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient


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
    # Several processes that create MLflow's tables at once break each other.
    uri = machinery.tracking_uri
    with alone(uri, "tables") if lockable(uri) else nullcontext():
        mlflow.set_tracking_uri(machinery.tracking_uri)
        client = mlflow.MlflowClient(machinery.tracking_uri)
        try:
            client.search_experiments(max_results=1)
        except MlflowException as error:
            raise RegistryError(f"MLflow at {without_password(uri)} does not answer: {error}") from None
    return client


def experiment(client: "MlflowClient", name: str, machinery: Machinery) -> str:
    """The id of the experiment ``name``, made where there is none."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    location = f"{machinery.artifact_root}/{name}" if machinery.artifact_root else None
    # The UI shows an experiment of this kind as model training, not as a chat application.
    return str(client.create_experiment(name, location, tags={"mlflow.experimentKind": "custom_model_development"}))


def git_commit(root: Path) -> tuple[str | None, bool]:
    """The commit checked out at ``root`` and whether tracked files differ from it; (None, False) outside git."""
    import subprocess

    def run(*words: str) -> str:
        quiet = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, env=quiet, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = run("rev-parse", "HEAD")
    return commit or None, bool(commit and run("status", "--porcelain", "--untracked-files=no"))
