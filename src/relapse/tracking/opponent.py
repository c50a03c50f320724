"""The champion on this run's patients: scored only by models that have not seen them."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from relapse.bundle.load import Bundle, load_bundle
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import read_table
from relapse.evaluation.metrics import pooled
from relapse.ground.errors import BundleError
from relapse.ground.files import read_json
from relapse.ground.workspace import Workspace
from relapse.promotion.rival import Champion
from relapse.tracking.registry.models import (
    CONTENT,
    PREDICTIONS,
    champion_version,
    download,
    fetch_version,
    identity,
    parent_run,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient


def opponent(client: "MlflowClient", at: Workspace) -> Champion | None:
    """The champion, with its scores for those rows of the run at ``at`` that the model behind each had not seen.

    A patient that the champion was trained on gets its out-of-fold score; one that it has never seen gets that of the
    registered model. Who is who has to be known: by row number where both were read from the same source, else by the
    declared patient. Where neither is to be had, the comparison is refused.
    """
    found = champion_version(client, at.cohort)
    if found is None:
        return None
    version, content = identity(found), found.tags.get(CONTENT, "")
    cohort = read_cohort(at.resolved)
    with tempfile.TemporaryDirectory() as scratch:
        known = pooled(pd.read_parquet(download(client, found, PREDICTIONS, Path(scratch))))
        parent = parent_run(client, found)
        flow = read_json(download(client, found, "data/flow.json", Path(scratch), run_id=parent))
        fetch_version(found, Path(scratch) / "bundle")
        try:
            bundle = load_bundle(Path(scratch) / "bundle")
        except BundleError as error:
            return Champion(version, content, _none(), f"its bundle cannot be read: {error}")
    same_source = flow["fingerprint"] == read_json(at.flow)["fingerprint"]
    if not same_source and (cohort.patient is None or bundle.cohort.patient is None):
        return Champion(
            version,
            content,
            _none(),
            "the champion was trained on another table, and without a declared patient nobody can tell which rows it "
            "has seen. Declare 'patient' in the cohort's file.",
        )
    table = read_table(at.table, cohort)
    return Champion(version, content, _scores(table, known, bundle, cohort, same_source=same_source))


def _scores(
    table: pd.DataFrame, known: pd.DataFrame, bundle: Bundle, cohort: Cohort, *, same_source: bool
) -> pd.DataFrame:
    key = "row" if same_source else "patient"
    # In another table a row number means nothing: patients with several rows cannot be matched row by row.
    once, mine = known.drop_duplicates(key, keep=False), table.drop_duplicates(key, keep=False)
    out_of_fold = mine[["row", "patient"]].merge(once[[*{"patient", key}, "score"]], on=[*{"patient", key}])
    unseen = table[~table["patient"].isin(known["patient"])]
    if unseen.empty or not _takes(bundle.cohort, cohort):
        return out_of_fold[["row", "score"]]
    scored = unseen[["row"]].assign(score=bundle.model.predict_score(unseen))
    return pd.concat([out_of_fold[["row", "score"]], scored], ignore_index=True)


def _takes(before: Cohort, now: Cohort) -> bool:
    """Whether a model of the one declaration can be given tables of the other."""
    return all(
        name in now.features
        and (now.features[name].type, getattr(now.features[name], "levels", None))
        == (feature.type, getattr(feature, "levels", None))
        for name, feature in before.features.items()
        if name in before.predictors
    )


def _none() -> pd.DataFrame:
    return pd.DataFrame({"row": pd.Series(dtype="int64"), "score": pd.Series(dtype="float64")})
