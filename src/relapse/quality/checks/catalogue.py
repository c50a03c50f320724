"""All coded checks, in the order of their codes: the one place where a new one is added."""

from collections.abc import Callable

import pandas as pd

from relapse.cohorts.schema import Cohort
from relapse.quality.checks import features, leakage, rows
from relapse.quality.checks.finding import Finding

Check = Callable[[pd.DataFrame, Cohort], list[Finding]]

#: Checks of a typed table that keeps every rule of its declaration.
CHECKS: tuple[Check, ...] = (*leakage.CHECKS, *rows.CHECKS, *features.CHECKS)

#: Those that a table may also be held against as ingest left it: they often say why a rule is broken.
ALWAYS: tuple[Check, ...] = (*rows.ALWAYS, *features.ALWAYS)

#: Warnings of one code that are told one by one; of more, the columns are named together.
TOLD = 8


def findings(table: pd.DataFrame, cohort: Cohort, *, checks: tuple[Check, ...] = CHECKS) -> list[Finding]:
    """All findings of ``checks`` in a canonical table, in their order."""
    found = [finding for check in checks for finding in check(table, cohort)]
    return [item for code in dict.fromkeys(finding.code for finding in found) for item in _short(found, code)]


def _short(found: list[Finding], code: str) -> list[Finding]:
    """The findings of one code; the many of a wide table as one that names the first columns."""
    same = [finding for finding in found if finding.code == code]
    if len(same) <= TOLD or any(finding.severity == "error" for finding in same):
        return same
    rest = same[TOLD - 1 :]
    columns = ", ".join(finding.column for finding in rest[:20]) + (", …" if len(rest) > 20 else "")
    message = f"found in {len(rest)} more columns, as above: {columns}."
    return [*same[: TOLD - 1], Finding(code, "warning", f"({len(rest)} more)", message)]
