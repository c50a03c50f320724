"""The protocols that the leakage audit compares: the honest one, and naive ones that differ from it in one thing."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from relapse.candidates.base import Head
from relapse.cohorts.schema import Cohort

#: Fewer predictors than this leave nothing to select from.
ENOUGH_PREDICTORS = 10


@dataclass(frozen=True, slots=True)
class Protocol:
    """How rows are split, when synthetic rows are made, where tuning, selection and early stopping look.

    Parameters
    ----------
    unit
        What is kept on one side of a split: ``patients``, or only single ``rows``.
    synthetic
        Whether SMOTENC runs ``inside`` the training part of a fold, or ``before`` the split, on the whole table; the
        synthetic rows are then tested on as well.
    tuning
        Whether hyperparameters are chosen on ``inner`` folds or on the ``test`` folds that are reported.
    selection
        Whether features are selected, and on which rows: ``inside`` the training part, or ``before`` the split.
    stopping
        Whether early stopping looks ``inside`` the training part, or at the ``test`` fold that is reported.
    baseline
        Name of the honest protocol to compare with; the honest ones have none.
    """

    name: str
    title: str
    description: str
    unit: Literal["patients", "rows"] = "patients"
    synthetic: Literal["inside", "before"] = "inside"
    tuning: Literal["inner", "test"] = "inner"
    selection: Literal["none", "inside", "before"] = "none"
    stopping: Literal["inside", "test"] = "inside"
    baseline: str | None = "honest"

    def concerns(self, head: Head) -> bool:
        """Whether the protocol differs from the honest one for this kind of model."""
        return self.stopping == "inside" or head.fit_together is not None

    def obstacle(self, table: pd.DataFrame, cohort: Cohort, heads: Iterable[Head]) -> str | None:
        """Why the protocol says nothing about a cohort and the candidates audited, None where it does."""
        if not any(self.concerns(head) for head in heads):
            return "none of the candidates audited stops early"
        if self.unit == "rows" and table["patient"].nunique() == len(table):
            return "every patient has one row, so that rows and patients are the same"
        if self.synthetic == "before":
            if cohort.survival:
                return "synthetic rows are made for binary endpoints only"
            if cohort.imbalance == "none":
                return "the declaration asks for no synthetic rows (imbalance: none)"
        if self.selection != "none" and len(cohort.predictors) < ENOUGH_PREDICTORS:
            return f"{len(cohort.predictors)} predictors leave nothing to select from"
        return None


HONEST = Protocol(
    "honest",
    "Honest",
    "Patients stay together, synthetic rows are made inside the training part, tuning sees inner folds only.",
    baseline=None,
)
SELECTED = Protocol(
    "selected",
    "Honest, with selected features",
    "As the honest protocol, with features selected inside the training part of each fold.",
    selection="inside",
    baseline=None,
)
NAIVE = (
    Protocol(
        "rows",
        "Rows split, not patients",
        "Rows of one patient stand on both sides of a split: a model can recognise the patient.",
        unit="rows",
    ),
    Protocol(
        "smote",
        "SMOTE before the split",
        "Synthetic rows are interpolated between rows of all folds and then tested on.",
        synthetic="before",
    ),
    Protocol(
        "rows_smote",
        "SMOTE before a split by rows",
        "Both at once: synthetic rows from the whole table, then rows split.",
        unit="rows",
        synthetic="before",
    ),
    Protocol(
        "tuning",
        "Tuned on the test folds",
        "The hyperparameters reported are those that did best on the test fold itself.",
        tuning="test",
    ),
    Protocol(
        "selection",
        "Features selected before the split",
        "The features most associated with the outcome are chosen on all rows, test rows included.",
        selection="before",
        baseline="selected",
    ),
    Protocol(
        "stopping",
        "Stopped early on the test fold",
        "A network trains until it does best on the fold that is reported, which so becomes a part of its training.",
        stopping="test",
    ),
)
