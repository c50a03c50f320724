"""What every candidate is: an estimator on the canonical table that ranks patients and gives risks.

Two estimators hold all families together: :class:`BinaryModel` for relapse or none, :class:`SurvivalModel` for time
to relapse. Both are built from the cohort's declaration, keep only what prediction needs once fitted, and answer

``predict_score(table) -> (n,)``
    the ranking, higher = more likely to relapse;
``predict_risk(table, times=None) -> (n, 1) or (n, len(times))``
    probabilities of relapse, at each of ``times`` (same unit as the endpoint) for survival.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter

from relapse.candidates.imbalance import sampler_of, suggest_balance, weighted
from relapse.candidates.limits import Limit
from relapse.candidates.width import split, suggest_reductions
from relapse.cohorts.schema import Cohort
from relapse.preprocessing.reduction import reducer
from relapse.preprocessing.transformers import Scaling, encoder, expander

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from relapse.machinery import Machinery

Array = NDArray[np.float64]
Params = dict[str, Any]

#: Probabilities are kept this far from 0 and 1 where their log-odds are taken.
EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Head:
    """A family's model for one kind of endpoint.

    ``space`` draws hyperparameters from an Optuna trial, None where there is nothing to tune; ``build`` makes the
    unfitted estimator from the cohort, the family's own hyperparameters and a seed. ``balanced`` adds the handling of
    rare events to the search: see :mod:`relapse.candidates.imbalance`. What is done to wide blocks is in every search,
    within the family's ``limit``: see :mod:`relapse.candidates.limits`.

    ``draft`` are hyperparameters that make models cheaper while sets are compared. A family that trains many models as
    one program offers ``fit_together(models, tables, targets)``, which fits models of one set of hyperparameters, each
    on rows of its own, as ``fit`` would one by one.

    ``loads`` are modules that a fit imports, so that they are loaded once and not by each worker.

    ``prepare(table, cohort, machinery)`` does once what every fit would do again, such as running a frozen encoder.
    """

    space: "Callable[[optuna.Trial], Params] | None"
    build: "Callable[[Cohort, Params, int], BinaryModel | SurvivalModel]"
    balanced: bool = False
    fit_together: "FitTogether | None" = None
    draft: Params = field(default_factory=dict)
    limit: Limit | None = None
    loads: tuple[str, ...] = ()
    prepare: "Callable[[pd.DataFrame, Cohort, Machinery], None] | None" = None

    @property
    def loaded(self) -> tuple[str, ...]:
        """Modules that a search with this head imports."""
        return ("optuna", "threadpoolctl", *(("imblearn.over_sampling",) if self.balanced else ()), *self.loads)

    def draw(self, trial: "optuna.Trial", cohort: Cohort) -> Params:
        """Hyperparameters of one trial."""
        if self.space is None:
            return {}
        params = self.space(trial)
        if self.balanced:
            params |= suggest_balance(trial, cohort)
        return params | suggest_reductions(trial, cohort)

    def model(self, cohort: Cohort, params: Params, seed: int) -> "BinaryModel | SurvivalModel":
        """The unfitted estimator with the hyperparameters that :meth:`draw` gave."""
        own, reductions = split(params)
        built = self.build(cohort, own, seed)
        return built.set_params(reducer=reducer(built.encoder, reductions)) if reductions else built


class FitTogether(Protocol):
    """How a family fits many models at once."""

    def __call__(
        self,
        models: "Sequence[BinaryModel | SurvivalModel]",
        tables: "Sequence[pd.DataFrame]",
        targets: Sequence[NDArray[Any]],
        held: Sequence[NDArray[np.bool_] | None] | None = None,
    ) -> None:
        """Fit ``models``, each on its table and target; ``held`` are the rows of each that early stopping looks at."""


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models; ``description`` goes into the report's methods.

    One that ``sees`` images is for cohorts that have them; ``remark`` is what a cohort's declaration makes of it that
    has to stand wherever it is named.
    """

    name: str
    title: str
    description: str
    binary: Head | None
    survival: Head | None
    sees: bool = False
    remark: Callable[[Cohort], str | None] = lambda cohort: None

    def head(self, cohort: Cohort) -> Head | None:
        """The head for the cohort's endpoint, None where the family has none."""
        return self.survival if cohort.survival else self.binary

    def called(self, cohort: Cohort) -> str:
        """The family's title on a cohort, with the remark."""
        remark = self.remark(cohort)
        return f"{self.title} ({remark})" if remark else self.title

    def suits(self, cohort: Cohort) -> bool:
        """Whether the cohort has what the family learns from."""
        return bool(cohort.volumes) if self.sees else bool(cohort.predictors)


