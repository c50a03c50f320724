"""Two published runs beside each other: what changed between them, and what that did, on the patients they share."""

import difflib
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from relapse.cohorts.size import MIN_EACH, counts
from relapse.evaluation.evidence import Evidence, compare, read_evidence
from relapse.evaluation.metrics import pooled
from relapse.evaluation.statistics.results import Estimate, PairedTest
from relapse.ground.errors import PredictionsError, RegistryError
from relapse.ground.files import read_json
from relapse.tracking.registry.models import CANDIDATE, PREDICTIONS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PARENT = "mlflow.parentRunId"
_FLOW = ("source", "fingerprint", "rows_kept", "patients_kept")
_CODE = {"commit": "git_commit", "uncommitted changes": "git_dirty"}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs: what kind of thing, which, and its values before and after."""

    kind: str
    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Effect:
    """The ranking metric of a candidate in both runs, and the paired test of after minus before.

    ``test`` is None where there is none; ``note`` then says why, and else on how many rows it stands.
    """

    before_name: str
    after_name: str
    before: Estimate
    after: Estimate
    test: PairedTest | None
    note: str


@dataclass(frozen=True, slots=True)
class RunComparison:
    """What two runs have to do with each other; ``metric`` names what effects are measured in."""

    before: str
    after: str
    metric: str
    changes: tuple[Change, ...]
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class _State:
    """A published state: the parent run, its candidates' runs, and the candidate that was asked for, if one was."""

    parent: "Run"
    children: "dict[str, Run]"
    asked: str | None
    files: Path

    @property
    def evidence(self) -> Evidence:
        return read_evidence(self.files / "evaluation" / "evidence.json")

    @property
    def declaration(self) -> list[str]:
        return next(self.files.glob("data/*.yaml")).read_text(encoding="utf-8").splitlines()

    @property
    def data(self) -> dict[str, str]:
        flow = read_json(self.files / "data" / "flow.json")
        inputs = self.parent.inputs.dataset_inputs if self.parent.inputs else []
        digest = {"digest of the table": str(inputs[0].dataset.digest) if inputs else ""}
        excluded = {f"left out: {item['reason']}": str(item["rows"]) for item in flow["excluded"]}
        return digest | {key: str(flow[key]) for key in _FLOW} | excluded

    @property
    def code(self) -> dict[str, str]:
        tags = self.parent.data.tags
        return {name: tags.get(f"relapse.{tag}", "") for name, tag in _CODE.items()}

    @property
    def challenger(self) -> str:
        return str(read_json(self.files / "decision" / "decision.json")["challenger"])


def compare_runs(client: "MlflowClient", before: str, after: str) -> RunComparison:
    """Compare two runs.

    Parameters
    ----------
    before, after
        A run's ID (or the first characters of one), of a whole run or of one candidate; or a registered model as
        ``relapse-gbsg/3`` or ``relapse-gbsg@champion``.

    Raises
    ------
    RegistryError
        No such run or model, not one of this project's, or of different cohorts.
    """
    with tempfile.TemporaryDirectory() as scratch:
        first = _state(client, before, Path(scratch) / "before")
        second = _state(client, after, Path(scratch) / "after")
        one, two = first.evidence, second.evidence
        if one.cohort != two.cohort or one.endpoint != two.endpoint:
            raise RegistryError(
                f"{before} is of cohort {one.cohort} and {after} of {two.cohort}, or their endpoints differ. "
                "Compare runs of one cohort with one endpoint."
            )
        pairs = _pairs(first, second)
        return RunComparison(
            _named(first.parent),
            _named(second.parent),
            one.primary_label,
            tuple(_changes(first, second)),
            tuple(_effect(client, first, second, pair) for pair in pairs),
        )


def _state(client: "MlflowClient", name: str, files: Path) -> _State:
    from mlflow.exceptions import MlflowException

    run = _run(client, name)
    parent_id = run.data.tags.get(_PARENT, run.info.run_id)
    parent = client.get_run(parent_id)
    experiment = parent.info.experiment_id
    found = client.search_runs([experiment], f"tags.`{_PARENT}` = '{parent_id}'")
    children = {child.data.tags[CANDIDATE]: child for child in found if child.info.status == "FINISHED"}
    files.mkdir()
    try:
        for folder in ("data", "evaluation", "decision"):
            client.download_artifacts(parent_id, folder, str(files))
    except (MlflowException, OSError) as error:
        raise RegistryError(
            f"{name}: run {parent_id} does not hold what this project publishes ({type(error).__name__}). Name a run "
            "of the register stage, one of its candidates, or a registered version."
        ) from None
    return _State(parent, children, run.data.tags.get(CANDIDATE), files)


