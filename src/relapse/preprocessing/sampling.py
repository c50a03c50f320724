"""Synthetic minority rows, made inside the training part of a fold and nowhere else."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from relapse.cohorts.schema import Cohort
from relapse.preprocessing.transformers import coded, ordered_columns


class Oversampler(BaseEstimator):
    """SMOTE for an encoded matrix: SMOTENC, or its pure forms where all columns are numbers or all are codes.

    Parameters
    ----------
    n_numeric, n_codes
        The matrix's first ``n_numeric`` columns are numbers, the ``n_codes`` after them are codes of levels; any after
        those are numbers again.
    neighbours
        Neighbours to interpolate between; fewer where the minority has fewer rows. A minority of one row stays one.
    random_state
        Seed.
    """

    def __init__(self, n_numeric: int, n_codes: int, neighbours: int = 5, random_state: int = 0) -> None:
        self.n_numeric = n_numeric
        self.n_codes = n_codes
        self.neighbours = neighbours
        self.random_state = random_state

    def fit(self, X: NDArray[np.float64], y: NDArray[np.int_]) -> Self:
        """Nothing is learnt; here for imbalanced-learn's pipeline."""
        return self

    def fit_resample(self, X: NDArray[np.float64], y: NDArray[np.int_]) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
        """Return ``X`` (n, p) and ``y`` (n,) with synthetic rows of the minority added until both classes are equal."""
        from imblearn.over_sampling import SMOTE, SMOTEN, SMOTENC

        neighbours = min(self.neighbours, int(np.bincount(y, minlength=2).min()) - 1)
        if neighbours < 1:
            return X, y
        common = {"k_neighbors": neighbours, "random_state": self.random_state}
        if not self.n_codes:
            sampler = SMOTE(**common)
        elif X.shape[1] == self.n_codes:
            sampler = SMOTEN(**common)
        else:
            codes = list(range(self.n_numeric, self.n_numeric + self.n_codes))
            sampler = SMOTENC(categorical_features=codes, **common)
        resampled, outcome = sampler.fit_resample(X, y)
        return np.asarray(resampled, dtype=np.float64), np.asarray(outcome)


def oversampler(cohort: Cohort, columns: list[str], *, seed: int) -> Oversampler | None:
    """The sampler that the cohort asks for, None where it asks for none."""
    if cohort.imbalance == "none":
        return None
    numbers, codes = coded(cohort, columns)
    return Oversampler(numbers if codes else len(ordered_columns(cohort, columns)), codes, random_state=seed)
