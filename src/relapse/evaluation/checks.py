"""Coded checks of a predictions table: what makes its figures mean something else than they say."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from relapse.evaluation.metrics import Endpoint, Horizon
from relapse.evaluation.statistics.ranking.binary import auc_estimate
from relapse.evaluation.statistics.results import Estimate
from relapse.evaluation.statistics.survival.horizon import time_dependent_auc
from relapse.evaluation.statistics.survival.kaplan_meier import kaplan_meier
from relapse.ground.finding import Code, Finding
from relapse.quality.prediction_codes import S001, S002, S003, S004, S005, S006, S007

#: Rank correlation of a score with its own risk below which they point in different ways; honest ones are near 1.
OPPOSED = -0.2

#: How far the mean of risks has to be from the observed share before that alone can make them look turned round.
FAR = 0.25

#: Ranking metric from which a score is taken for the outcome in disguise.
SEPARATION = 0.98

#: Fewer rows with, or without, the event than this, and little can be said of a ranking.
EACH = 10

#: Share of all events by the last horizon below which time is taken to be in another unit.
FEW = 0.02

_DIRECTION = "Higher has to mean more likely to relapse"


def findings(
    flat: Mapping[str, pd.DataFrame], endpoint: Endpoint, ranked: Mapping[str, Estimate]
) -> tuple[Finding, ...]:
    """Everything found in the tables of some candidates: first what concerns all of them, then by candidate and code.

    Parameters
    ----------
    flat
        Candidate name to pooled table, all of the same rows.
    endpoint
        Says which columns there are.
    ranked
        Candidate name to the ranking metric of its score, with the interval.
    """
    found = [S005.found("time", message) for message in _horizons(next(iter(flat.values())), endpoint)]
    for name, table in flat.items():
        mine = [
            *_directions(table, endpoint, ranked[name]),
            *_falling(table, endpoint),
            *_outcome(table, endpoint, ranked[name]),
            *_thresholds(table, endpoint),
        ]
        mine.sort(key=lambda item: item[0].code)
        found += [code.found(f"{name}.{column}", message) for code, column, message in mine]
    return tuple(found)


_Found = Iterator[tuple[Code, str, str]]


def _directions(table: pd.DataFrame, endpoint: Endpoint, ranked: Estimate) -> _Found:
    """Wrong directions of the score and of every risk: S001, S002, S003."""
    if ranked.upper < 0.5:
        yield (
            S001,
            "score",
            f"ranks rows against the outcome ({endpoint.primary.label} {ranked.value:.3f}, upper 95% bound "
            f"{ranked.upper:.3f}). {_DIRECTION}: turn a survival time or a survival probability round, or the model "
            "is worse than chance.",
        )
    agreements = {column: _agreement(table["score"], table[column]) for column in endpoint.risk_columns}
    opposed = [column for column, agreement in agreements.items() if agreement < OPPOSED]
    if opposed:
        lowest = min(agreements.values())
        yield (
            S002,
            "score",
            f"ranks rows the other way round than {', '.join(opposed)} (rank correlation {lowest:.2f}). "
            f"{_DIRECTION}, in both.",
        )
    for column, horizon in _risks(endpoint):
        if not _enough(table, horizon):
            continue
        area = _area(table, column, horizon)
        against, right = bool(area.upper < 0.5), bool(area.lower > 0.5)
        observed, mean = _observed(table, horizon), float(table[column].mean())
        off, turned = abs(mean - observed), abs(1 - mean - observed)
        doubted = against or column in opposed or (off > FAR and turned < off / 2)
        if turned < off and doubted and not right:
            yield (
                S003,
                column,
                f"looks like the probability of staying free of the event: its mean is {mean:.2f}, the share with the "
                f"event {observed:.2f}, and its AUC {area.value:.3f}. Give 1 minus it.",
            )
        elif against:
            yield (
                S001,
                column,
                f"ranks rows against the outcome (AUC {area.value:.3f}, upper 95% bound {area.upper:.3f}). "
                f"{_DIRECTION}.",
            )


def _falling(table: pd.DataFrame, endpoint: Endpoint) -> _Found:
    """A patient who relapsed by three years has relapsed by five: S004."""
    for earlier, later in zip(endpoint.horizons, endpoint.horizons[1:], strict=False):
        rows = int((table[later.column] < table[earlier.column] - 1e-9).sum())
        if rows:
            yield (
                S004,
                later.column,
                f"is smaller than {earlier.column} in {rows} of {len(table)} rows; a risk cannot fall with time.",
            )


def _horizons(table: pd.DataFrame, endpoint: Endpoint) -> Iterator[str]:
    """Horizons that nobody reached, or that lie before nearly every event: S005."""
    if not endpoint.horizons:
        return
    unit = "Is time in the unit that was named (--unit day, week, month or year; `unit` of a declaration)?"
    beyond = [item for item in endpoint.horizons if not (table["time"] >= item.time).any()]
    if beyond:
        named = " and ".join(f"{item.label} ({item.time:g} in the unit of time)" for item in beyond)
        every = len(beyond) == len(endpoint.horizons)
        yield f"no row is followed up to {named}. {unit if every else 'Leave out what lies beyond the follow-up.'}"
    last, events = endpoint.horizons[-1], table.loc[table["event"] == 1, "time"]
    early = int((events <= last.time).sum())
    if early < FEW * len(events):
        when = f"{last.label} ({last.time:g} in the unit of time)"
        yield f"{early} of {len(events)} events come by the last horizon, {when}. {unit}"


def _outcome(table: pd.DataFrame, endpoint: Endpoint, ranked: Estimate) -> _Found:
    """The outcome given as a prediction: S006."""
    for column in ("score", *endpoint.risk_columns):
        for outcome in ("event", *(["time"] if endpoint.timed else [])):
            if _same_order(table[column], table[outcome]):
                yield S006, column, f"orders rows exactly as {outcome} does: it is the outcome, not a prediction."
                break
        else:
            value = max(ranked.value, 1 - ranked.value)
            if column == "score" and value >= SEPARATION and _enough(table, None):
                yield (
                    S006,
                    column,
                    f"tells the outcome apart almost perfectly ({endpoint.primary.label} {ranked.value:.3f}). "
                    "Was it made with the outcome, or for patients that the model was fitted to?",
                )


def _thresholds(table: pd.DataFrame, endpoint: Endpoint) -> _Found:
    """Thresholds that no risk can be held against: S007."""
    if endpoint.timed or not (endpoint.risks and endpoint.threshold):
        return
    missing = int(table["threshold"].isna().sum())
    outside = len(table) - missing - int(table["threshold"].between(0, 1).sum())
    if missing:
        yield S007, "threshold", f"is missing in {missing} of {len(table)} rows, which count as called negative."
    if outside:
        yield (
            S007,
            "threshold",
            f"lies outside [0, 1] in {outside} of {len(table)} rows. It is held against `risk`: give a probability.",
        )


def _risks(endpoint: Endpoint) -> list[tuple[str, Horizon | None]]:
    if endpoint.timed:
        return [(item.column, item) for item in endpoint.horizons]
    return [(column, None) for column in endpoint.risk_columns]


def _enough(table: pd.DataFrame, horizon: Horizon | None) -> bool:
    """Whether enough rows have the event (by the horizon), and enough have not."""
    happened = table["event"] == 1
    free = ~happened
    if horizon is not None:
        happened, free = happened & (table["time"] <= horizon.time), table["time"] > horizon.time
    return int(min(happened.sum(), free.sum())) >= EACH


def _area(table: pd.DataFrame, column: str, horizon: Horizon | None) -> Estimate:
    event, risk, patient = (table[name].to_numpy() for name in ("event", column, "patient"))
    if horizon is None:
        return auc_estimate(event, risk, clusters=patient)
    return time_dependent_auc(table["time"].to_numpy(), event, risk, horizon.time, clusters=patient)


def _observed(table: pd.DataFrame, horizon: Horizon | None) -> float:
    if horizon is None:
        return float(table["event"].mean())
    return 1 - float(kaplan_meier(table["time"].to_numpy(), table["event"].to_numpy())(horizon.time))


def _agreement(first: pd.Series, second: pd.Series) -> float:
    """Spearman's rank correlation; 1 where one of them is constant, since then nothing speaks against it."""
    if first.nunique() < 2 or second.nunique() < 2:
        return 1.0
    return float(spearmanr(first, second).statistic)


def _same_order(values: pd.Series, outcome: pd.Series) -> bool:
    """Whether ``values`` are a rising or falling transform of ``outcome``."""
    ranks, other = (item.rank(method="dense").to_numpy() for item in (values, outcome))
    return bool(np.array_equal(ranks, other) or np.array_equal(ranks.max() + 1 - ranks, other))