def _run(client: "MlflowClient", name: str) -> "Run":
    from mlflow.exceptions import MlflowException

    try:
        if "@" in name:
            model, alias = name.split("@", 1)
            return client.get_run(str(client.get_model_version_by_alias(model, alias).run_id))
        if "/" in name:
            model, version = name.rsplit("/", 1)
            return client.get_run(str(client.get_model_version(model, version).run_id))
        if not re.fullmatch(r"[0-9a-f]{6,32}", name):
            raise RegistryError(
                f"{name!r} is no run: give a run's ID (at least its first 6 characters), relapse-<cohort>/<version> or "
                "relapse-<cohort>@champion."
            )
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        found = [run for run in client.search_runs(experiments, max_results=5000) if run.info.run_id.startswith(name)]
    except MlflowException as error:
        raise RegistryError(f"{name}: not found in MLflow ({error.error_code}).") from None
    if len(found) != 1:
        raise RegistryError(f"{name}: {len(found)} runs begin like this; exactly one is needed.")
    return found[0]


def _named(run: "Run") -> str:
    return f"{run.info.run_name} (run {run.info.run_id[:8]})"


def _pairs(first: _State, second: _State) -> list[tuple[str, str]]:
    """Which candidates are held against each other: those asked for, else each with itself, the challengers first."""
    if first.asked or second.asked:
        return [(first.asked or first.challenger, second.asked or second.challenger)]
    same = [(item.name, item.name) for item in first.evidence.candidates if item.name in second.children]
    put_forward = (first.challenger, second.challenger)
    return [put_forward, *(pair for pair in same if pair != put_forward)]


def _changes(first: _State, second: _State) -> list[Change]:
    gone, new = _lines(first.declaration, second.declaration)
    return [
        *_differing("data", first.data, second.data),
        *([Change("declaration", "lines", "\n".join(gone), "\n".join(new))] if gone or new else []),
        *_differing("parameters", first.parent.data.params, second.parent.data.params),
        *_differing("code", first.code, second.code),
    ]


def _differing(kind: str, before: dict[str, str], after: dict[str, str]) -> list[Change]:
    keys = dict.fromkeys([*before, *after])
    changed = [key for key in keys if before.get(key) != after.get(key)]
    return [Change(kind, key, before.get(key, "not there"), after.get(key, "not there")) for key in changed]


def _lines(before: list[str], after: list[str]) -> tuple[list[str], list[str]]:
    marked = list(difflib.ndiff(before, after))
    gone, new = ([line[2:] for line in marked if line.startswith(mark)] for mark in ("- ", "+ "))
    return gone, new


def _effect(client: "MlflowClient", first: _State, second: _State, pair: tuple[str, str]) -> Effect:
    one, two = (
        state.evidence.candidate(name).metrics[state.evidence.primary]
        for state, name in zip((first, second), pair, strict=True)
    )
    earlier, later = (
        pooled(_predictions(client, state.children[name])) for state, name in zip((first, second), pair, strict=True)
    )
    try:
        mine, theirs = on_common_rows(later, earlier)
    except PredictionsError as error:
        return Effect(*pair, one, two, None, f"no paired test: {error}")
    test = compare(mine, theirs, second.evidence.endpoint)
    return Effect(*pair, one, two, test, f"{test.method}, on {len(mine)} rows in both")


def on_common_rows(first: pd.DataFrame, second: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both pooled tables on the rows they share, in one order.

    Both hold predictions for rows that the model in question had not seen, so the shared rows are a fair ground even
    where one of them was trained on more patients.

    Raises
    ------
    PredictionsError
        The outcomes of shared rows differ, or fewer than :data:`MIN_EACH` of them have or lack the event.
    """
    keys = ["row", "patient"]
    shared = first[keys].merge(second[keys], on=keys).sort_values("row")
    one, two = (shared.merge(table, on=keys, how="left", validate="one_to_one") for table in (first, second))
    outcome = ["event", *(["time"] if "time" in first else [])]
    if not one[outcome].equals(two[outcome]):
        raise PredictionsError("the outcomes of the shared patients have changed.")
    found = counts(one)
    if found.fewer < MIN_EACH:
        raise PredictionsError(
            f"only {found.with_event} patients with and {found.without_event} without the event are shared; "
            f"{MIN_EACH} of each are needed."
        )
    return one, two


def _predictions(client: "MlflowClient", run: "Run") -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as scratch:
        return pd.read_parquet(client.download_artifacts(run.info.run_id, PREDICTIONS, scratch))
