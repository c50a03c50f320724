"""What is drawn over calendar time: features, missing values, risks, and how the model did; frames, by span of days."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.evaluation.statistics.calibration.measures import calibration_binary
from relapse.evaluation.statistics.decisions.gain import net_benefit_gain
from relapse.evaluation.statistics.intervals import patient_weights
from relapse.evaluation.statistics.ranking.binary import auc_estimate
from relapse.monitoring.monitored import Monitored, Outcomes
from relapse.monitoring.performance import Known
from relapse.monitoring.served import Served, spans

Array = NDArray[np.float64]

#: Patients of a span: what is drawn of fewer could be somebody's.
LEAST, LEAST_KNOWN = 20, 60

#: Patients of either outcome without which a figure of a span says nothing.
EACH = 5

_RESAMPLES, _SEED = 500, 0


def shown_features(served: Served, training: Monitored) -> pd.DataFrame:
    """Columns ``first``, ``last``, ``patients``, ``feature``, ``position`` and ``missing``, a row a span and feature.

    ``position`` is where the span's patients stand on average among the training's, in about standard deviations.
    """
    positions = training.positions(served.classes)
    rows = []
    for span in spans(served.day, least=LEAST):
        for place, name in enumerate(training.features):
            known = served.classes[span, place] >= 0
            position = float(positions[span, place][known].mean()) if known.any() else np.nan
            missing = float(1 - known.mean())
            rows.append(_span(served.day, span) | {"feature": name, "position": position, "missing": missing})
    return pd.DataFrame(rows)


def shown_risks(served: Served) -> pd.DataFrame:
    """Columns ``first``, ``last``, ``patients``, ``lower``, ``median``, ``upper`` (quartiles) and ``unlike``."""
    rows = []
    answered = served.at(np.isfinite(served.risk))
    for span in spans(answered.day, least=LEAST):
        lower, median, upper = np.quantile(answered.risk[span], [0.25, 0.5, 0.75])
        share = float(answered.unlike[span].mean())
        rows.append(_span(answered.day, span) | {"lower": lower, "median": median, "upper": upper, "unlike": share})
    return pd.DataFrame(rows)


def shown_performance(known: Known, training: Outcomes) -> pd.DataFrame:
    """How the model did: columns ``first``, ``last``, ``patients``, ``events``, and each measure with its 95% interval.

    Measures are ``auc``, ``ratio`` (observed over expected events) and ``gain`` (net benefit at the threshold over the
    better of treating all and none), with ``_lower`` and ``_upper``. Spans with too few of either outcome are left out.
    """
    rows = []
    for span in spans(known.day, least=LEAST_KNOWN):
        event, risk = known.event[span], known.risk[span]
        if min(event.sum(), (1 - event).sum()) < EACH:
            continue
        rows.append(_span(known.day, span) | {"events": int(event.sum())} | measured(event, risk, training))
    return pd.DataFrame(rows)


def measured(event: NDArray[np.int64], risk: Array, training: Outcomes) -> dict[str, float]:
    """The measures of patients with both outcomes among them."""
    auc, ratio = auc_estimate(event, risk), calibration_binary(event, risk).observed_expected
    threshold = np.array([training.threshold])
    drawn = patient_weights(None, event, n_resamples=_RESAMPLES, seed=_SEED)
    gains = net_benefit_gain(event, risk, threshold, drawn)
    gain = float(net_benefit_gain(event, risk, threshold, np.ones((1, event.size), dtype=np.int64))[0])
    low, high = np.quantile(gains, [0.025, 0.975])
    return {
        "auc": auc.value, "auc_lower": auc.lower, "auc_upper": auc.upper,
        "ratio": ratio.value, "ratio_lower": ratio.lower, "ratio_upper": ratio.upper,
        "gain": gain, "gain_lower": float(low), "gain_upper": float(high),
    }  # fmt: skip


def _span(days: NDArray[np.datetime64], span: NDArray[np.int64]) -> dict[str, object]:
    return {"first": str(days[span[0]]), "last": str(days[span[-1]]), "patients": len(span)}
