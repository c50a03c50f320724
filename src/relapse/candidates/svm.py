"""Support vector machines: a classifier on its margin, and a ranking machine for survival."""

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.kernel_approximation import Nystroem
from sklearn.svm import SVC

from relapse.candidates.base import BinaryModel, Family, Head, Params, SurvivalModel, binary_model
from relapse.candidates.base import survival_model as survival
from relapse.candidates.cox import CoxRegression
from relapse.candidates.imbalance import without_balance
from relapse.candidates.limits import Limit
from relapse.candidates.sums import OfSums
from relapse.cohorts.schema import Cohort

if TYPE_CHECKING:
    import optuna

Array = NDArray[np.float64]

#: The classifier took 2 s on 5,000 rows of 20 columns and 76 s on 20,000.
LIMIT = Limit(
    rows=20_000, reason="the time of a kernel classifier grows with the square of the rows, to a minute a fit"
)

#: Values of the kernel that a prediction holds at once, few enough for a processor's cache.
_CELLS = 1_000_000

#: Patients that the survival machine's kernel is approximated with: exact kernels took 0.3 to 22 s a fit on GBSG.
LANDMARKS = 40

#: Sets of hyperparameters are compared by ranking alone, for which no scale is needed: half of the work.
DRAFT: Params = {"scaled": False}

#: Steps of the survival machine's optimiser: 8 instead of 20 changed the concordance by less than 0.001.
NEWTON_STEPS = 10


