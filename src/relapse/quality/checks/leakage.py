"""Coded checks for features and rows that give the outcome away.

====  ========  =======================================================================================
code  severity  what it finds
====  ========  =======================================================================================
L001  error     one feature alone separates relapse from none almost perfectly: it was recorded afterwards
L002  error     identical rows (all predictors and the outcome) under different patients: duplicates
L003  warning   a patient's rows disagree on the outcome
L004  warning   a feature has one value only: it can tell nothing
====  ========  =======================================================================================
"""

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu

from relapse.cohorts.schema import Categorical, Cohort
from relapse.quality.checks.finding import Finding

#: AUC of one feature above which it is taken for the outcome in disguise; honest single features stay below 0.9.
SEPARATION = 0.98


def _separating(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    findings = []
    event = table["event"].to_numpy() == 1
    for name in cohort.predictors:
        column = table[name]
        # A nominal feature has no order of its own: its levels are ordered by their share of events.
        if isinstance(cohort.features[name], Categorical):
            values = column.map(table.groupby(name, observed=True)["event"].mean()).astype(float).to_numpy()
        else:
            values = column.to_numpy(dtype=float)
        known = ~np.isnan(values)
        cases, controls = values[known & event], values[known & ~event]
        if not len(cases) or not len(controls):
            continue
        auc = float(mannwhitneyu(cases, controls).statistic) / (len(cases) * len(controls))
        if max(auc, 1 - auc) >= SEPARATION and min(len(cases), len(controls)) >= 5:
            findings.append(
                Finding(
                    "L001",
                    "error",
                    name,
                    f"separates the outcome almost perfectly on its own (AUC {max(auc, 1 - auc):.3f}). "
                    "If it was recorded after baseline, declare `known: after`.",
                )
            )
    return findings


def _duplicates(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    # With few features, two patients may honestly agree in all; with several numeric ones they do not.
    if len(cohort.numeric(cohort.predictors)) < 3:
        return []
    outcome = ["event", *(["time"] if cohort.survival else [])]
    same = table.duplicated([*cohort.predictors, *outcome], keep=False)
    groups = table[same].groupby([*cohort.predictors, *outcome], observed=True, dropna=False)["patient"]
    across = groups.transform("nunique") > 1 if same.any() else pd.Series(dtype=bool)
    rows = table.loc[across[across].index, "row"].tolist()
    if not rows:
        return []
    message = f"{len(rows)} rows are identical in every predictor and the outcome, yet belong to different patients."
    return [Finding("L002", "error", "(all predictors)", message, tuple(rows[:5]))]


def _disagreeing(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    differing = table.groupby("patient")["event"].transform("nunique") > 1
    if not differing.any():
        return []
    patients = int(table.loc[differing, "patient"].nunique())
    rows = tuple(table.loc[differing, "row"].tolist()[:5])
    return [Finding("L003", "warning", "event", f"{patients} patients have rows with different outcomes.", rows)]


def _constant(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    constant = [name for name in cohort.predictors if table[name].nunique(dropna=True) < 2]
    return [Finding("L004", "warning", name, "has one value only.") for name in constant]


CHECKS = (_separating, _duplicates, _disagreeing, _constant)
