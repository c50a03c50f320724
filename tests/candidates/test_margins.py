"""The support vector classifier's margins are libsvm's, however many rows are asked about at once."""

import numpy as np
import pytest

from relapse.candidates import svm
from relapse.candidates.svm import MarginClassifier


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("gamma", [0.02, "scale"])
@pytest.mark.parametrize("cells", [1, 700, svm._CELLS])
def test_as_libsvm_decides(kernel: str, gamma: float | str, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svm, "_CELLS", cells)
    rng = np.random.default_rng(4)
    X = 3 * rng.normal(size=(120, 5))
    y = (X[:, 0] + rng.normal(size=len(X)) > 0).astype(int)
    fitted = MarginClassifier(kernel=kernel, gamma=gamma).fit(X, y)
    asked = 10 * rng.normal(size=(31, 5))
    libsvm = fitted.machine_.decision_function(asked)
    np.testing.assert_allclose(fitted.margin(asked), libsvm, atol=1e-10)
    np.testing.assert_array_equal(fitted.predict(asked), (libsvm >= 0).astype(int))
