"""What boosted trees share, whichever library grows them: the face of both losses, and a state that is only data."""

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

Array = NDArray[np.float64]


class Trees(BaseEstimator, ABC):
    """Trees of a library, kept once fitted in the library's own form and loaded, as ``_loaded``, when first needed."""

    @abstractmethod
    def _train(self, X: Array, label: Array, weight: Array | None = None) -> Self:
        """Fit on a matrix ``X`` (n, p), labels (n,) as the library's loss takes them, and weights (n,) of the rows."""

    @abstractmethod
    def _margin(self, X: Array) -> Array:
        """The sum of the trees (n,), before any link."""

    @abstractmethod
    def contributions(self, X: Array) -> Array:
        """Shapley values of the margin (n, p + 1), the last column the base; exact (Lundberg et al. 2020, TreeSHAP)."""

    @abstractmethod
    def library_model(self) -> Any:
        """The fitted trees as the library's own object, for packages that know the library."""

    @abstractmethod
    def library_rows(self, X: Array) -> Any:
        """Rows as :meth:`library_model` takes them, in the order of :meth:`library_columns`."""

    def library_columns(self, width: int) -> list[int]:
        """The column of a matrix (n, ``width``) that each column of the library's rows is."""
        return list(range(width))

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_loaded", None)
        return state


class LogisticTrees(ClassifierMixin, Trees):
    """Logistic loss."""

    def fit(self, X: Array, y: NDArray[np.int_], sample_weight: Array | None = None) -> Self:
        """Fit on a matrix ``X`` (n, p) and ``y`` (n,) of 0 and 1."""
        self.classes_ = np.array([0, 1])
        return self._train(X, np.asarray(y, dtype=np.float64), sample_weight)

    def predict_proba(self, X: Array) -> Array:
        """Probabilities (n, 2) of both classes."""
        risk = 1.0 / (1.0 + np.exp(-self._margin(X)))
        return np.column_stack([1.0 - risk, risk])

    def predict(self, X: Array) -> NDArray[np.int_]:
        """0 or 1 at probability ½."""
        return (self._margin(X) >= 0).astype(np.int64)


class CoxTrees(Trees):
    """Cox partial likelihood; the prediction is the log-hazard."""

    def fit(self, X: Array, y: NDArray[Any]) -> Self:
        """Fit on a matrix ``X`` (n, p) and a structured array ``y`` (n,)."""
        # The convention of both libraries: a negative time is a censored one.
        return self._train(X, np.where(y["event"], y["time"], -y["time"]))

    def predict(self, X: Array) -> Array:
        """Log-hazard (n,)."""
        return self._margin(X)
