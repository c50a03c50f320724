"""Cox regression that keeps only its coefficients once fitted, so that serving needs no survival library."""

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

Array = NDArray[np.float64]

#: Ridge of an unpenalised regression whose columns determine each other: too small to be seen where the data decide.
_NEGLIGIBLE = 1e-3

#: Steps of coordinate descent; penalties on the way to one that it does not reach at once.
_ITERATIONS, _STEPS = 100_000, 40


class CoxRegression(BaseEstimator):
    """Proportional hazards, unpenalised or with an elastic-net penalty; fitted by scikit-survival.

    Not by lifelines, which reports on it (:mod:`relapse.explanation.ratios`): its unpenalised coefficients are the same
    to a millionth, but its elastic net smooths the corner of the lasso, so that no coefficient becomes nothing, and
    takes hundreds of times as long (``benchmarks/training.py``). Forests and ranking machines need scikit-survival too.

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
        from sksurv.linear_model import CoxPHSurvivalAnalysis

        if self.penalty:
            try:
                self.coef_ = self._penalised(X, y, [self.penalty])
            except (ArithmeticError, ConvergenceWarning):
                # With many columns and little penalty the first steps overshoot, and no later one comes back.
                try:
                    self.coef_ = self._penalised(X, y, self._path(X, y))
                except ConvergenceWarning:
                    raise ArithmeticError("the elastic net does not come to an end with so little penalty") from None
        else:
            try:
                regression = CoxPHSurvivalAnalysis(ties="efron", n_iter=200).fit(X, y)
            except np.linalg.LinAlgError:
                # Columns that determine each other (receptors, and a subtype made of them), or that are constant here,
                # have no coefficients of their own; what they say together has.
                regression = CoxPHSurvivalAnalysis(alpha=_NEGLIGIBLE, ties="efron", n_iter=200).fit(X, y)
            self.coef_ = np.asarray(regression.coef_)
        return self

    def _penalised(self, X: Array, y: NDArray[Any], penalties: Sequence[float]) -> Array:
        """The coefficients at the last of falling penalties, each started from those of the one before."""
        from sksurv.linear_model import CoxnetSurvivalAnalysis

        regression = CoxnetSurvivalAnalysis(alphas=penalties, l1_ratio=self.l1_ratio, max_iter=_ITERATIONS)
        with warnings.catch_warnings():
            # A penalty that leaves nothing is a finding of the search (C = ½), not a fault.
            warnings.filterwarnings("ignore", message="all coefficients are zero")
            warnings.filterwarnings("error", category=ConvergenceWarning)
            return np.asarray(regression.fit(X, y).coef_[:, -1])

    def _path(self, X: Array, y: NDArray[Any]) -> list[float]:
        """Penalties from the least that leaves nothing down to the one asked for."""
        from sksurv.linear_model import CoxnetSurvivalAnalysis

        most = CoxnetSurvivalAnalysis(n_alphas=2, alpha_min_ratio=0.9, l1_ratio=self.l1_ratio, max_iter=_ITERATIONS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            largest = float(most.fit(X, y).alphas_[0])
        return [float(one) for one in np.geomspace(max(largest, self.penalty) * 0.99, self.penalty, _STEPS)]

    def predict(self, X: Array) -> Array:
        """Log-hazard (n,) relative to a patient with the mean of every feature."""
        return np.asarray(X @ self.coef_)
