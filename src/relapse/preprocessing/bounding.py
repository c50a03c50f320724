"""Bounds on scaled numbers, so that one far value does not rule what is learnt or said."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

#: Standard deviations from the mean beyond which a number of a wide block counts as being there.
FAR = 5.0


class Bounded(TransformerMixin, BaseEstimator):
    """Scaled columns with what lies beyond ``limit`` standard deviations brought back to it.

    Radiomic features have heavy tails: nobody looks through hundreds of them for values of 30 standard deviations,
    and one such value makes a Cox regression diverge, or gives its patient a risk of 0 or 1.
    """

    def __init__(self, limit: float = FAR) -> None:
        self.limit = limit

    def fit(self, X: NDArray[Any], y: object = None) -> Self:
        """Nothing is learnt: the columns are scaled already."""
        return self

    def transform(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """The matrix (n, p) within its bounds."""
        return np.clip(np.asarray(X, dtype=np.float64), -self.limit, self.limit)

    def __sklearn_is_fitted__(self) -> bool:
        return True
