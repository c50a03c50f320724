"""A trained model on a cohort that it was not trained on: predictions, recalibrations, and what update it asks for."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from relapse.candidates.base import EPSILON, SurvivalModel
from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.declared.endpoint import horizon
from relapse.cohorts.schema import Cohort
from relapse.cohorts.translation import as_features_of
from relapse.evaluation.evidence import endpoint_of
from relapse.evaluation.recalibration import recalibrated
from relapse.evaluation.statistics.calibration.updating import (
    AS_IT_IS,
    IN_THE_LARGE,
    WITH_SLOPE,
    Update,
    update_asked_for,
)
from relapse.ground.errors import DeclarationError
from relapse.predictions import SUBGROUP
from relapse.training.splits import fold_numbers

#: Folds of the cross-fitting, by which no patient is recalibrated by what was learnt from it.
FOLDS = 10

#: Names of the tables of predictions: as the model gives them, and recalibrated in two ways.
PLAIN, LARGE, SLOPE = AS_IT_IS, IN_THE_LARGE, WITH_SLOPE

#: Rows whose own follow-up is predicted at once: a risk for each of them at the time of each.
_ROWS = 200


def external_predictions(
    model: RiskModel, trained_on: Cohort, table: pd.DataFrame, cohort: Cohort, *, seed: int
) -> dict[str, pd.DataFrame]:
    """Predictions of a model for a typed table of another cohort, at that cohort's horizons.

    A model that looks at pictures finds in the table what was seen of them.

    Raises
    ------
    DeclarationError
        The features cannot be made to fit, or one cohort has a time to the event and the other none.
    """
    if (cohort.survival is None) != (trained_on.survival is None):
        raise DeclarationError(
            f"{cohort.name}.yaml: endpoint: {trained_on.name} has a {trained_on.endpoint.kind} endpoint; a model can "
            "only be validated on a cohort of the same kind."
        )
    features = as_features_of(table, cohort, trained_on)
    if IMAGE in table:
        features[IMAGE] = table[IMAGE].to_numpy()
    known = table[["row", "patient", "site"]].assign(repeat=0, fold=0, event=table["event"].astype("int8"))
    times = None
    if cohort.survival and trained_on.survival:
        known["time"] = table["time"]
        times = [horizon(item.label, trained_on.survival.unit).time for item in cohort.survival.horizons]
    known["score"] = model.predict_score(features)
    known[cohort.endpoint.risk_columns] = model.predict_risk(features, times)
    if model.threshold is not None:
        known["threshold"] = model.threshold
    for name in cohort.subgroups:
        known[SUBGROUP + name] = table[name].astype("str")
    known = known.sort_values("row", ignore_index=True)
    folds = fold_numbers(known, folds=FOLDS, seed=seed, setting="")
    endpoint = endpoint_of(cohort)
    return {
        PLAIN: known,
        LARGE: recalibrated(known, endpoint, folds, "in the large"),
        SLOPE: recalibrated(known, endpoint, folds, "slope"),
    }


def update_for(
    model: RiskModel, trained_on: Cohort, table: pd.DataFrame, cohort: Cohort, *, events_per_parameter: float
) -> Update | None:
    """Which update of the model the patients of another cohort ask for, by a closed test.

    Of a patient with several rows the first counts. Follow-up ends at the last horizon of the model, beyond which it
    says nothing. Weights of columns are compared where the cohort has enough events for them. None where nobody, or
    everybody, has the event.

    Parameters
    ----------
    table
        Typed table of ``cohort``, as for :func:`external_predictions`.
    events_per_parameter
        How many events the cohort needs for each column whose weight may move.
    """
    new = newcomers(model, trained_on, table, cohort)
    event = new.event
    if event.all() or not event.any():
        return None
    inner = model.model
    steps = inner.transform_ if isinstance(inner, SurvivalModel) else inner.pipeline_[:-1]
    columns = np.asarray(steps.transform(new.features), dtype=np.float64)
    enough = event.sum() >= events_per_parameter * (columns.shape[1] + 2)
    # Trees take missing values as they are; a weight needs a number, and the mean moves nothing.
    filled = np.where(np.isnan(columns), np.nanmean(columns, axis=0), columns) if enough else None
    return update_asked_for(event, new.score, filled, exposure=new.exposure)


@dataclass(frozen=True, slots=True)
class Newcomers:
    """One row a patient of another cohort, as an update of a model looks at her.

    ``features`` (n rows) as the model takes them; ``event`` (n,) up to the model's last horizon; ``score`` (n,) the
    log-odds of the risk, or the log cumulative hazard at the horizon; ``exposure`` (n,) the cumulative hazard over her
    own follow-up, None without a time. ``time`` (n,) is that follow-up, whole and in the model's unit.
    """

    patient: NDArray[np.object_]
    features: pd.DataFrame
    event: NDArray[np.bool_]
    score: NDArray[np.float64]
    exposure: NDArray[np.float64] | None
    time: NDArray[np.float64] | None


def newcomers(model: RiskModel, trained_on: Cohort, table: pd.DataFrame, cohort: Cohort) -> Newcomers:
    """The patients of a typed table of ``cohort``, as an update of ``model`` looks at them; the first row of each."""
    first = table.drop_duplicates("patient").reset_index(drop=True)
    features = as_features_of(first, cohort, trained_on)
    if IMAGE in first:
        features[IMAGE] = first[IMAGE].to_numpy()
    event, exposure, whole = first["event"].to_numpy() == 1, None, None
    if cohort.survival and trained_on.survival:
        last = trained_on.survival.horizons[-1]
        whole = first["time"].to_numpy(dtype=np.float64) * last.time / horizon(last.label, cohort.survival.unit).time
        event, time = event & (whole <= last.time), np.minimum(whole, last.time)
        parts = [slice(start, start + _ROWS) for start in range(0, len(first), _ROWS)]
        risks = [np.diagonal(model.predict_risk(features.iloc[part], time[part])) for part in parts]
        # Before the first event of the training the model expects none; that none came then tells nothing.
        exposure = np.maximum(-np.log1p(-np.minimum(np.concatenate(risks), 1 - EPSILON)), EPSILON)
        score = model.predict_score(features)
    else:
        score = logit(np.clip(model.predict_risk(features)[:, 0], EPSILON, 1 - EPSILON))
    return Newcomers(first["patient"].astype(str).to_numpy(), features, event, score, exposure, whole)
