"""Forests grown without what their libraries do anew for every tree.

scikit-learn clones, checks and introspects for each tree, which on a cohort of some hundred patients takes longer than
growing it (``benchmarks/training.py``). Here the library fits the first tree and the rest follow by the same builder,
from the same random numbers: the forest is the one that the library would have made, bit for bit. The builders are no
public interface; a test holds both against each other.
"""

from collections.abc import Callable
from copy import copy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

Array = NDArray[np.float64]

#: A fresh criterion of splits for so many rows.
Criterion = Callable[[int], Any]


class BinaryForest(RandomForestClassifier):
    """scikit-learn's random forest of two classes."""

    def fit(self, X: Array, y: NDArray[np.int_], sample_weight: Array | None = None) -> Self:
        """Fit on a matrix ``X`` (n, p) and ``y`` (n,) of 0 and 1."""
        from sklearn.tree._criterion import Gini

        classes = np.array([2], dtype=np.intp)
        grown(self, super().fit, X, y, y[:, None], lambda rows: Gini(1, classes), sample_weight)
        return self

    def predict_proba(self, X: Array) -> Array:
        """Probabilities (n, 2) of both classes."""
        rows = self._validate_X_predict(X)
        total = np.zeros((len(rows), 2))
        for tree in self.estimators_:
            total += tree.tree_.predict(rows)
        return np.asarray(total / len(self.estimators_))


def grown(
    forest: Any,
    fit: Callable[..., Any],
    X: Array,
    y: NDArray[Any],
    numbers: NDArray[Any],
    criterion: Criterion,
    sample_weight: Array | None = None,
) -> Any:
    """Fit a forest of scikit-learn's kind to a matrix ``X`` (n, p).

    Parameters
    ----------
    fit
        The library's own, which fits the first tree.
    y, numbers
        Outcomes as the forest takes them, and as its trees do (n, columns).
    criterion
        That by which its trees split.
    sample_weight
        (n,) of rows in the drawing of those that a tree sees.
    """
    from sklearn.ensemble._forest import MAX_INT, _generate_sample_indices, _get_n_samples_bootstrap
    from sklearn.tree._splitter import BestSplitter
    from sklearn.tree._tree import DepthFirstTreeBuilder, Tree

    wanted = forest.n_estimators
    forest.n_estimators = 1
    try:
        fit(X, y, sample_weight=sample_weight)
    finally:
        forest.n_estimators = wanted
    (first,) = forest.estimators_
    rows, numbers = np.ascontiguousarray(X, dtype=np.float32), np.ascontiguousarray(numbers, dtype=np.float64)
    size, shape = len(rows), first.tree_
    drawn = _get_n_samples_bootstrap(size, forest.max_samples, sample_weight)
    missing = first._compute_missing_values_in_feature_mask(rows)
    classes = np.asarray(shape.n_classes, dtype=np.intp)
    leaf, split = forest.min_samples_leaf, max(forest.min_samples_split, 2 * forest.min_samples_leaf)
    stream = np.random.RandomState(forest.random_state)
    seeds = [stream.randint(MAX_INT) for _ in range(wanted)]
    for seed in seeds[1:]:
        seen = _generate_sample_indices(seed, size, drawn, sample_weight)
        counts = np.bincount(seen, minlength=size).astype(np.float64)
        splitter = BestSplitter(criterion(size), first.max_features_, leaf, 0.0, np.random.RandomState(seed), None)
        tree = copy(first)
        tree.random_state = seed
        tree.tree_ = Tree(rows.shape[1], classes, shape.n_outputs)
        builder = DepthFirstTreeBuilder(splitter, split, leaf, 0.0, np.iinfo(np.int32).max, 0.0)
        builder.build(tree.tree_, rows, numbers, counts, missing)
        forest.estimators_.append(tree)
    return forest
