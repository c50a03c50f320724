"""Out-of-fold explanations as ``shap.Explanation``: what figures are made from, and what is read again later.

``results/explain/<cohort>/<candidate>/shap.parquet`` holds, a line a row of the table (of a large one, of the patients
who were drawn), ``row``, ``patient``, ``fold``, ``base``, ``output`` and a column of Shapley values a part;
``explanation.json`` beside it says what they are of. The patients' features stand in the canonical table alone.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import read_table
from relapse.ground.errors import SourceError
from relapse.ground.files import read_json
from relapse.ground.workspace import Workspace

if TYPE_CHECKING:
    import shap

Array = NDArray[np.float64]

#: What stands in place of a value that is not there, and of a block that is explained as one.
MISSING, WHOLE = "missing", "as a whole"


def read_explanation(at: Workspace, candidate: str) -> "shap.Explanation":
    """What stage *explain* found about a candidate: each row explained by the model that has not seen it.

    Parameters
    ----------
    at
        Of a cohort that stages *ingest* to *explain* ran for.

    Returns
    -------
    shap.Explanation
        Of the n rows that were explained, sorted by ``row``, and p parts: see :func:`as_explanation`.

    Raises
    ------
    SourceError
        The candidate was not explained, or the table has changed since.
    """
    path = at.shapley_values(candidate)
    if not path.is_file():
        raise SourceError(
            f"{path} is not there: {candidate} of cohort {at.cohort} was not explained. Run `make run`, or `dvc repro "
            f"explain@{at.cohort}`, with {candidate} among the candidates of params.yaml."
        )
    found, cohort = pd.read_parquet(path), read_cohort(at.resolved)
    table = read_table(at.table, cohort).set_index("row", drop=False)
    about = read_json(at.explanation(candidate))
    sizes = {"rows": len(found), "of_rows": len(table)}
    same = sizes.items() <= about.items() and set(found["row"]) <= set(table.index)
    if not (same and set(cohort.explained) <= set(found.columns)):
        raise SourceError(
            f"{path} was made of another table or declaration than {at.table} and {at.resolved}. Run `dvc repro "
            f"explain@{at.cohort}`."
        )
    return as_explanation(
        found[cohort.explained].to_numpy(),
        found["base"].to_numpy(),
        table.loc[found["row"]],
        cohort,
        scale=about["scale"],
    )


def as_explanation(values: Array, base: Array, rows: pd.DataFrame, cohort: Cohort, *, scale: str) -> "shap.Explanation":
    """Shapley values together with what they are of.

    Parameters
    ----------
    values, base
        Shapley values (n, p), a column a part of the cohort's explanations, and what each row's start from (n,).
    rows
        The n rows, typed; their column ``row``, where there is one, names the instances.
    scale
        What the values are of.

    Returns
    -------
    shap.Explanation
        ``values`` (n, p), a column a part in declared order, positive raises the risk; ``base_values`` (n,), which with
        a row's values add up to its output; ``display_data`` (n, p), the rows as a person reads them: numbers in their
        declared unit, levels by name, "missing", and "as a whole" of a block that is explained as one; ``data`` (n, p),
        the same as plots colour it: levels with an order by their place, NaN where a number is missing;
        ``feature_names`` the parts; ``instance_names`` the rows' numbers; ``output_names`` what the values are of.
    """
    import shap

    data, shown = (np.empty((len(rows), len(cohort.explained)), dtype=object) for _ in range(2))
    for place, name in enumerate(cohort.explained):
        data[:, place], shown[:, place] = _column(rows, cohort, name)
    return shap.Explanation(
        values,
        base_values=base,
        data=data,
        display_data=shown,
        instance_names=rows["row"].astype(str).tolist() if "row" in rows else None,
        feature_names=cohort.explained,
        output_names=scale,
    )


def _column(rows: pd.DataFrame, cohort: Cohort, name: str) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """A part's values (n,) as plots colour them, and as a person reads them."""
    if name in cohort.blocks:
        whole = np.full(len(rows), WHOLE, dtype=object)
        return whole, whole
    feature, values = cohort.features[name], rows[name]
    missing = values.isna().to_numpy()
    shown = values.astype(object).to_numpy(dtype=object, copy=True)
    shown[missing] = MISSING
    if not isinstance(feature, Categorical):
        return values.to_numpy(dtype=np.float64).astype(object), shown
    if feature.type == "nominal" and len(feature.names) > 2:
        return shown, shown
    return values.cat.codes.where(~missing).to_numpy(dtype=np.float64).astype(object), shown
