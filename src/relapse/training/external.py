"""A trained model on a cohort that it was not trained on: predictions, as they are and recalibrated."""

import pandas as pd

from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.declared.endpoint import horizon
from relapse.cohorts.schema import Cohort
from relapse.cohorts.translation import as_features_of
from relapse.evaluation.evidence import endpoint_of
from relapse.evaluation.recalibration import recalibrated
from relapse.ground.errors import DeclarationError
from relapse.predictions import SUBGROUP
from relapse.training.splits import fold_numbers

#: Folds of the cross-fitting, by which no patient is recalibrated by what was learnt from it.
FOLDS = 10

#: Names of the tables of predictions: as the model gives them, and recalibrated in two ways.
PLAIN, LARGE, SLOPE = "as it is", "recalibrated in the large", "recalibrated, slope too"


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
