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
class RiskModel:
    """A fitted model with what was learnt from inner predictions.

    ``recalibration`` and ``threshold`` (the risk from which a row is called positive) belong to binary endpoints.
    """

    model: BinaryModel | SurvivalModel
    recalibration: Recalibration | None = None
    threshold: float | None = None

    def predict_score(self, table: "pd.DataFrame") -> Array:
        """The ranking (n,): higher = more likely to relapse."""
        return self.model.predict_score(table)

    def predict_risk(self, table: "pd.DataFrame", times: ArrayLike | None = None) -> Array:
        """Recalibrated probability of relapse: (n, 1), or (n, len(times)) by each of ``times`` for survival."""
        if self.recalibration is not None:
            return self.recalibration.risk(self.model.predict_score(table))[:, None]
        return self.model.predict_risk(table, times)
