"""What differs between sites, taken out of numbers: ComBat, learnt from training rows and kept as arrays.

neuroCombat, by ComBat's own maintainers, does the learning; a fitted model holds four arrays and needs no such package
to predict. Nothing else is given to it: to keep what goes with the outcome, as some protocols do, would let the outcome
of training rows into their features, and a new patient has none.
"""

import io
import warnings
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer

from relapse.ground.errors import TrainingError

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: The canonical column that names the site.
SITE = "site"

#: A site of fewer rows has no variance to speak of, and passes as it is.
ROWS = 5

#: Fewer columns than this are no population that the effects of a site could be drawn from.
COLUMNS = 3


class Harmoniser(TransformerMixin, BaseEstimator):
    """ComBat (Johnson, Li and Rabinovic 2007, Biostatistics 8:118-127), parametric, without covariates.

    With m and s the mean and the pooled spread of a column, g and d the shift and the variance of a site, shrunk
    towards those of the site's other columns, a value x becomes m + s · ((x - m) / s - g) / √d. A row whose site was
    not seen, or has fewer than :data:`ROWS` training rows, or is not known, keeps its values (g = 0, d = 1): the steps
    after this one put it on the pooled scale with everybody else. Where fewer than two sites are left, all rows do.

    Parameters
    ----------
    filled
        Unfitted transformer that leaves no value missing in the columns after the first, which names the site.
    """

    def __init__(self, filled: Any) -> None:
        self.filled = filled

    def fit(self, X: "pd.DataFrame", y: object = None) -> Self:
        """Learn from rows ``X`` (n, 1 + p)."""
        self.filled_ = clone(self.filled)
        values = np.asarray(self.filled_.fit_transform(X.iloc[:, 1:]), dtype=np.float64)
        site = _names(X)
        names, often = np.unique(site, return_counts=True)
        self.sites_ = [str(name) for name in names[often >= ROWS]]
        seen = np.isin(site, self.sites_)
        width = values.shape[1]
        self.mean_, self.spread_ = np.zeros(width), np.ones(width)
        self.shift_, self.variance_ = np.zeros((len(self.sites_), width)), np.ones((len(self.sites_), width))
        varying = np.flatnonzero(np.ptp(values[seen], axis=0) > 0) if seen.any() else np.array([], dtype=int)
        if len(self.sites_) > 1 and len(varying):
            learnt = _combat(values[np.ix_(seen, varying)], site[seen])
            self.mean_[varying], self.spread_[varying] = learnt[:2]
            self.shift_[:, varying], self.variance_[:, varying] = learnt[2:]
        return self

    def transform(self, X: "pd.DataFrame") -> Array:
        """The columns (n, p) without what differs between the sites."""
        values = np.array(self.filled_.transform(X.iloc[:, 1:]), dtype=np.float64)
        site = _names(X)
        for place, name in enumerate(self.sites_):
            mine = site == name
            standard = (values[mine] - self.mean_) / self.spread_ - self.shift_[place]
            values[mine] = self.mean_ + self.spread_ * standard / np.sqrt(self.variance_[place])
        return values


class SiteEncoder(ColumnTransformer):
    """An encoder that reads the site; rows of a table without it are of a site not known."""

    def transform(self, X: "pd.DataFrame", **params: Any) -> Array:
        """The matrix of rows ``X``."""
        return np.asarray(super().transform(X if SITE in X else X.assign(**{SITE: ""}), **params))


def _names(X: "pd.DataFrame") -> NDArray[np.str_]:
    return X.iloc[:, 0].astype(object).to_numpy().astype(str)


def _combat(values: Array, site: NDArray[np.str_]) -> tuple[Array, Array, Array, Array]:
    """Mean and spread (p,), shift and variance (sites, p) of columns that vary, sites in sorted order."""
    import pandas as pd

    try:
        from neuroCombat import neuroCombat
    except ModuleNotFoundError:
        raise TrainingError(
            "harmonise: combat needs the package neuroCombat, which is not installed. Install relapse[harmonise], or "
            "declare harmonise: none."
        ) from None
    with warnings.catch_warnings(), np.errstate(all="ignore"), redirect_stdout(io.StringIO()):
        # It prints its steps, and divides by nothing where it has few columns; what it found is looked at below.
        warnings.simplefilter("ignore", RuntimeWarning)
        found = neuroCombat(
            values.T.copy(), pd.DataFrame({SITE: site}), SITE, eb=values.shape[1] >= COLUMNS, parametric=True
        )["estimates"]
    learnt = (
        found["stand.mean"][:, 0],
        np.sqrt(found["var.pooled"][:, 0]),
        np.asarray(found["gamma.star"], dtype=np.float64),
        np.asarray(found["delta.star"], dtype=np.float64),
    )
    if not all(np.isfinite(part).all() for part in learnt) or not (learnt[3] > 0).all():
        raise ValueError("ComBat found no finite effects of the sites")
    return learnt
