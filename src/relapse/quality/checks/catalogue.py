"""All coded checks, in the order of their codes: the one place where a new one is added."""

from collections.abc import Callable

import pandas as pd

from relapse.cohorts.schema import Cohort
from relapse.quality.checks import leakage, outcome
from relapse.quality.checks.context import DEFAULT, Context
from relapse.quality.checks.finding import Finding

Check = Callable[[pd.DataFrame, Cohort], list[Finding]]

CHECKS: tuple[Check, ...] = (*leakage.CHECKS, *outcome.CHECKS)


def findings(table: pd.DataFrame, cohort: Cohort, context: Context = DEFAULT) -> list[Finding]:
    """All findings in a typed canonical table, in the order of the checks; those about its size come last."""
    found = [finding for check in CHECKS for finding in check(table, cohort)]
    return [*found, *outcome.sizes(table, cohort, context)]
