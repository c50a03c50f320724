"""Evidence on the marked cohort, made once."""

import dataclasses
from typing import Any

import pandas as pd
import pytest

from relapse.added_value.analysis import analyse
from relapse.added_value.evidence import AddedValue
from relapse.cohorts.schema import Cohort
from relapse.machinery import machinery
from relapse.params import Params, read_params
from relapse.training.splits import outer_folds

from .making import SMALL, marked_cohort, marked_table


def small_params(root: Any, *candidates: str) -> Params:
    """The project's settings with a small search."""
    params = read_params(root / "params.yaml")
    changes = {
        "train": params.train.model_copy(update=SMALL),
        "evaluate": params.evaluate.model_copy(update={"resamples": 100}),
        "added_value": params.added_value.model_copy(update={"candidates": candidates}),
    }
    return params.model_copy(update=changes)


def analysed(table: pd.DataFrame, cohort: Cohort, params: Params, **known: pd.DataFrame) -> AddedValue:
    """Ask every question, in this process alone."""
    folds = outer_folds(table, folds=3, repeats=1, seed=1)
    alone = dataclasses.replace(machinery(), workers=1, storage=None)
    return analyse(table, cohort, folds, params=params, machinery=alone, known=known)


@pytest.fixture(scope="session")
def planted(request: pytest.FixtureRequest) -> AddedValue:
    """What markers with a strong effect add, by the elastic net; survival, three wards."""
    cohort = marked_cohort()
    return analysed(marked_table(cohort, effect=0.7), cohort, small_params(request.config.rootpath, "linear"))
