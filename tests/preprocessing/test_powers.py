"""The powers are those that scikit-learn finds."""

import numpy as np
import pytest
from sklearn.preprocessing import PowerTransformer

from relapse.preprocessing.powers import YeoJohnson

RNG = np.random.default_rng(8)
COLUMNS = {
    "skewed": RNG.lognormal(size=200),
    "below 0": -RNG.lognormal(size=200),
    "both sides": RNG.normal(size=200) ** 3,
    "narrow": RNG.normal(0.1, 0.01, size=200),
    "large": RNG.lognormal(8, 2, size=200),
    "counts": RNG.poisson(1.0, size=200).astype(float),
    "the same": np.full(200, 3.0),
    "nothing": np.zeros(200),
    "gaps": np.where(RNG.random(200) < 0.3, np.nan, RNG.gamma(2.0, size=200)),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_as_scikit_learn_transforms(name: str) -> None:
    X = COLUMNS[name][:, None]
    ours, theirs = YeoJohnson().fit(X), PowerTransformer().fit(X)
    assert ours.lambdas_ == pytest.approx(theirs.lambdas_, abs=1e-5, rel=1e-5)
    assert np.allclose(ours.transform(X), theirs.transform(X), atol=1e-6, equal_nan=True)
