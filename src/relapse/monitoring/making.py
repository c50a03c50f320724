"""From the training to what monitoring has to know of it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.cohorts.declared.features import Categorical, Feature
from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import MIN_EACH
from relapse.evaluation.statistics.decisions.gain import net_benefit_gain, net_benefit_gain_at_horizon
from relapse.evaluation.statistics.intervals import patient_weights
from relapse.evaluation.statistics.ranking.binary import auc_estimate
from relapse.evaluation.statistics.results import Estimate
from relapse.evaluation.statistics.survival.horizon import time_dependent_auc
from relapse.evaluation.statistics.survival.kaplan_meier import kaplan_meier
from relapse.evaluation.statistics.survival.landmark import landmark
from relapse.monitoring.monitored import DECIMALS, Monitored, Outcomes, Watched, Whole
from relapse.monitoring.whole import Directions, out_of_part
from relapse.quality.accepted import RARE, Counted, counted

Array = NDArray[np.float64]

#: Groups of risk in which outcomes are compared.
GROUPS = 4

#: Coverage of the intervals whose lower ends the served patients are held against.
LEVEL = 0.99

_RESAMPLES, _SEED = 1000, 0


@dataclass(frozen=True, slots=True)
class Training:
    """One row a patient: ``table`` typed, ``risk`` out of fold, and whether the others make her look unusual.

    ``threshold`` is the risk from which the model calls a patient positive, None where it does not.
    """

    table: pd.DataFrame
    risk: Array
    unlike: NDArray[np.bool_]
    threshold: float | None


def monitored(training: Training, cohort: Cohort) -> Monitored:
    """Make what a bundle says of its training, at the first horizon where the endpoint has a time."""
    features = {name: _watched(training.table[name], cohort.features[name]) for name in cohort.predictors}
    places = {name: item.classes.places(training.table[name]) for name, item in features.items()}
    survival = cohort.survival
    risk = training.risk.round(DECIMALS)
    made = Monitored(
        patients=len(training.table),
        risk_label=cohort.endpoint.label + (f" by {survival.horizons[0].label}" if survival else ""),
        features=features,
        risk=_numbers(risk),
        unlike=int(training.unlike.sum()),
        whole=Whole(loadings=(), variances=(), noise=1.0, distances=_numbers(risk)),
        outcomes=_outcomes(training, cohort, risk),
    )
    positions = made.positions(made.classes(places))
    directions = Directions.of(positions)
    whole = Whole(
        loadings=tuple(tuple(map(float, row.round(6))) for row in directions.loadings),
        variances=tuple(map(float, directions.variances.round(6))),
        noise=round(directions.noise, 6),
        distances=_numbers(out_of_part(positions)),
    )
    return made.model_copy(update={"whole": whole})


def _numbers(values: Array) -> Counted:
    return counted(pd.Series(values), levels=False)


def _watched(values: pd.Series, feature: Feature) -> Watched:
    categorical = isinstance(feature, Categorical)
    found = counted(values, levels=categorical)
    if isinstance(feature, Categorical) and found.classes is not None:
        # In declared order; the class of rare levels has no place in it and stands last.
        counts = dict(zip(found.classes, found.counts, strict=True))
        order = [name for name in (*feature.names, RARE) if name in counts]
        found = found.model_copy(update={"classes": tuple(order), "counts": tuple(counts[name] for name in order)})
    return Watched(classes=found, missing=int(values.isna().sum()), ordered=feature.type != "nominal")


def _outcomes(training: Training, cohort: Cohort, risk: Array) -> Outcomes | None:
    event = training.table["event"].to_numpy(dtype=np.int64)
    survival = cohort.survival
    if survival:
        at = survival.horizons[0].time
        time = training.table["time"].to_numpy(dtype=np.float64)
        place = landmark(time, event, at)
        case, control = place.case, place.control
        # A case stands for those censored before its time; as many as controls, so that both count alike.
        weight = place.weight / place.weight[control].max() if control.any() else place.weight
    else:
        case, control, weight = event == 1, event == 0, np.ones(event.size)
    if min(case.sum(), control.sum()) < MIN_EACH:
        return None
    drawn = patient_weights(None, case, n_resamples=_RESAMPLES, seed=_SEED)
    if survival:
        rate = 1 - float(kaplan_meier(time, event)(at))
        threshold = np.array([_threshold(training.threshold, rate)])
        auc = time_dependent_auc(time, event, risk, at, level=LEVEL)
        own = np.ones((1, event.size), dtype=np.int64)
        gain = float(net_benefit_gain_at_horizon(time, event, risk, at, threshold, own)[0])
        gains = net_benefit_gain_at_horizon(time, event, risk, at, threshold, drawn)
    else:
        threshold = np.array([_threshold(training.threshold, float(case.mean()))])
        auc = auc_estimate(case, risk, level=LEVEL)
        gain = float(net_benefit_gain(case, risk, threshold, np.ones((1, event.size), dtype=np.int64))[0])
        gains = net_benefit_gain(case, risk, threshold, drawn)
    return _grouped(risk, case, control, weight, auc, threshold=float(threshold[0])).model_copy(
        update={
            "horizon": survival.horizons[0].time if survival else None,
            "unit": survival.unit if survival else None,
            "gain": gain,
            "gain_lower": float(np.nanquantile(gains, (1 - LEVEL) / 2)),
        }
    )


def _threshold(declared: float | None, rate: float) -> float:
    """The model's own, else how often the event comes."""
    return float(np.clip(rate if declared is None else declared, 0.001, 0.999))


def _grouped(
    risk: Array,
    case: NDArray[np.bool_],
    control: NDArray[np.bool_],
    weight: Array,
    auc: Estimate,
    *,
    threshold: float,
) -> Outcomes:
    limits = sorted({float(f"{limit:.3g}") for limit in np.quantile(risk, np.linspace(0, 1, GROUPS + 1)[1:-1])})
    group = np.searchsorted(limits, risk, side="left")
    count = len(limits) + 1
    patients = np.maximum(np.bincount(group, minlength=count), 1)
    return Outcomes(
        horizon=None,
        unit=None,
        known=int((case | control).sum()),
        limits=tuple(limits),
        expected=tuple(np.bincount(group, risk, count) / patients),
        events=tuple(np.bincount(group, weight * case, count).round(2)),
        others=tuple(np.bincount(group, weight * control, count).round(2)),
        auc=auc.value,
        auc_lower=max(auc.lower, 0.0) if auc.lower == auc.lower else 0.0,
        threshold=threshold,
        gain=0.0,
        gain_lower=0.0,
    )
