"""Coded checks of a table against the version of it that was accepted: what has drifted since."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2_contingency

from relapse.cohorts.schema import Cohort
from relapse.ground.finding import Code, Finding
from relapse.quality.accepted import Accepted
from relapse.quality.codes import V001, V002, V003, V004

Counts = NDArray[np.int64]

#: Chance of one false finding among all comparisons of a table.
FALSE_ALARM = 0.001

#: Half the sum of all differences between two distributions (total variation) below which none is told.
SMALL = 0.1

#: Patients that a class has to be expected to hold for the chi-squared test, and that are needed to compare at all.
EXPECTED, ENOUGH = 5, 20


@dataclass(frozen=True, slots=True)
class _Compared:
    """Patients by class, in the accepted version and now."""

    code: Code
    column: str
    names: list[str]
    accepted: Counts
    now: Counts

    @property
    def added(self) -> "_Compared":
        """The patients who came since, where every class has only grown."""
        return _Compared(self.code, self.column, self.names, self.accepted, self.now - self.accepted)

    @property
    def grown(self) -> bool:
        return bool((self.now >= self.accepted).all())

    def p(self) -> float:
        """Of Pearson's test of whether both are distributed alike; classes of few patients are taken together."""
        both = np.vstack([self.accepted, self.now])
        both = both[:, both.sum(axis=0) > 0]
        if min(both.sum(axis=1)) < ENOUGH:
            return 1.0
        share = both.sum(axis=1).min() / both.sum()
        while both.shape[1] > 1 and (least := int(both.sum(axis=0).argmin())) >= 0:
            if both[:, least].sum() * share >= EXPECTED:
                break
            neighbour = least - 1 if least else 1
            both[:, neighbour] += both[:, least]
            both = np.delete(both, least, axis=1)
        return float(chi2_contingency(both, correction=False).pvalue) if both.shape[1] > 1 else 1.0

    @property
    def shares(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The shares of the classes, in the accepted version and now."""
        return tuple(counts / max(counts.sum(), 1) for counts in (self.accepted, self.now))

    @property
    def distance(self) -> float:
        before, after = self.shares
        return float(np.abs(after - before).sum() / 2)


def versions(table: pd.DataFrame, cohort: Cohort, accepted: Accepted | None) -> list[Finding]:
    """V001 to V004: how a typed table differs from the accepted version; nothing where none was accepted.

    Features that the accepted version does not have are not compared.
    """
    if accepted is None:
        return []
    people = table.drop_duplicates("patient")
    compared = _compared(people, cohort, accepted)
    gone = accepted.patients - len(people)
    added = gone < 0 and all(item.grown for item in compared)
    who = f"the {-gone} patients added" if added else f"all {len(people)} patients"
    findings = []
    for item in (one.added if added else one for one in compared):
        if item.distance >= SMALL and item.p() * len(compared) < FALSE_ALARM:
            findings.append(item.code.found(item.column, _told(item, who)))
    if gone > 0:
        message = f"{gone} patients fewer than the {accepted.patients} of the accepted version: look which were lost."
        findings.append(V004.found("patient", message))
    return findings


def _compared(people: pd.DataFrame, cohort: Cohort, accepted: Accepted) -> list[_Compared]:
    with_event = int((people["event"] == 1).sum())
    found = [
        _Compared(
            V003,
            "event",
            ["without the event", "with the event"],
            np.array([accepted.patients - accepted.with_event, accepted.with_event]),
            np.array([len(people) - with_event, with_event]),
        )
    ]
    for name in cohort.features:
        if name not in accepted.features:
            continue
        before, values = accepted.features[name], people[name]
        # A level that nobody had then has no class of its own: it stands behind the others.
        now = before.count(values)
        then = np.pad(np.array(before.counts, dtype=np.int64), (0, len(now) - len(before.counts)))
        names = [*before.names, *["levels that nobody had"] * (len(now) - len(before.counts))]
        found.append(_Compared(V001, name, names, then, now))
        missing = int(values.isna().sum())
        lost = np.array([accepted.patients - before.missing, before.missing])
        known = ["known", "missing"]
        found.append(_Compared(V002, name, known, lost, np.array([len(people) - missing, missing])))
    return found


def _told(item: _Compared, who: str) -> str:
    before, after = item.shares
    # Of two classes the second is what is asked for; of more, the one that changed most.
    place = 1 if len(item.names) == 2 and item.code is not V001 else int(np.abs(after - before).argmax())
    return (
        f"{item.names[place]} in {after[place]:.0%} of {who}, and in {before[place]:.0%} of the accepted version. Ask "
        f"what changed; where it is right, `relapse cohort accept` takes this table as the accepted one."
    )
