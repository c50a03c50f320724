"""All coded checks, in the order of their codes: the one place where a new one is added."""

from collections.abc import Callable

import pandas as pd

from relapse.cohorts.schema import Cohort
from relapse.quality.checks import leakage
from relapse.quality.checks.finding import Finding

Check = Callable[[pd.DataFrame, Cohort], list[Finding]]

CHECKS: tuple[Check, ...] = (*leakage.CHECKS,)


def findings(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    """All findings in a typed canonical table, in the order of the checks."""
    return [finding for check in CHECKS for finding in check(table, cohort)]
