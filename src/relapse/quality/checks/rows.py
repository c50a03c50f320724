"""Coded checks of rows: the same row twice, and one patient under two identities or two under one."""

import re

import pandas as pd

from relapse.cohorts.schema import Cohort
from relapse.ground.finding import Finding
from relapse.quality.checks.columns import first_rows, outcome_columns
from relapse.quality.checks.resemblance import Pair, alike
from relapse.quality.codes import L002, L003, R001, R002, R003, R004, R005, R006

#: Expected number of pairs that agree by chance, below which copies are an error and near copies are told.
COPIES, NEAR_COPIES = 0.001, 0.02


def _repeated(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    if cohort.patient is None or cohort.view:
        return []
    again = table.duplicated(["patient", "site", *cohort.features, *outcome_columns(cohort)])
    again &= table["patient"].notna()
    if not again.any():
        return []
    return [
        R001.found(
            f"(all columns), patient: {cohort.patient}",
            f"{_number(again.sum(), 'row repeats', 'rows repeat')} an earlier row of the same patient in every "
            "declared column. Delete them; where they are different views of one patient (projection, breast, slice), "
            "name the column that tells them apart under `view` in the declaration.",
            first_rows(table, again),
        )
    ]


def _repeated_view(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    if not cohort.view:
        return []
    again = table.duplicated(["patient", "view"]) & table["patient"].notna() & table["view"].notna()
    if not again.any():
        return []
    return [
        R002.found(
            f"view: {', '.join(cohort.view)}",
            f"{_number(again.sum(), 'row has', 'rows have')} the patient and the view of an earlier row. Each view of "
            "a patient stands there once: delete the copies, or correct the view.",
            first_rows(table, again),
        )
    ]


def _two_patients(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    """Copies under different patients (L002) and near copies (R003)."""
    # With few features, or coarse ones, two patients may honestly agree in all: chance explains it, and none is told.
    pairs = alike(table[[*cohort.predictors, *outcome_columns(cohort)]], table["patient"])
    copies = [pair for pair in pairs if pair.differs is None and pair.chance < COPIES]
    near = [pair for pair in pairs if pair.differs is not None and pair.chance < NEAR_COPIES]
    if cohort.patient:
        remedy = f"delete the copies, or give them one name in {cohort.patient}"
    else:
        remedy = "delete the copies; where a patient has several rows, name the patient's column under `patient`"
    return [*_copies(copies, table, remedy), *_near_copies(near, table, remedy)]


def _copies(pairs: list[Pair], table: pd.DataFrame, remedy: str) -> list[Finding]:
    if not pairs:
        return []
    positions = sorted({position for pair in pairs for position in (pair.first, pair.second)})
    message = (
        f"{len(positions)} rows are identical in every predictor and the outcome, yet belong to different patients. "
        f"If it is one patient, {remedy}: rows of one patient must not stand on both sides of a split."
    )
    return [L002.found("(all predictors)", message, tuple(table["row"].iloc[positions].tolist()[:5]))]


def _near_copies(pairs: list[Pair], table: pd.DataFrame, remedy: str) -> list[Finding]:
    if not pairs:
        return []
    row = table["row"].tolist()
    shown = "; ".join(f"{row[pair.first]} and {row[pair.second]} (all but {pair.differs})" for pair in pairs[:3])
    more = "; …" if len(pairs) > 3 else ""
    found = "1 pair" if len(pairs) == 1 else f"{len(pairs)} pairs"
    message = (
        f"{found} of rows agree in every predictor and the outcome but one value, yet belong to different patients, "
        "which chance does not explain: data rows "
        f"{shown}{more}. If it is one patient, {remedy}: rows of one patient must not stand on both sides of a split."
    )
    return [R003.found("(all predictors but one)", message)]


def _disagreeing(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    findings: list[Finding] = []
    if table["patient"].is_unique:
        return findings
    for column in outcome_columns(cohort):
        differing = table.groupby("patient")[column].transform("nunique") > 1
        if not differing.any():
            continue
        patients = int(table.loc[differing, "patient"].nunique())
        message = (
            f"{_number(patients, 'patient has', 'patients have')} rows with different outcomes. Relapse is a "
            "patient's, not a row's: correct the rows, unless each has a baseline of its own."
        )
        findings.append(L003.found(column, message, first_rows(table, differing)))
    return findings


def _several_sites(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    if cohort.patient is None or cohort.site is None or table["patient"].is_unique:
        return []
    several = table.groupby("patient")["site"].transform("nunique") > 1
    if not several.any():
        return []
    patients = int(table.loc[several, "patient"].nunique())
    return [
        R004.found(
            f"patient: {cohort.patient}",
            f"{_number(patients, 'patient has', 'patients have')} rows at more than one site ({cohort.site}). If the "
            "sites number their patients each for itself, these are different people under one name: write the site "
            "before the number.",
            first_rows(table, several),
        )
    ]


def _same_name(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    if cohort.patient is None:
        return []
    known = table.loc[table["patient"].notna(), "patient"]
    names = pd.Series({name: _plain(name) for name in known.unique()}, dtype=object)
    alike = known.isin(names.index[names.duplicated(keep=False)])
    if not alike.any():
        return []
    return [
        R005.found(
            f"patient: {cohort.patient}",
            f"{_number(alike.sum(), 'row has a name', 'rows have names')} of a patient that differ from another one in "
            "nothing but upper and lower case, spaces, signs or leading zeros. If it is one patient, write the name in "
            "one way: rows of one patient must not stand on both sides of a split.",
            first_rows(table, alike.reindex(table.index, fill_value=False)),
        )
    ]


def _lonely_sites(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    if cohort.site is None:
        return []
    patients = table.groupby("site")["patient"].nunique()
    lonely = patients.index[patients == 1]
    if lonely.empty:
        return []
    return [
        R006.found(
            f"site: {cohort.site}",
            f"{_number(len(lonely), 'site has', 'sites have')} one patient, of {len(patients)} in all: nothing can be "
            "said by site there, and a model validated at one has one patient to be judged by. Name a coarser column "
            "as the site, or leave such sites out by an exclusion.",
            first_rows(table, table["site"].isin(lonely)),
        )
    ]


def _plain(name: str) -> str:
    """A name as its runs of letters and of digits: P-007 and p7 are alike, 1-11 and 11-1 are not."""
    return "-".join(part.lstrip("0") or "0" for part in re.findall(r"[^\W\d_]+|\d+", str(name).casefold()))


def _number(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


#: These need no column of features as declared: they also run where a rule is broken.
ALWAYS = (_repeated, _repeated_view, _several_sites, _same_name, _lonely_sites)
CHECKS = (_two_patients, _disagreeing, *ALWAYS)