class MarginClassifier(ClassifierMixin, BaseEstimator):
    """A support vector classifier whose signed distance to the boundary is taken for log-odds.

    They are no probabilities yet: the protocol recalibrates them on inner predictions, as it does for every model,
    where libsvm's own probabilities would come from a hidden cross-validation that divides patients.
    """

    def __init__(
        self, C: float = 1.0, kernel: str = "rbf", gamma: float | str = "scale", random_state: int = 0
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.gamma = gamma
        self.random_state = random_state

    def fit(self, X: Array, y: NDArray[np.int_], sample_weight: Array | None = None) -> Self:
        """Fit on a matrix ``X`` (n, p) and ``y`` (n,) of 0 and 1."""
        self.classes_ = np.array([0, 1])
        machine = SVC(C=self.C, kernel=self.kernel, gamma=self.gamma, random_state=self.random_state)
        self.machine_ = machine.fit(X, y, sample_weight=sample_weight)
        return self

    def predict_proba(self, X: Array) -> Array:
        """Logistic function of the margin (n, 2)."""
        risk = expit(self.margin(X))
        return np.column_stack([1.0 - risk, risk])

    def predict(self, X: Array) -> NDArray[np.int_]:
        """0 or 1 by the side of the boundary."""
        return (self.margin(X) >= 0).astype(np.int64)

    def margin(self, X: Array) -> Array:
        """Signed distance to the boundary (n,), positive = relapse.

        Of a radial kernel by products of matrices: libsvm, which goes through the support vectors of one row after
        another, takes eight times as long (``benchmarks/training.py``).
        """
        machine = self.machine_
        if self.kernel != "rbf":
            return np.asarray(machine.decision_function(X))
        vectors, gamma = machine.support_vectors_, machine._gamma
        beside = -gamma * np.einsum("ij,ij->i", vectors, vectors)
        across = 2 * gamma * vectors.T
        found = np.empty(len(X))
        step = max(1, _CELLS // max(1, len(vectors)))
        for start in range(0, len(X), step):
            rows = np.asarray(X[start : start + step], dtype=np.float64)
            kernel = rows @ across
            kernel -= gamma * np.einsum("ij,ij->i", rows, rows)[:, None]
            kernel += beside
            found[start : start + step] = np.exp(kernel, out=kernel) @ machine.dual_coef_[0]
        return found + machine.intercept_[0]


class SurvivalMargin(BaseEstimator):
    """A ranking survival support vector machine (Pölsterl et al. 2015, ECML PKDD, 243-259), on a log-hazard scale.

    The machine orders patients and knows no scale; a Cox regression on its score alone, crossed over two halves of the
    patients, gives it one. Only coefficients are kept, so that serving needs no survival library.

    Parameters
    ----------
    alpha
        Weight of the pairs that are ranked wrongly against the size of the coefficients.
    kernel
        ``linear``, or ``rbf`` approximated by :data:`LANDMARKS` patients (Nyström's method).
    gamma
        Of the RBF kernel.
    scaled
        Whether the scale is learnt; without it a standard deviation of the score is taken for a log-hazard of 1.
    """

    def __init__(
        self,
        alpha: float = 0.1,
        kernel: str = "linear",
        gamma: float = 0.05,
        scaled: bool = True,
        random_state: int = 0,
    ) -> None:
        self.alpha = alpha
        self.kernel = kernel
        self.gamma = gamma
        self.scaled = scaled
        self.random_state = random_state

    def fit(self, X: Array, y: NDArray[Any], patient: NDArray[Any] | None = None) -> Self:
        """Fit on a matrix ``X`` (n, p) and a structured array ``y`` (n,); rows of a ``patient`` (n,) stay together."""
        self.map_ = None
        if self.kernel == "rbf":
            self.map_ = Nystroem(
                gamma=self.gamma, n_components=min(LANDMARKS, len(X)), random_state=self.random_state
            ).fit(X)
        matrix = self._mapped(X)
        coefficients = self._ranking(matrix, y)
        coefficients /= max(float((matrix @ coefficients).std()), np.finfo(np.float64).tiny)
        if self.scaled:
            slope = self._slope(matrix, y, np.arange(len(X)) if patient is None else patient)
            # A negative slope would turn the ranking round; such a machine has learnt nothing.
            coefficients *= max(slope, 0.0)
        self.coef_ = coefficients
        return self

    def _ranking(self, matrix: Array, y: NDArray[Any]) -> Array:
        from sklearn.exceptions import ConvergenceWarning

        from relapse.candidates.pairs import RankingMachine

        machine = RankingMachine(
            alpha=self.alpha, rank_ratio=1.0, max_iter=NEWTON_STEPS, random_state=self.random_state
        )
        with warnings.catch_warnings():
            # Newton's steps that end early leave a ranking that the search judges like any other.
            warnings.simplefilter("ignore", ConvergenceWarning)
            # The machine's coefficients point to a longer time.
            return -np.asarray(machine.fit(matrix, y).coef_)

    def _slope(self, matrix: Array, y: NDArray[Any], patient: NDArray[Any]) -> float:
        """Log-hazard a standard deviation of the score, each half of the patients scored by the machine of the other.

        On rows that a flexible machine was fitted to, its score looks stronger than it is.
        """
        _, first, number = np.unique(patient, return_index=True, return_inverse=True)
        half = np.argsort(np.argsort(first))[number] % 2 == 0  # every other patient, in the order of the rows
        score = np.empty(len(matrix))
        for test in (half, ~half):
            if not y["event"][~test].any():
                return 0.0
            coefficients = self._ranking(matrix[~test], y[~test])
            spread = max(float((matrix[~test] @ coefficients).std()), np.finfo(np.float64).tiny)
            score[test] = matrix[test] @ coefficients / spread
        return float(CoxRegression().fit(score[:, None], y).coef_[0])

    def predict(self, X: Array) -> Array:
        """Log-hazard (n,), higher = earlier relapse."""
        return np.asarray(self._mapped(X) @ self.coef_)

    def taken_apart(self) -> OfSums | None:
        """The log-hazard by sums over the columns, the squared distances to the landmarks; None of a linear kernel."""
        if self.map_ is None:
            return None
        landmarks, weights = self.map_.components_.T, self.map_.normalization_.T @ self.coef_
        return OfSums(lambda row: (row[:, None] - landmarks) ** 2, lambda far: np.exp(-self.gamma * far) @ weights)

    def _mapped(self, X: Array) -> Array:
        return X if self.map_ is None else np.asarray(self.map_.transform(X))


def _binary_space(trial: "optuna.Trial") -> Params:
    kernel = trial.suggest_categorical("kernel", ["linear", "rbf"])
    params: Params = {"kernel": kernel, "C": trial.suggest_float("C", 1e-3, 10.0, log=True)}
    if kernel == "rbf":
        params["gamma"] = trial.suggest_float("gamma", 1e-3, 0.3, log=True)
    return params


def _binary(cohort: Cohort, params: Params, seed: int) -> BinaryModel:
    classifier = MarginClassifier(random_state=seed, **without_balance(params))
    return binary_model(cohort, classifier, seed=seed, params=params)


def _survival_space(trial: "optuna.Trial") -> Params:
    kernel = trial.suggest_categorical("kernel", ["linear", "rbf"])
    params: Params = {"kernel": kernel, "alpha": trial.suggest_float("alpha", 1e-5, 0.3, log=True)}
    if kernel == "rbf":
        params["gamma"] = trial.suggest_float("gamma", 5e-3, 0.2, log=True)
    return params


def _survival(cohort: Cohort, params: Params, seed: int) -> SurvivalModel:
    return survival(cohort, SurvivalMargin(random_state=seed, **params))


FAMILY = Family(
    name="svm",
    title="Support vector machine",
    description="Support vector classifier or ranking survival support vector machine on all predictors, with a linear "
    "or a radial kernel.",
    binary=Head(_binary_space, _binary, balanced=True, limit=LIMIT),
    survival=Head(_survival_space, _survival, draft=DRAFT, loads=("relapse.candidates.pairs", "sksurv.linear_model")),
)
