"""Coded checks of the outcome: that no feature is the follow-up, that it reaches the horizons, that there is enough."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau

from relapse.cohorts.declared.endpoint import UNITS, Horizon, SurvivalEndpoint, horizon
from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import MIN_EACH, counts, for_parameters, parameters
from relapse.ground.finding import Finding
from relapse.quality.checks.context import Context
from relapse.quality.codes import O001, O002, O003, O004, O005, O006

Array = NDArray[np.float64]

#: Gamma with the time above which a feature is taken for it; honest single features stay below 0.6 (a C of 0.8).
ORDERING = 0.95

#: Patients whose order is looked at: of more, so many are drawn, always the same; gamma is then known to a hundredth.
LOOKED_AT = 20_000

#: R² of the time on two features above which they are taken to make it up, and the patients that this takes to be seen.
EXPLAINED, FOR_EXPLAINED = 0.9, 30

#: Patients of each outcome at a horizon below which its figures are weak (Collins et al., Stat Med 2016;35:214-226).
FEW = 100


def _time_in_features(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    if cohort.survival is None:
        return []
    people = _patients(table)
    alone = {name: gamma for name in cohort.predictors if (gamma := _ordering(people, cohort, name)) is not None}
    found = [
        O001.found(
            name,
            f"puts the patients in the order of their time, or the reverse (Goodman and Kruskal's gamma {gamma:+.3f}): "
            "it is the follow-up, or was made from it. Take it out, or declare `known: after`.",
        )
        for name, gamma in alone.items()
    ]
    rest = [name for name in cohort.numeric(cohort.predictors) if name not in alone]
    for one, other, explained in _making_up(people[people["event"] == 1], rest):
        message = (
            f"these two features together give the time of the patients with the event (R² {explained:.3f}): one is "
            "known only at the event. Take it out, or declare it `known: after`."
        )
        found.append(O002.found(f"{one}, {other}", message))
    return found


def _patients(table: pd.DataFrame) -> pd.DataFrame:
    """A row a patient: rows of one patient would count her agreement with herself."""
    # Grouping a million rows takes ten seconds, also where there is nothing to be grouped.
    if table["patient"].is_unique:
        return table
    return table.groupby("patient", observed=True).first()


def _ordering(people: pd.DataFrame, cohort: Cohort, name: str) -> float | None:
    """Gamma of a feature with the time where it orders the patients; None where it does not.

    Those with the event are looked at in either direction. All of them only in the one: where follow-up ends on one
    day for everybody, an honest year of diagnosis runs against the time of the censored.
    """
    everyone = people[[name, "time", "event"]].dropna(subset=[name])
    for known, directions in ((everyone[everyone["event"] == 1], (1, -1)), (everyone, (1,))):
        if len(known) > LOOKED_AT:
            drawn = np.random.default_rng(0).choice(len(known), LOOKED_AT, replace=False)
            known = known.iloc[np.sort(drawn)]
        values = _values(known, cohort, name)
        kept = np.isfinite(values)
        gamma = _gamma(values[kept], known["time"].to_numpy(dtype=np.float64)[kept])
        if any(direction * gamma >= ORDERING for direction in directions):
            return gamma
    return None


def _values(known: pd.DataFrame, cohort: Cohort, name: str) -> Array:
    feature = cohort.features[name]
    if not isinstance(feature, Categorical):
        return known[name].to_numpy(dtype=np.float64)
    if feature.type == "ordinal":
        return np.asarray(known[name].cat.codes, dtype=np.float64)
    # Nominal levels have no order of their own: theirs is that of their times, of those with enough patients.
    times = known.groupby(name, observed=True)["time"].agg(["median", "size"])
    medians = times.loc[times["size"] >= MIN_EACH, "median"]
    return known[name].astype(object).map(medians).to_numpy(dtype=np.float64)


def _gamma(values: Array, time: Array) -> float:
    """Concordant less discordant pairs over both, so that a time rounded to years counts like the time itself.

    NaN where fewer than :data:`MIN_EACH` patients have another value than the most common one.
    """
    _, often = np.unique(values, return_counts=True)
    if len(values) - often.max(initial=0) < MIN_EACH:
        return float("nan")
    pairs = len(values) * (len(values) - 1) / 2
    in_values, in_time = _tied(values), _tied(time)
    untied = pairs - in_values - in_time + _tied(np.column_stack([values, time]))
    if not untied:
        return float("nan")
    tau = float(kendalltau(values, time).statistic)
    return float(tau * np.sqrt((pairs - in_values) * (pairs - in_time)) / untied)


def _tied(values: Array) -> float:
    _, often = np.unique(values, axis=0, return_counts=True)
    return float((often * (often - 1) / 2).sum())


def _making_up(relapsed: pd.DataFrame, names: list[str]) -> list[tuple[str, str, float]]:
    """Pairs of features that the time is a linear function of: looked for by correlations, confirmed by a fit."""
    if len(relapsed) < FOR_EXPLAINED or len(names) < 2:
        return []
    known = relapsed[["time", *names]].corr(min_periods=FOR_EXPLAINED).to_numpy()
    one, other = np.triu_indices(len(names), 1)
    first, second, between = known[0, 1 + one], known[0, 1 + other], known[1 + one, 1 + other]
    with np.errstate(divide="ignore", invalid="ignore"):
        explained = (first**2 + second**2 - 2 * first * second * between) / (1 - between**2)
    found = []
    for place in np.flatnonzero(explained >= EXPLAINED):
        pair = [names[one[place]], names[other[place]]]
        whole = relapsed[["time", *pair]].dropna().to_numpy(dtype=np.float64)
        if len(whole) >= FOR_EXPLAINED and (share := _explained(whole[:, 0], whole[:, 1:])) >= EXPLAINED:
            found.append((*pair, share))
    return found


def _explained(time: Array, values: Array) -> float:
    centred, design = time - time.mean(), values - values.mean(axis=0)
    rest = centred - design @ np.linalg.lstsq(design, centred, rcond=None)[0]
    return float(1 - (rest @ rest) / (centred @ centred)) if centred.any() else 0.0


def _horizons(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    endpoint = cohort.survival
    if endpoint is None:
        return []
    people = _patients(table)
    time, event = people["time"].to_numpy(dtype=np.float64), people["event"].to_numpy() == 1
    found = []
    for item in endpoint.horizons:
        beyond, by = _at(item, time, event)
        told = (
            f"horizon {item.label}: of {len(people)} patients, {beyond} are followed beyond it, free of the event "
            f"until then, and {by} had the event by then"
        )
        if min(beyond, by) < MIN_EACH:
            # With so few events in all, no horizon and no unit would do.
            ask = _unit(endpoint, time, event) if event.sum() >= MIN_EACH else f"There are {event.sum()} events in all."
            message = f"{told}; at least {MIN_EACH} of each are needed. {ask}"
            found.append(O003.found("time", message))
        elif min(beyond, by) < FEW:
            message = f"{told}; with fewer than {FEW} of each, its figures have wide intervals."
            found.append(O004.found("time", message))
    return found


def _at(item: Horizon, time: Array, event: NDArray[np.bool_]) -> tuple[int, int]:
    return int((time > item.time).sum()), int((event & (time <= item.time)).sum())


def _unit(endpoint: SurvivalEndpoint, time: Array, event: NDArray[np.bool_]) -> str:
    """Ask whether the unit is right, with the follow-up that there is and any unit that would fit every horizon."""
    median = median_follow_up(time, event)
    half = f"is {median:.{0 if median >= 10 else 1}f} {endpoint.unit}s" if np.isfinite(median) else "is not reached"
    fitting = [
        unit
        for unit in UNITS
        if all(min(_at(horizon(item.label, unit), time, event)) >= MIN_EACH for item in endpoint.horizons)
    ]
    other = f"`unit: {'` or `unit: '.join(fitting)}` would fit all horizons. " if fitting else ""
    return (
        f"The median follow-up (reverse Kaplan-Meier) {half}: is `unit: {endpoint.unit}` right? {other}If it is, "
        "declare horizons that the follow-up reaches."
    )


def median_follow_up(time: Array, event: NDArray[np.bool_]) -> float:
    """Median of the follow-up, by :func:`follow_up`."""
    return follow_up(time, event, still=0.5)


def follow_up(time: Array, event: NDArray[np.bool_], *, still: float) -> float:
    """The time by which a share ``still`` is still followed, by the reverse Kaplan-Meier curve; NaN where none is.

    At one time events come before censorings. Schemper M, Smith TL (1996), Control Clin Trials 17:343-346.
    """
    moments, lost = np.unique(time[~event], return_counts=True)
    at_risk = np.array([(time > moment).sum() for moment in moments]) + lost
    reached = np.flatnonzero(np.cumprod(1 - lost / at_risk) <= still)
    return float(moments[reached[0]]) if len(reached) else float("nan")


CHECKS = (_time_in_features, _horizons)


def sizes(table: pd.DataFrame, cohort: Cohort, context: Context) -> list[Finding]:
    """Findings about the number of patients, held against what the run asks for."""
    found = counts(table)
    lacking = {folds.lacking(found) for folds in context.folds} - {""}
    findings = [O005.found("event", text) for text in sorted(lacking)]
    if context.events_per_parameter is not None:
        findings += _for_each_parameter(cohort, for_parameters(cohort, found), context.events_per_parameter)
    return findings


def _for_each_parameter(cohort: Cohort, people: int, needed: float) -> list[Finding]:
    every, reference = parameters(cohort, cohort.predictors), parameters(cohort, cohort.reference)
    if people / every >= needed:
        return []
    # The number asked for is not told: a change of the policy would change the gate's record, and all that hangs on it.
    message = (
        f"{people} patients with the {'event' if cohort.survival else 'rarer outcome'} for {every} parameters of all "
        f"predictors, {people / every:.1f} for each: fewer than register.events_per_parameter in params.yaml, so that "
        f"a model of all of them cannot be promoted. The clinical reference has {reference} "
        f"({people / reference:.1f} for each)."
    )
    return [O006.found("event", message)]
