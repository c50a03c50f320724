"""Missing values imputed from the other predictors: chained regressions, learnt from training rows and kept as arrays.

scikit-learn's ``IterativeImputer`` does the learning, with Bayesian ridge regressions and no draws from what they say;
a fitted model holds their coefficients, so that one patient is imputed by a few products of arrays. The outcome has no
part in it: a new patient has none. Chained equations: van Buuren S, Groothuis-Oudshoorn K (2011), J Stat Softw 45(3).
"""

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: Most columns that one is imputed from. Of more, those are drawn, with a fixed seed, that correlate strongly with it.
NEIGHBOURS = 30

#: Most rounds of regressions; with more columns than :data:`NEIGHBOURS` each round is dear, and few change much.
ROUNDS, WIDE_ROUNDS = 10, 2

#: Weight of the ridge by which levels without an order are told apart, on columns of one scale.
RIDGE = 1.0


class Iterative(TransformerMixin, BaseEstimator):
    """A table in which nothing is missing of ``targets`` any more; all else stays as it is.

    All of ``names`` take part with what is known of them. Numbers are imputed on one scale and kept within what the
    training rows had. Levels with an order, and two without, are imputed as codes 0, 1, …, rounded to one of them. Of
    more levels without an order each gets a ridge regression on everything else, and the largest is taken; until then
    such a feature stands with its most frequent level where it is missing.

    Parameters
    ----------
    names
        The predictors of a candidate.
    levels
        The levels' names, in declared order, of those that have any.
    unordered
        Those whose levels have no order.
    targets
        Those that are imputed.
    """

    def __init__(
        self, names: list[str], levels: dict[str, list[str]], unordered: list[str], targets: list[str]
    ) -> None:
        self.names = names
        self.levels = levels
        self.unordered = unordered
        self.targets = targets

    def fit(self, X: "pd.DataFrame", y: object = None) -> Self:
        """Learn from rows ``X``, which have the columns ``names``."""
        values = self.positions(X)
        self.common_ = np.array([_commonest(column) for column in values.T])
        raw = self._spread_out(values)
        known = ~np.isnan(raw)
        some, safe = known.any(axis=0), np.where(known, raw, 0.0)
        count = np.maximum(known.sum(axis=0), 1)
        self.mean_ = safe.sum(axis=0) / count
        spread = np.sqrt((np.where(known, raw - self.mean_, 0.0) ** 2).sum(axis=0) / count)
        self.spread_ = np.where(spread > 0, spread, 1.0)
        scaled = (raw - self.mean_) / self.spread_
        low = np.where(known, scaled, np.inf).min(axis=0, initial=np.inf)
        high = np.where(known, scaled, -np.inf).max(axis=0, initial=-np.inf)
        # A column with one value, or none, has no range to be kept within.
        ranged = some & (low < high)
        self.low_, self.high_ = np.where(ranged, low, -np.inf), np.where(ranged, high, np.inf)
        self._chain(scaled)
        done = self._chained(scaled)
        self.tell_apart_ = {
            name: _ridge(np.delete(done, self._columns(name), axis=1), values[:, place], len(self.levels[name]))
            for place, name in enumerate(self.names)
            if name in self.targets and self._many(name)
        }
        return self

    def transform(self, X: "pd.DataFrame") -> "pd.DataFrame":
        """The rows ``X`` with nothing missing of the targets."""
        import pandas as pd

        values = self.positions(X)
        done = self.complete(values)
        made: dict[str, Any] = {}
        for place, name in enumerate(self.names):
            if name not in self.targets or not np.isnan(values[:, place]).any():
                continue
            column: Any = done[:, place]
            if name in self.levels:
                column = pd.Categorical.from_codes(
                    column.astype(np.int64), dtype=pd.CategoricalDtype(self.levels[name])
                )
            made[name] = pd.Series(column, index=X.index)
        return X.assign(**made)

    def positions(self, X: "pd.DataFrame") -> Array:
        """The predictors as numbers (n, p): a level by its place, NaN where there is no value."""
        import pandas as pd

        columns = []
        for name in self.names:
            if name in self.levels:
                codes = pd.Categorical(X[name], categories=self.levels[name]).codes
                columns.append(np.where(codes < 0, np.nan, codes))
            else:
                columns.append(X[name].to_numpy(dtype=np.float64, na_value=np.nan))
        return np.column_stack(columns)

    def complete(self, values: Array) -> Array:
        """The same as :meth:`transform`, from positions (n, p) to positions."""
        done = values.copy()
        places = [self.names.index(name) for name in self.targets]
        if not np.isnan(values[:, places]).any():
            return done
        chained = self._chained((self._spread_out(values) - self.mean_) / self.spread_)
        for name, place in zip(self.targets, places, strict=True):
            rows = np.isnan(values[:, place])
            columns = self._columns(name)
            if self._many(name):
                weights, intercept = self.tell_apart_[name]
                others = np.delete(chained[rows], columns, axis=1)
                done[rows, place] = (others @ weights + intercept).argmax(axis=1) if rows.any() else 0.0
            else:
                found = chained[rows, columns.start] * self.spread_[columns.start] + self.mean_[columns.start]
                if name in self.levels:
                    found = np.clip(np.rint(found), 0, len(self.levels[name]) - 1)
                done[rows, place] = found
        return done

    def _many(self, name: str) -> bool:
        """Whether a feature has more than two levels without an order, which no single number stands for."""
        return name in self.unordered and len(self.levels[name]) > 2

    def _columns(self, name: str) -> slice:
        """The columns that stand for a feature in the regressions."""
        start = 0
        for other in self.names:
            width = len(self.levels[other]) if self._many(other) else 1
            if other == name:
                return slice(start, start + width)
            start += width
        raise KeyError(name)

    def _spread_out(self, values: Array) -> Array:
        """Positions (n, p) with a column a level where a feature has more than two without an order."""
        columns = []
        for place, name in enumerate(self.names):
            column = values[:, place, None]
            if self._many(name):
                codes = np.where(np.isnan(column), self.common_[place], column)
                column = (codes == np.arange(len(self.levels[name]))).astype(np.float64)
            columns.append(column)
        return np.hstack(columns)

    def _chain(self, scaled: Array) -> None:
        """Learn the regressions, and keep them in the order in which they are used."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # allows the next import
        from sklearn.impute import IterativeImputer
        from sklearn.linear_model import BayesianRidge

        wide = scaled.shape[1] > NEIGHBOURS + 1
        imputer = IterativeImputer(
            BayesianRidge(),
            max_iter=WIDE_ROUNDS if wide else ROUNDS,
            n_nearest_features=NEIGHBOURS if wide else None,
            # Columns that no training row lacks get a regression only where one of them is a target, which new patients
            # may lack; with hundreds of columns such a target gets its median.
            skip_complete=wide or self._all_lacking(scaled),
            initial_strategy="median",
            keep_empty_features=True,
            min_value=self.low_,
            max_value=self.high_,
            random_state=0,
        )
        with warnings.catch_warnings():
            # Rounds that end early are the bound on what this may cost.
            warnings.simplefilter("ignore", ConvergenceWarning)
            imputer.fit(scaled)
        steps = imputer.imputation_sequence_
        self.start_ = np.asarray(imputer.initial_imputer_.statistics_, dtype=np.float64)
        width = len(steps[0].neighbor_feat_idx) if steps else 1
        self.column_ = np.array([step.feat_idx for step in steps], dtype=np.int64)
        self.neighbours_ = np.array([step.neighbor_feat_idx for step in steps], dtype=np.int64).reshape(-1, width)
        self.weights_ = np.array([step.estimator.coef_ for step in steps], dtype=np.float64).reshape(-1, width)
        self.intercept_ = np.array([step.estimator.intercept_ for step in steps], dtype=np.float64)

    def _all_lacking(self, scaled: Array) -> bool:
        """Whether every target that has a regression is missing in some row."""
        starts = [self._columns(name).start for name in self.targets if not self._many(name)]
        return bool(np.isnan(scaled[:, starts]).any(axis=0).all())

    def _chained(self, scaled: Array) -> Array:
        """Scaled columns (n, c) with every missing value imputed."""
        missing = np.isnan(scaled)
        done = np.where(missing, self.start_, scaled)
        lacking = np.asarray(missing.any(axis=0))
        for step in np.flatnonzero(lacking[self.column_]):
            column, rows = self.column_[step], missing[:, self.column_[step]]
            found = done[np.ix_(rows, self.neighbours_[step])] @ self.weights_[step] + self.intercept_[step]
            done[rows, column] = np.clip(found, self.low_[column], self.high_[column])
        return done


class Completing(TransformerMixin, BaseEstimator):
    """An encoder of a table that is imputed first.

    Parameters
    ----------
    filled
        Unfitted, from a table to a table.
    encoder
        Unfitted, from that table to a matrix.
    """

    def __init__(self, filled: Iterative, encoder: ColumnTransformer) -> None:
        self.filled = filled
        self.encoder = encoder

    def fit(self, X: "pd.DataFrame", y: object = None) -> Self:
        """Learn from rows ``X``."""
        self.filled_ = clone(self.filled).fit(X)
        self.encoder_ = clone(self.encoder).fit(self.filled_.transform(X), y)
        return self

    def transform(self, X: "pd.DataFrame") -> Array:
        """The matrix (n, p) of rows ``X``."""
        return np.asarray(self.encoder_.transform(self.filled_.transform(X)), dtype=np.float64)


def by_columns(encoder: Any) -> ColumnTransformer:
    """What encodes column by column in an encoder, fitted where that is."""
    if not isinstance(encoder, Completing):
        return encoder
    return getattr(encoder, "encoder_", encoder.encoder)


def _commonest(column: Array) -> float:
    """The most frequent value, the smallest of equals; 0 where none is known."""
    values, often = np.unique(column[~np.isnan(column)], return_counts=True)
    return float(values[often.argmax()]) if len(values) else 0.0


def _ridge(others: Array, codes: Array, levels: int) -> tuple[Array, Array]:
    """Weights (c, levels) and intercepts (levels,) of regressions of each level on the other columns (n, c)."""
    from sklearn.linear_model import Ridge

    known = ~np.isnan(codes)
    if not known.any():
        return np.zeros((others.shape[1], levels)), np.zeros(levels)
    each = (codes[known, None] == np.arange(levels)).astype(np.float64)
    fitted = Ridge(alpha=RIDGE).fit(others[known], each)
    return np.asarray(fitted.coef_.T, dtype=np.float64), np.asarray(fitted.intercept_, dtype=np.float64)
