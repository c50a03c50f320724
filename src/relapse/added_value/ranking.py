"""Out-of-fold scores made comparable across folds: each as its place among the rows of its fold.

Scores of different folds come from different fits. Where a fold happens to hold many events the others hold few, and
the model that has not seen the fold gives all of it low scores: pooled, a model that knows nothing ranks below chance,
and a weak base would make any block look good (Airola et al. 2011, An experimental comparison of cross-validation
techniques for estimating the AUC, Comput Stat Data Anal 55:1828-1844). Places within the fold carry none of this. They
are taken among the rows that are compared: a model that gives all patients of a subgroup one value ranks none of them.
"""

import pandas as pd

from relapse.evaluation.metrics import Endpoint, Metric, pooled


def placed(predictions: pd.DataFrame, endpoint: Endpoint, *, within: tuple[str, ...] = ()) -> pd.DataFrame:
    """A pooled table in which score and risks are places in the fold, between 0 and 1, averaged over repeats.

    Ties share a place: a score that all rows of a fold share is ½, whatever their number. ``within`` names columns
    whose values are told apart as folds are.
    """
    columns = ["score", *(column for column in endpoint.risk_columns if endpoint.timed)]
    parts = predictions.groupby(["repeat", "fold", *within])[columns]
    places = (parts.rank() - 0.5) / parts.transform("count")
    return pooled(predictions.assign(**{column: places[column] for column in columns}))


def ranks(metric: Metric) -> bool:
    """Whether a metric looks at the order of patients alone."""
    return metric.key in ("harrell_c", "average_precision") or metric.key.startswith("auc")
