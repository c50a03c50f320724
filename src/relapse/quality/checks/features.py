"""Coded checks of features: values that are missing, equal, copied or measured in a way that no single rule can see.

Those that test something share their level among all predictors, so that a wide table of noise raises none. Each
counts patients, not rows.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import hypergeom, rankdata

from relapse.cohorts.declared.features import Numeric
from relapse.cohorts.schema import Cohort
from relapse.ground.finding import Finding
from relapse.quality.checks.columns import as_numbers, first_rows
from relapse.quality.checks.leakage import HONEST
from relapse.quality.checks.units import mixed_units, outside_by_a_unit
from relapse.quality.codes import F001, F002, F003, F004, F005, F006, F007, F010

#: Chance of one false finding of a check in a whole table of noise.
FALSE_ALARM = 0.001

#: Differences in missing shares below these are told by no check, however sure they are.
BY_OUTCOME, BY_SITE = 0.1, 0.2

#: Patients needed to call a column a running number or a copy, and different values needed for a copy.
ENOUGH, DIFFERENT = 20, 10

NEARLY_ALL = 0.99
RARE = 2


def _missing_by_outcome(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    lost = _missing(table, cohort)
    event = table.groupby("patient", sort=False)["event"].max() == 1
    found = _differing(lost, event.to_numpy()[:, None], least=BY_OUTCOME)
    return [
        F001.found(
            name,
            f"is missing in {inside:.0%} of the patients with the event and in {outside:.0%} of the others: whether it "
            "is known tells the outcome. Look how it was recorded; if it was filled in or deleted once the outcome was "
            "known, declare `known: after`.",
        )
        for name, _, inside, outside in found
    ]


def _missing_by_site(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    if cohort.site is None:
        return []
    lost = _missing(table, cohort)
    code, names = pd.factorize(table.drop_duplicates("patient")["site"], sort=True)
    members = code[:, None] == np.arange(len(names))
    told: dict[str, Finding] = {}
    for name, column, inside, outside in _differing(lost, members, least=BY_SITE):
        message = (
            f"is missing in {inside:.0%} of the patients at {cohort.site} {names[column]} and in {outside:.0%} "
            "elsewhere. Ask whether it was measured there; a model can take the site from what is missing. Leave it "
            "out, or leave the site out by an exclusion."
        )
        told.setdefault(name, F002.found(name, message))
    return list(told.values())


def _missing(table: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """Whether a predictor is missing in any row of a patient, for those predictors with missing values.

    Patients stand in the order of their first rows.
    """
    lost = table[cohort.predictors].isna()
    lost = lost[lost.columns[lost.any()]]
    # Grouping a million rows takes seconds, also where there is nothing to be grouped.
    return lost if table["patient"].is_unique else lost.groupby(table["patient"], sort=False).any()


def _differing(lost: pd.DataFrame, groups: NDArray[np.bool_], *, least: float) -> list[tuple[str, int, float, float]]:
    """Columns whose missing share differs between a group of patients and the others, by Fisher's exact test.

    ``groups`` has a column a group. Given are column, group, and the missing share in it and outside, the largest
    difference first.
    """
    if lost.empty or not len(lost.columns):
        return []
    values = lost.to_numpy(dtype=float)
    inside, size = values.T @ groups.astype(float), groups.sum(axis=0)
    total, patients = values.sum(axis=0)[:, None], len(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        within, without = inside / size, (total - inside) / (patients - size)
    # The exact test sums over all tables: of a million patients that takes seconds, and most differences are small.
    differing = np.nonzero(np.abs(within - without) >= least)
    cells = (inside[differing], total[differing[0], 0], size[differing[1]])
    one_sided = np.minimum(
        hypergeom.sf(cells[0] - 1, patients, *cells[1:]), hypergeom.cdf(cells[0], patients, *cells[1:])
    )
    found = np.zeros(inside.shape, dtype=bool)
    found[differing] = 2 * one_sided * inside.size < FALSE_ALARM
    places = sorted(np.argwhere(found).tolist(), key=lambda place: -abs(within[*place] - without[*place]))
    return [
        (str(lost.columns[column]), group, float(within[column, group]), float(without[column, group]))
        for column, group in places
    ]


def _running_number(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    findings = []
    people = table.drop_duplicates("patient")
    for name in cohort.numeric(cohort.predictors):
        values = people[name].to_numpy(dtype=float)
        values = values[~np.isnan(values)]
        if len(values) < max(ENOUGH, 0.9 * len(people)) or (values % 1 != 0).any():
            continue
        steps = np.diff(values)
        in_order = (steps > 0).all() or (steps < 0).all()
        without_gap = np.ptp(values) == len(values) - 1 and len(np.unique(values)) == len(values)
        if in_order or without_gap:
            message = (
                "looks like a running number: whole numbers, another one for each patient, in the order of the rows or "
                "without a gap. A number, date or rank given to patients predicts nothing in others: leave it out."
            )
            findings.append(F003.found(name, message))
    return findings


def _copies(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    people = table.drop_duplicates("patient")
    names = cohort.numeric(cohort.predictors)
    copies = _same_order(people[names].to_numpy()) if len(people) >= ENOUGH and len(names) > 1 else {}
    findings = [_copy(names[copy], names[original]) for copy, original in copies.items()]
    seen: dict[bytes, str] = {}
    for name in cohort.categorical(cohort.predictors):
        codes = pd.factorize(people[name])[0]
        counts = np.bincount(codes + 1)
        counts = counts[counts > 0]
        # How many arrangements of these values there are (−log): rare levels agree by chance, common ones do not.
        surprise = -(counts * np.log(counts / len(codes))).sum()
        if surprise < 2 * np.log(len(cohort.predictors)) - np.log(FALSE_ALARM):
            continue
        original = seen.setdefault(codes.tobytes(), name)
        if original != name:
            findings.append(_copy(name, original))
    return findings


def _copy(name: str, original: str) -> Finding:
    message = (
        f"says what {original} says: it orders all patients alike, or in reverse. It is the same quantity twice "
        "(another unit, rounded, transformed or recoded): leave one of them out."
    )
    return F004.found(name, message)


def _same_order(values: NDArray[np.float64]) -> dict[int, int]:
    """Columns that are a monotone function of another one wherever both are known, with that other one."""
    known = ~np.isnan(values)
    ranks = rankdata(np.where(known, values, np.inf), axis=0)
    ranks = np.where(known, ranks, np.nan)
    means = np.nansum(ranks, axis=0) / np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, ranks - means, 0)
    centred /= np.sqrt(np.maximum((centred**2).sum(axis=0), 1))
    near = np.triu(np.abs(centred.T @ centred) > 0.95, k=1)
    different = (np.diff(np.sort(ranks, axis=0), axis=0) > 0).sum(axis=0)
    copies: dict[int, int] = {}
    for first, second in np.argwhere(near):
        both = known[:, first] & known[:, second]
        # The finer of the two is the original; a rounded copy has fewer values.
        fine, coarse = (first, second) if different[first] >= different[second] else (second, first)
        if (
            different[coarse] < DIFFERENT - 1
            or both.sum() < ENOUGH
            or both.sum() < 0.9 * max(known[:, first].sum(), known[:, second].sum())
        ):
            continue
        one, other = values[both, fine], values[both, coarse]
        order = np.lexsort((other, one))
        steps, others = np.diff(one[order]), np.diff(other[order])
        if (others[steps == 0] == 0).all() and ((others >= 0).all() or (others[steps > 0] <= 0).all()):
            copies.setdefault(int(coarse), int(fine))
    return copies


def _constant_in_group(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    people = table.drop_duplicates("patient")
    event, values = (people["event"] == 1).to_numpy(), as_numbers(people, cohort)
    findings = []
    for group, words in ((event, "with"), (~event, "without")):
        least, most = np.fmin.reduce(values[group]), np.fmax.reduce(values[group])
        for column in np.flatnonzero(least == most):
            inside, outside = (part[~np.isnan(part)] for part in (values[group, column], values[~group, column]))
            if not len(outside):
                continue
            share = float((outside == inside[0]).mean())
            # A smaller share is a separation, which L001 and L005 tell.
            if share <= 2 * (1 - HONEST) or share ** len(inside) * 2 * len(cohort.predictors) >= FALSE_ALARM:
                continue
            message = (
                f"has one value only in all {len(inside)} patients {words} the event, and others in {1 - share:.0%} of "
                "the rest. Look whether it was filled in for one group; if after baseline, declare `known: after`."
            )
            findings.append(F005.found(cohort.predictors[column], message))
    return findings


def _nearly_constant(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    findings = []
    values = as_numbers(table, cohort)
    known = ~np.isnan(values)
    # A value that most rows have is the one in the middle.
    place = (known.sum(axis=0) - 1) // 2
    common = np.take_along_axis(np.sort(values, axis=0), np.maximum(place, 0)[None, :], axis=0)[0]
    rare = known & (values != common)
    share = 1 - rare.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    for column in np.flatnonzero((share >= NEARLY_ALL) & rare.any(axis=0)):
        message = (
            f"has one value in {share[column]:.1%} of the rows: it can tell next to nothing. Look whether the few "
            "others are mistakes, or leave it out."
        )
        rows = first_rows(table, rare[:, column])
        findings.append(F006.found(cohort.predictors[column], message, rows))
    return findings


def _rare_levels(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    findings = []
    person = pd.factorize(table["patient"])[0]
    most = np.bincount(person).max()
    for name in cohort.categorical(cohort.predictors):
        codes, levels = table[name].cat.codes.to_numpy(), table[name].cat.categories
        rows = np.bincount(codes[codes >= 0], minlength=len(levels))
        rare = [
            str(level)
            for code, level in enumerate(levels)
            if 0 < rows[code] <= RARE * most and len(np.unique(person[codes == code])) <= RARE
        ]
        if rare:
            noun = "level" if len(rare) == 1 else "levels"
            message = (
                f"only one or two patients have the {noun} {', '.join(rare[:10])}{', …' if len(rare) > 10 else ''}: in "
                "most folds no model learns from them. Give the code the name of a neighbouring level under `levels`, "
                "or leave them out by an exclusion."
            )
            findings.append(F007.found(name, message))
    return findings


def _outside_learnt(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    findings = []
    for name in cohort.numeric(list(cohort.features)):
        feature = cohort.features[name]
        if not (isinstance(feature, Numeric) and feature.learnt):
            continue
        outside = (table[name] < feature.range[0]) | (table[name] > feature.range[1])
        if outside.any():
            count = int(outside.sum())
            message = (
                f"{count} {'value lies' if count == 1 else 'values lie'} outside {feature.range[0]:g} to "
                f"{feature.range[1]:g}, the range learnt from the others: look whether they can be. A model made of "
                "them leans on few rows."
            )
            findings.append(F010.found(name, message, first_rows(table, outside)))
    return findings


CHECKS = (
    _missing_by_outcome,
    _missing_by_site,
    _running_number,
    _copies,
    _constant_in_group,
    _nearly_constant,
    _rare_levels,
    mixed_units,
    _outside_learnt,
)
#: These need no more than columns of numbers. They also run where a rule is broken, and may say why it is.
ALWAYS = (mixed_units, outside_by_a_unit)
