"""Forests grown tree by tree are those that the libraries grow, bit for bit."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sksurv.ensemble import RandomSurvivalForest

from relapse.candidates.forest import SurvivalForest
from relapse.candidates.growing import BinaryForest

Array = NDArray[np.float64]


def _rows(missing: bool) -> tuple[Array, Array]:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(120, 6)).round(1)
    risk = X[:, 0] + rng.normal(size=120)
    if missing:
        X[rng.random(X.shape) < 0.1] = np.nan
    return X, risk


def _same(ours: list[object], theirs: list[object]) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.get_params() == other.get_params()
        for name in ("feature", "threshold", "children_left", "children_right", "missing_go_to_left", "value"):
            assert np.array_equal(getattr(one.tree_, name), getattr(other.tree_, name))


@pytest.mark.parametrize("weighted", [False, True], ids=["rows alike", "rows weighted"])
@pytest.mark.parametrize("missing", [False, True], ids=["whole", "with gaps"])
@pytest.mark.parametrize(("leaf", "features"), [(1, 1.0), (7, 0.4)])
def test_of_two_classes(leaf: int, features: float, missing: bool, weighted: bool) -> None:
    X, risk = _rows(missing)
    y = (risk > 0.5).astype(np.int64)
    weight = np.where(y == 1, 2.0, 0.5) if weighted else None
    settings = {"n_estimators": 12, "min_samples_leaf": leaf, "max_features": features, "random_state": 3}
    ours = BinaryForest(**settings).fit(X, y, sample_weight=weight)
    theirs = RandomForestClassifier(**settings).fit(X, y, sample_weight=weight)
    _same(ours.estimators_, theirs.estimators_)
    assert np.array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    assert np.array_equal(ours.predict(X), theirs.predict(X))
    assert ours.get_params() == theirs.get_params()


@pytest.mark.parametrize(("leaf", "features"), [(3, 1.0), (15, 0.4)])
def test_of_times(leaf: int, features: float) -> None:
    X, risk = _rows(missing=False)
    rng = np.random.default_rng(5)
    # So few times, each with events, that none is rounded.
    time, event = np.ceil(3 * np.exp(-risk)).clip(1, 8), rng.random(len(X)) < 0.7
    y = np.array(list(zip(event, time, strict=True)), dtype=[("event", bool), ("time", float)])
    assert set(y["time"]) == set(y["time"][y["event"]])
    settings = {"n_estimators": 12, "min_samples_leaf": leaf, "max_features": features, "random_state": 3}
    ours = SurvivalForest(**settings).fit(X, y).forest_
    theirs = RandomSurvivalForest(**settings, n_jobs=1).fit(X, y)
    _same(ours.estimators_, theirs.estimators_)
    assert np.array_equal(
        ours.predict_cumulative_hazard_function(X, return_array=True),
        theirs.predict_cumulative_hazard_function(X, return_array=True),
    )
