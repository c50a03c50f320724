"""A trained candidate as it is used: ranking, recalibrated risk, and the threshold of its decision."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from relapse.candidates.base import EPSILON, BinaryModel, SurvivalModel

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Platt:
    """Logistic recalibration: the recalibrated log-odds are ``intercept + slope * log-odds`` (Platt 1999).

    ``slope`` 1 and ``intercept`` 0 leave risks as they are.
    """

    slope: float = 1.0
    intercept: float = 0.0

    @classmethod
    def fit(cls, score: Array, event: NDArray[np.int_]) -> "Platt":
        """Fit to log-odds (n,) and outcomes (n,) of rows that the model has not seen.

        A negative slope would turn the ranking round; it is replaced by 0, which gives everybody the share of events.
        """
        from sklearn.linear_model import LogisticRegression

        fitted = LogisticRegression(C=1e6, max_iter=1000).fit(score[:, None], event)
        slope = float(fitted.coef_[0, 0])
        if slope > 0:
            return cls(slope, float(fitted.intercept_[0]))
        return cls(0.0, float(logit(np.clip(event.mean(), EPSILON, 1 - EPSILON))))

    def risk(self, score: Array) -> Array:
        """Recalibrated risks from log-odds."""
        return np.asarray(expit(self.intercept + self.slope * score))


@dataclass(frozen=True, slots=True)
class Isotonic:
    """Isotonic recalibration: a rising curve through ``knots`` (log-odds) and ``values`` (risks), straight between.

    Zadrozny B, Elkan C (2002), KDD, 694-699. Risks are kept half an event away from 0 and 1, which no small sample
    can vouch for.
    """

    knots: tuple[float, ...]
    values: tuple[float, ...]

    @classmethod
    def fit(cls, score: Array, event: NDArray[np.int_]) -> "Isotonic":
        """Fit to log-odds (n,) and outcomes (n,) of rows that the model has not seen."""
        from sklearn.isotonic import IsotonicRegression

        margin = 0.5 / (len(score) + 1)
        curve = IsotonicRegression(y_min=margin, y_max=1 - margin, out_of_bounds="clip").fit(score, event)
        return cls(tuple(map(float, curve.X_thresholds_)), tuple(map(float, curve.y_thresholds_)))

    def risk(self, score: Array) -> Array:
        """Recalibrated risks from log-odds; constant beyond the outermost knots."""
        return np.asarray(np.interp(score, self.knots, self.values))


Recalibration = Platt | Isotonic


def recalibration_from(content: dict[str, Any]) -> Recalibration:
    """A recalibration from the plain values that ``dataclasses.asdict`` gave."""
    if "knots" in content:
        return Isotonic(tuple(content["knots"]), tuple(content["values"]))
    return Platt(**content)


@dataclass(frozen=True, slots=True)
class Shift:
    """An update of a finished model on new patients, which leaves their order as it is.

    Without a time the new log-odds are ``intercept + slope * log-odds``. For a time to relapse the same holds of the
    log cumulative hazard at the model's horizon, and the hazard of a patient changes by one factor at all times. 0 and
    1 leave the model as it is.
    """

    intercept: float
    slope: float = 1.0

    def __post_init__(self) -> None:
        if not self.slope > 0:
            raise ValueError("slope: more than 0 is needed, else the order of patients is lost or turned round")

    def of(self, line: Array) -> Array:
        """The new log-odds, or log cumulative hazard at the horizon."""
        return self.intercept + self.slope * line

    def odds(self, risk: Array) -> Array:
        """New risks from risks without a time."""
        return np.asarray(expit(self.of(logit(np.clip(risk, EPSILON, 1 - EPSILON)))))

    def hazards(self, risk: Array, score: Array) -> Array:
        """New risks (n, times) from risks by each time, of patients of a log cumulative hazard (n,) at the horizon."""
        factor = np.exp(self.of(score) - score)
        return np.asarray(-np.expm1(np.log1p(-np.minimum(risk, 1 - EPSILON)) * factor[:, None]))


@dataclass(frozen=True, slots=True)
class RiskModel:
    """A fitted model with what was learnt from inner predictions.

    ``recalibration`` and ``threshold`` (the risk from which a row is called positive) belong to binary endpoints.
    ``shift`` is an update on patients who came later, None where the model is as it was trained; ``threshold`` is
    a risk after it.
    """

    model: BinaryModel | SurvivalModel
    recalibration: Recalibration | None = None
    threshold: float | None = None
    shift: Shift | None = None

    def predict_score(self, table: "pd.DataFrame") -> Array:
        """The ranking (n,): higher = more likely to relapse."""
        return self._shifted(self.model.predict_score(table))

    def score_of(self, matrix: Array) -> Array:
        """The same of rows (n, c) that were encoded and expanded."""
        return self._shifted(self.model.score_of(matrix))

    def _shifted(self, score: Array) -> Array:
        # Of a survival model it is the log cumulative hazard, which moves; log-odds are those before recalibration.
        return self.shift.of(score) if self.shift and isinstance(self.model, SurvivalModel) else score

    def predict_risk(self, table: "pd.DataFrame", times: ArrayLike | None = None) -> Array:
        """Recalibrated probability of relapse: (n, 1), or (n, len(times)) by each of ``times`` for survival."""
        if self.recalibration is not None:
            risk = self.recalibration.risk(self.model.predict_score(table))[:, None]
        else:
            risk = self.model.predict_risk(table, times)
        if self.shift is None:
            return risk
        if isinstance(self.model, SurvivalModel):
            return self.shift.hazards(risk, self.model.predict_score(table))
        return self.shift.odds(risk)

    def shifted(self, shift: Shift) -> "RiskModel":
        """The model after an update; one that was updated before is moved on. Who is called positive stays so."""
        before = self.shift or Shift(0.0)
        whole = Shift(shift.intercept + shift.slope * before.intercept, shift.slope * before.slope)
        threshold = None if self.threshold is None else float(shift.odds(np.array(self.threshold)))
        return RiskModel(self.model, self.recalibration, threshold, whole)
