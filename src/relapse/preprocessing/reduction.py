"""Fewer columns from the numbers of a wide block, learnt from training rows alone.

``filter``
    columns that are mostly missing, or nearly constant, become zeros; the other methods start from what it leaves
``clusters``
    columns whose ranks correlate, in one direction or the other, are averaged
``screen``
    the columns that are most associated with the outcome, one by one
``pca``
    principal components, each of variance 1

The last three deliver exactly as many columns as asked for, zeros where there is not so much to deliver: networks of
different folds, trained as one program, need one width.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer

from relapse.cohorts.declared.blocks import Method
from relapse.preprocessing.iterative import by_columns
from relapse.preprocessing.screening import association
from relapse.preprocessing.transformers import FILL, FILTER, block_of, widths

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: Above this share of missing values a column is left out by the filter.
MISSING = 0.25

#: And above this share of rows that have one and the same value.
SAME = 0.95

#: A component with a smaller share of the first one's spread is rounding, and no direction of the data.
NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Reduction:
    """What is done to a block; ``size`` is the number of columns that clusters, screen and pca deliver."""

    method: Method
    size: int | None = None


class UsableColumns(TransformerMixin, BaseEstimator):
    """Zeros in place of columns that are mostly missing or nearly constant in the rows learnt from."""

    def fit(self, X: "pd.DataFrame", y: object = None) -> Self:
        """Learn which columns of ``X`` (n, p), missing values included, are usable."""
        values = np.asarray(X, dtype=np.float64)
        missing = np.isnan(values).mean(axis=0)
        self.usable_ = (missing <= MISSING) & (np.array([_commonest(column) for column in values.T]) <= SAME)
        return self

    def transform(self, X: "pd.DataFrame") -> Array:
        """``X`` (n, p) with zeros in the columns that are not usable."""
        return np.where(self.usable_, np.asarray(X, dtype=np.float64), 0.0)


def _commonest(column: Array) -> float:
    """Share of the known values that are the commonest one, 1 where none is known."""
    known = column[~np.isnan(column)]
    return float(np.unique(known, return_counts=True)[1].max() / len(known)) if len(known) else 1.0


class Reducer(TransformerMixin, BaseEstimator):
    """``size`` columns that are weighted sums of columns on one scale; what is learnt are the weights.

    Parameters
    ----------
    method
        ``clusters``, ``screen`` or ``pca``.
    size
        Columns delivered: zeros where fewer can be made.
    """

    def __init__(self, method: str, size: int) -> None:
        self.method = method
        self.size = size

    def fit(self, X: Array, y: NDArray[Any] | None = None) -> Self:
        """Learn ``weights_`` (p, size) from a matrix ``X`` (n, p) and, for ``screen``, the outcomes ``y`` (n,)."""
        varying = np.flatnonzero(np.ptp(X, axis=0) > 0)
        self.weights_ = np.zeros((X.shape[1], self.size))
        if len(varying):
            learnt = _METHODS[self.method](X[:, varying], y, min(self.size, len(varying)))
            self.weights_[varying, : learnt.shape[1]] = learnt
        return self

    def transform(self, X: Array) -> Array:
        """The matrix (n, size)."""
        return np.asarray(X @ self.weights_)


def _clusters(X: Array, y: NDArray[Any] | None, size: int) -> Array:
    """Means of ``size`` clusters by average linkage of 1 - |Spearman's rho|.

    Columns that fall as the cluster's middle one rises (the one most correlated with all of it) are turned round.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform
    from scipy.stats import rankdata

    if X.shape[1] == 1:
        return np.ones((1, 1))
    related = np.clip(np.corrcoef(rankdata(X, axis=0), rowvar=False), -1.0, 1.0)
    distance = 1.0 - np.abs(related)
    np.fill_diagonal(distance, 0.0)
    labels = fcluster(linkage(squareform(distance, checks=False), method="average"), size, criterion="maxclust")
    clusters = sorted((np.flatnonzero(labels == label) for label in np.unique(labels)), key=lambda members: members[0])
    weights = np.zeros((X.shape[1], size))
    for place, members in enumerate(clusters):
        inside = related[np.ix_(members, members)]
        middle = np.abs(inside).sum(axis=0).argmax()
        weights[members, place] = np.where(inside[middle] < 0, -1.0, 1.0) / len(members)
    return weights


def _screen(X: Array, y: NDArray[Any] | None, size: int) -> Array:
    """The ``size`` columns with the strongest association, in their own order."""
    if y is None:
        raise TypeError("screening needs the outcomes.")
    kept = np.sort(np.argsort(-association(X, y), kind="stable")[:size])
    return np.eye(X.shape[1])[:, kept]


def _pca(X: Array, y: NDArray[Any] | None, size: int) -> Array:
    """Directions of the ``size`` largest variances, each divided by its spread."""
    from sklearn.decomposition import PCA

    found = PCA(n_components=min(size, len(X) - 1, X.shape[1]), svd_solver="full").fit(X)
    spread = np.sqrt(found.explained_variance_)
    real = spread > NOTHING * spread[0]
    return np.asarray((found.components_[real] / spread[real, None]).T)


_METHODS: dict[str, Callable[[Array, NDArray[Any] | None, int], Array]] = {
    "clusters": _clusters,
    "screen": _screen,
    "pca": _pca,
}


def reducer(encoder: Any, reductions: Mapping[str, Reduction]) -> ColumnTransformer | None:
    """The step behind an unfitted encoder that reduces blocks as said; None where no columns become fewer.

    The encoder itself is changed as well: what is reduced in any way is filtered before it is imputed.
    """
    steps: list[tuple[str, Any, slice]] = []
    fewer, start = False, 0
    columns = by_columns(encoder)
    for (step, pipeline, _), width in zip(columns.transformers, widths(columns), strict=True):
        made = reductions.get(block_of(step) or "", Reduction("none"))
        if made.method != "none":
            filled = pipeline.named_steps[FILL]
            getattr(filled, "filled", filled).set_params(**{FILTER: UsableColumns()})
        into = "passthrough" if made.size is None else Reducer(made.method, made.size)
        fewer = fewer or made.size is not None
        steps.append((step, into, slice(start, start + width)))
        start += width
    return ColumnTransformer(steps, sparse_threshold=0.0, verbose_feature_names_out=False) if fewer else None
