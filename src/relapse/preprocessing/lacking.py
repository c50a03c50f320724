"""Columns that say where a value was missing."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

if TYPE_CHECKING:
    import pandas as pd


class Lacking(TransformerMixin, BaseEstimator):
    """1 where a value is missing, else 0: a column a feature, or with ``share`` one for all of them, their mean."""

    def __init__(self, share: bool = False) -> None:
        self.share = share

    def fit(self, X: "pd.DataFrame", y: object = None) -> Self:
        """Nothing is learnt: the columns are there whether or not a training row lacks a value."""
        return self

    def transform(self, X: "pd.DataFrame") -> NDArray[np.float64]:
        """The matrix (n, p) or (n, 1) of rows ``X`` (n, p)."""
        return self.of(X.isna().to_numpy(dtype=np.float64))

    def of(self, missing: NDArray[Any]) -> NDArray[np.float64]:
        """The same from a matrix (n, p) of 0 and 1."""
        found = np.asarray(missing, dtype=np.float64)
        return found.mean(axis=1, keepdims=True) if self.share else found

    def __sklearn_is_fitted__(self) -> bool:
        return True
