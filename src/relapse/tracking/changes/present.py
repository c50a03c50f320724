"""The project as it lies here, held against what the registry keeps of the champion."""

import tempfile
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from relapse.bundle.load import Description, describe_bundle
from relapse.change.differences import Difference, differences
from relapse.change.judging import judged
from relapse.change.kept import Kept, code_digests, column_digests
from relapse.change.plan import Kind, plan_digest, plan_file, read_plan
from relapse.change.states import State
from relapse.cohorts.catalogue import read_cohort
from relapse.evaluation.metrics import pooled
from relapse.ground.declarations import parse
from relapse.ground.errors import BundleError, DeclarationError, RegistryError
from relapse.ground.files import read_json, sha256_of_file
from relapse.ground.workspace import Workspace
from relapse.params import Params, recorded
from relapse.promotion.decision import Changes, Decision
from relapse.tracking.changes.reviews import asks_for
from relapse.tracking.registry.models import (
    PREDICTIONS,
    champion_version,
    download,
    fetch_version,
    identity,
    model_name,
    parent_run,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

#: Where the run of a pipeline state keeps what change control asks for.
KEPT = "change/kept.json"


def kept(at: Workspace, candidate: str) -> Kept:
    """What the state at a workspace keeps of itself; ``candidate`` is the one put forward, or empty."""
    record = at.record(candidate)
    return Kept(
        columns=column_digests(pd.read_parquet(at.table)),
        code=code_digests(at.root),
        hyperparameters=read_json(record)["params"] if candidate and record.is_file() else {},
        plan=plan_digest(at.root),
    )


def with_changes(client: "MlflowClient", at: Workspace, params: Params, decision: Decision) -> Decision:
    """The decision with the differences from the champion, and with what they hold up said in its summary.

    Without a plan, or without a champion, it is as it was.
    """
    if read_plan(at.root) is None or champion_version(client, at.cohort) is None:
        return decision
    found = changes(client, at, params, decision.challenger)
    if not (decision.promoted and found.to_review):
        return replace(decision, changes=found)
    return replace(decision, changes=found, summary=f"{decision.summary} {asks_for(found, at.cohort)}")


def changes(client: "MlflowClient", at: Workspace, params: Params, candidate: str) -> Changes:
    """Every difference between the champion and the project at a workspace, under its plan.

    Parameters
    ----------
    candidate
        The one put forward here; empty where none is yet, and then neither family nor hyperparameters are compared.

    Raises
    ------
    DeclarationError
        There is no plan, or the pipeline has not read the data here.
    RegistryError
        There is no champion.
    """
    plan, digest = read_plan(at.root), plan_digest(at.root)
    if plan is None or digest is None:
        raise DeclarationError(f"{plan_file(at.root)}: no such file. Say in it which changes pass without review.")
    champion = champion_version(client, at.cohort)
    if champion is None:
        raise RegistryError(f"{model_name(at.cohort)} has no champion: there is nothing to compare with.")
    now = _here(at, params, candidate)
    try:
        before = _registered(client, champion)
    except BundleError as error:
        # The policy refuses a comparison with it, too; nobody can say what differs.
        unknown = Difference(Kind.DATA, "the champion's record", f"cannot be read: {error}", "as it is")
        return judged([unknown], plan, champion=identity(champion), digest=digest)
    # Packages of the champion: those of another model say nothing of it.
    packages = {name: installed_version(name) for name in before.packages}
    found = differences(before, replace(now, packages=packages), pd.read_parquet(at.table))
    return judged(found, plan, champion=identity(champion), digest=digest)


def _registered(client: "MlflowClient", champion: "ModelVersion") -> State:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fetch_version(champion, folder / "bundle")
        rows = pooled(pd.read_parquet(download(client, champion, PREDICTIONS, folder)))[["row", "patient"]]
        return State.registered(described(folder), rows=rows, kept=_kept(client, champion, folder))


def described(folder: Path) -> Description:
    """The bundle in a folder."""
    return describe_bundle(folder / "bundle")


def champion_kept(client: "MlflowClient", champion: "ModelVersion") -> Kept | None:
    """What the run of a registered model keeps of itself for change control; None in those from before it did."""
    with tempfile.TemporaryDirectory() as scratch:
        return _kept(client, champion, Path(scratch))


def _kept(client: "MlflowClient", champion: "ModelVersion", folder: Path) -> Kept | None:
    run_id = parent_run(client, champion)
    if not any(item.path == KEPT for item in client.list_artifacts(run_id, str(Path(KEPT).parent))):
        return None
    path = download(client, champion, KEPT, folder, run_id=run_id)
    content: dict[str, Any] = read_json(path)
    return parse(Kept, content, origin=Path(KEPT))


def _here(at: Workspace, params: Params, candidate: str) -> State:
    if not (at.resolved.is_file() and at.flow.is_file() and at.table.is_file()):
        raise DeclarationError(f"{at.table}: not there. Run `dvc repro ingest@{at.cohort}` first.")
    flow, cohort = read_json(at.flow), read_cohort(at.resolved)
    moved = [name for name, digest in flow.get("declared", {}).items() if _digest(at.root / name) != digest]
    if moved:
        raise DeclarationError(f"{', '.join(moved)}: changed since it was read. Run `dvc repro ingest@{at.cohort}`.")
    table = pd.read_parquet(at.table, columns=["row", "patient"])
    return State(
        candidate=candidate,
        declaration=cohort.model_dump(mode="json", by_alias=True),
        params=recorded(params),
        sources={item["name"]: item["where"] for item in flow.get("read", ())},
        table_hash=sha256_of_file(at.table),
        rows=table,
        packages={},
        kept=kept(at, candidate),
    )


def _digest(path: Path) -> str:
    return sha256_of_file(path) if path.is_file() else ""


def installed_version(name: str) -> str:
    """The version of a distribution that is installed here, in words where none is."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