def outcome(table: "pd.DataFrame", cohort: Cohort) -> NDArray[Any]:
    """The target: int (n,) of 0 and 1, or scikit-survival's structured array with fields ``event`` and ``time``."""
    event = table["event"].to_numpy()
    if not cohort.survival:
        return event.astype(np.int64)
    target = np.empty(len(table), dtype=[("event", bool), ("time", np.float64)])
    target["event"], target["time"] = event == 1, table["time"].to_numpy(dtype=np.float64)
    return target


class BinaryModel(ClassifierMixin, BaseEstimator):
    """Encoder, reducer, sampler (while fitting only), expander, classifier.

    Parameters
    ----------
    encoder, expander, classifier
        Unfitted scikit-learn objects; the classifier has ``predict_proba``.
    reducer
        Makes fewer columns of wide blocks, or None; it may look at the outcomes it is fitted with.
    sampler
        Makes synthetic rows from the encoded matrix, or None.
    weighted
        Whether rows are weighted so that both outcomes count the same; the classifier then takes ``sample_weight``.
    """

    def __init__(
        self,
        encoder: Any,
        expander: Any,
        classifier: Any,
        sampler: Any = None,
        weighted: bool = False,
        reducer: Any = None,
    ) -> None:
        self.encoder = encoder
        self.expander = expander
        self.classifier = classifier
        self.sampler = sampler
        self.weighted = weighted
        self.reducer = reducer

    def fit(self, X: "pd.DataFrame", y: NDArray[np.int_]) -> Self:
        """Fit on a canonical table ``X`` and outcomes ``y`` (n,) of 0 and 1."""
        self.classes_ = np.array([0, 1])
        before = Pipeline(encoding_steps(self))
        matrix = before.fit_transform(X, y)
        if self.sampler is not None:
            matrix, y = clone(self.sampler).fit_resample(matrix, np.asarray(y))
        weights = {"classify__sample_weight": compute_sample_weight("balanced", y)} if self.weighted else {}
        steps = [("expand", clone(self.expander)), ("classify", clone(self.classifier))]
        rest = Pipeline(steps).fit(matrix, y, **weights)
        self.pipeline_ = Pipeline([*before.steps, *rest.steps])
        return self

    def predict_proba(self, X: "pd.DataFrame") -> Array:
        """Probabilities (n, 2) of no relapse and relapse, before recalibration."""
        return np.asarray(self.pipeline_.predict_proba(X), dtype=np.float64)

    def predict(self, X: "pd.DataFrame") -> NDArray[np.int_]:
        """0 or 1 at probability ½, as scikit-learn has it; the protocol chooses its own threshold."""
        return (self.predict_proba(X)[:, 1] >= 0.5).astype(np.int64)

    def predict_score(self, X: "pd.DataFrame") -> Array:
        """Log-odds (n,) of relapse."""
        return _log_odds(self.predict_proba(X))

    def score_of(self, matrix: Array) -> Array:
        """The same of rows (n, c) that were encoded and expanded."""
        return _log_odds(self.pipeline_[-1].predict_proba(matrix))

    def predict_risk(self, X: "pd.DataFrame", times: ArrayLike | None = None) -> Array:
        """Probability of relapse (n, 1)."""
        return self.predict_proba(X)[:, 1:]


def _log_odds(proba: Array) -> Array:
    risk = np.asarray(proba[:, 1], dtype=np.float64)
    return np.asarray(logit(np.clip(risk, EPSILON, 1 - EPSILON)))


