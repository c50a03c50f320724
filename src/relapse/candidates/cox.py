"""Cox regression that keeps only its coefficients once fitted, so that serving needs no survival library."""

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

Array = NDArray[np.float64]

#: Ridge of an unpenalised regression whose columns determine each other: too small to be seen where the data decide.
_NEGLIGIBLE = 1e-3


class CoxRegression(BaseEstimator):
    """Proportional hazards, unpenalised or with an elastic-net penalty; fitted by scikit-survival.

    Parameters
    ----------
    penalty
        Strength of the penalty, 0 for none (then ties are handled by Efron's method, and columns that determine each
        other are held by a negligible ridge).
    l1_ratio
        Share of the lasso in the penalty, in (0, 1].
    """

    def __init__(self, penalty: float = 0.0, l1_ratio: float = 0.5) -> None:
        self.penalty = penalty
        self.l1_ratio = l1_ratio

    def fit(self, X: Array, y: NDArray[Any]) -> Self:
        """Fit on a matrix ``X`` (n, p) and a structured array ``y`` (n,)."""
        from sksurv.linear_model import CoxnetSurvivalAnalysis, CoxPHSurvivalAnalysis

        if self.penalty:
            regression = CoxnetSurvivalAnalysis(alphas=[self.penalty], l1_ratio=self.l1_ratio, max_iter=100_000)
            with warnings.catch_warnings():
                # A penalty that leaves nothing is a finding of the search (C = ½), not a fault.
                warnings.filterwarnings("ignore", message="all coefficients are zero")
                self.coef_ = np.asarray(regression.fit(X, y).coef_[:, 0])
        else:
            try:
                regression = CoxPHSurvivalAnalysis(ties="efron", n_iter=200).fit(X, y)
            except np.linalg.LinAlgError:
                # Columns that determine each other (receptors, and a subtype made of them), or that are constant here,
                # have no coefficients of their own; what they say together has.
                regression = CoxPHSurvivalAnalysis(alpha=_NEGLIGIBLE, ties="efron", n_iter=200).fit(X, y)
            self.coef_ = np.asarray(regression.coef_)
        return self

    def predict(self, X: Array) -> Array:
        """Log-hazard (n,) relative to a patient with the mean of every feature."""
        return np.asarray(X @ self.coef_)
