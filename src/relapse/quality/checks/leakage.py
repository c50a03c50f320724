"""Coded checks for features that give the outcome away, or nothing; L002 and L003, on rows, stand in ``rows``."""

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata

from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort
from relapse.ground.finding import Finding
from relapse.quality.checks.columns import as_numbers
from relapse.quality.codes import L001, L004, L005

#: AUC of one feature above which it is taken for the outcome in disguise; honest single features stay below 0.9.
SEPARATION = 0.98
HONEST = 0.9

#: Levels with fewer rows are taken together before levels are ordered by their share of events.
RARE = 5

#: Chance of one false finding in a table of noise, over all its features.
FALSE_ALARM = 0.001


def _separating(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    event = table["event"].to_numpy() == 1
    values = np.column_stack([_ordered(table, cohort, name) for name in cohort.predictors])
    known = ~np.isnan(values)
    # Missing values come last and so leave the ranks of the others as they are.
    ranks = rankdata(np.where(known, values, np.inf), axis=0)
    cases, controls = (known & event[:, None]).sum(axis=0), (known & ~event[:, None]).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        below = np.where(known & event[:, None], ranks, 0).sum(axis=0) - cases * (cases + 1) / 2
        area = below / (cases * controls)
        spread = np.sqrt((cases + controls + 1) / (12 * cases * controls) * len(table) / table["patient"].nunique())
        p = 2 * norm.sf(np.abs(area - 0.5) / spread) * len(cohort.predictors)
    findings = []
    for name, auc, few, chance in zip(
        cohort.predictors, np.maximum(area, 1 - area), np.minimum(cases, controls), p, strict=True
    ):
        if few < 5 or auc < HONEST:
            continue
        if auc >= SEPARATION:
            message = (
                f"separates the outcome almost perfectly on its own (AUC {auc:.3f}). "
                "If it was recorded after baseline, declare `known: after`."
            )
            findings.append(L001.found(name, message))
        elif chance < FALSE_ALARM:
            message = (
                f"separates the outcome better on its own than honest features do (AUC {auc:.3f}). Look how and when "
                "it was recorded: if after baseline, or with knowledge of the outcome, declare `known: after`."
            )
            findings.append(L005.found(name, message))
    return findings


def _ordered(table: pd.DataFrame, cohort: Cohort, name: str) -> np.ndarray:
    column = table[name]
    if not isinstance(cohort.features[name], Categorical):
        return column.to_numpy(dtype=float)
    # A nominal feature has no order of its own: its levels are ordered by their share of events. Rare levels are one,
    # or a level a patient would separate anything.
    codes = column.cat.codes.to_numpy()
    counts = np.bincount(codes[codes >= 0], minlength=len(column.cat.categories))
    level = np.where(codes < 0, -1, np.where(counts[codes] < RARE, len(counts), codes))
    known, event = level >= 0, table["event"].to_numpy(dtype=float)
    share = np.bincount(level[known], event[known]) / np.maximum(np.bincount(level[known]), 1)
    return np.where(known, share[level], np.nan) if known.any() else np.full(len(level), np.nan)


def _constant(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    message = "has one value only: it can tell nothing. Leave it out, or look where its values were lost."
    values = as_numbers(table, cohort)
    constant = ~(np.fmin.reduce(values) < np.fmax.reduce(values))
    return [L004.found(cohort.predictors[column], message) for column in np.flatnonzero(constant)]


CHECKS = (_separating, _constant)