class SurvivalModel(BaseEstimator):
    """Encoder, reducer, expander, survival regressor; a Breslow baseline where the regressor gives only a log-hazard.

    Parameters
    ----------
    encoder, expander
        Unfitted scikit-learn transformers.
    regressor
        ``fit(X, y)`` and ``predict(X)`` (higher = earlier relapse); a log-hazard unless the regressor also has
        ``predict_cumulative_hazard(X, times)``. One whose ``fit`` takes ``patient`` (n,) is told whom rows belong to.
    horizon
        Time at which scores of different folds are made comparable: the score of a proportional-hazards model is its
        log cumulative hazard at this time.
    reducer
        As for :class:`BinaryModel`.
    """

    def __init__(self, encoder: Any, expander: Any, regressor: Any, horizon: float, reducer: Any = None) -> None:
        self.encoder = encoder
        self.expander = expander
        self.regressor = regressor
        self.horizon = horizon
        self.reducer = reducer

    def fit(self, X: "pd.DataFrame", y: NDArray[Any]) -> Self:
        """Fit on a canonical table ``X`` and a structured array ``y`` (n,) with fields ``event`` and ``time``."""
        self.transform_ = Pipeline([*encoding_steps(self), ("expand", clone(self.expander))])
        matrix = self.transform_.fit_transform(X, y)
        grouped = has_fit_parameter(self.regressor, "patient")
        self.regressor_ = clone(self.regressor).fit(
            matrix, y, **({"patient": X["patient"].to_numpy()} if grouped else {})
        )
        if not hasattr(self.regressor_, "predict_cumulative_hazard"):
            log_hazard = self.regressor_.predict(matrix)
            self.baseline_times_, self.baseline_hazard_ = breslow(y["time"], y["event"], log_hazard)
        return self

    def predict_score(self, X: "pd.DataFrame") -> Array:
        """Log cumulative hazard (n,) at ``horizon``."""
        return self.score_of(self.transform_.transform(X))

    def score_of(self, matrix: Array) -> Array:
        """The same of rows (n, c) that were encoded and expanded."""
        hazard = self._cumulative_hazard(matrix, [self.horizon])[:, 0]
        return np.asarray(np.log(np.maximum(hazard, np.finfo(np.float64).tiny)))

    def predict_cumulative_hazard(self, X: "pd.DataFrame", times: ArrayLike) -> Array:
        """Cumulative hazard (n, len(times)), constant after the last event seen in training."""
        return self._cumulative_hazard(self.transform_.transform(X), times)

    def _cumulative_hazard(self, matrix: Array, times: ArrayLike) -> Array:
        at = np.asarray(times, dtype=np.float64)
        if hasattr(self.regressor_, "predict_cumulative_hazard"):
            return np.asarray(self.regressor_.predict_cumulative_hazard(matrix, at))
        baseline = step_values(self.baseline_times_, self.baseline_hazard_, at)
        return np.asarray(np.exp(self.regressor_.predict(matrix))[:, None] * baseline[None, :])

    def predict_risk(self, X: "pd.DataFrame", times: ArrayLike | None = None) -> Array:
        """Probability (n, len(times)) of relapse by each of ``times``; by ``horizon`` alone where none are given."""
        return -np.expm1(-self.predict_cumulative_hazard(X, [self.horizon] if times is None else times))


def encoding_steps(model: BinaryModel | SurvivalModel) -> list[tuple[str, Any]]:
    """Unfitted steps from the canonical table to the columns that synthetic rows are made in and levels expanded."""
    steps = {"encode": model.encoder, "reduce": model.reducer}
    return [(name, clone(step)) for name, step in steps.items() if step is not None]


def breslow(time: Array, event: NDArray[np.bool_], log_hazard: Array) -> tuple[Array, Array]:
    """Baseline cumulative hazard: distinct event times (k,) rising, and the hazard (k,) accumulated up to each.

    Breslow NE (1972), in the discussion of Cox's paper, J R Stat Soc B 34:216-217.
    """
    order = np.argsort(-time, kind="stable")
    at_risk = np.cumsum(np.exp(log_hazard[order]))
    times, counts = np.unique(time[event], return_counts=True)
    last = np.searchsorted(-time[order], -times, side="right") - 1
    return times, np.cumsum(counts / at_risk[last])


def step_values(times: Array, values: Array, at: Array) -> Array:
    """A right-continuous step function that is 0 before its first time, evaluated ``at`` any times."""
    return np.concatenate([[0.0], values])[np.searchsorted(times, at, side="right")]


def binary_model(
    cohort: Cohort,
    classifier: Any,
    *,
    seed: int,
    columns: list[str] | None = None,
    scaling: Scaling = "standard",
    resample: bool = True,
    params: Params | None = None,
    native: bool = False,
) -> BinaryModel:
    """A :class:`BinaryModel` on the cohort's predictors (or ``columns`` of them).

    Rare events are handled as ``params`` say under ``balance``, else as the cohort asks for. ``native`` is for a
    classifier that takes missing values; where synthetic rows are made they are filled, which takes whole rows.
    """
    used = columns or cohort.predictors
    sampler = sampler_of(cohort, used, params or {}, seed=seed) if resample else None
    left = native and sampler is None
    return BinaryModel(
        encoder(cohort, used, scaling=scaling, native=left),
        expander(cohort, used, native=left),
        classifier,
        sampler=sampler,
        weighted=weighted(params or {}),
    )


def survival_model(
    cohort: Cohort,
    regressor: Any,
    *,
    columns: list[str] | None = None,
    scaling: Scaling = "standard",
    native: bool = False,
) -> SurvivalModel:
    """A :class:`SurvivalModel` on the cohort's predictors (or ``columns`` of them); ``native`` as above."""
    if cohort.survival is None:
        raise TypeError(f"{cohort.name} has no time to event.")
    used = columns or cohort.predictors
    horizon = cohort.survival.horizons[-1].time
    encode = encoder(cohort, used, scaling=scaling, native=native)
    return SurvivalModel(encode, expander(cohort, used, native=native), regressor, horizon)
