"""All coded checks, in the order of their codes: the one place where a new one is added."""

from collections.abc import Callable, Iterable

import pandas as pd

from relapse.cohorts.schema import Cohort
from relapse.ground.finding import Finding
from relapse.quality.checks import features, leakage, outcome, rows
from relapse.quality.checks.context import DEFAULT, Context
from relapse.quality.checks.versions import versions

Check = Callable[[pd.DataFrame, Cohort], list[Finding]]

#: Checks of a typed table that keeps every rule of its declaration.
CHECKS: tuple[Check, ...] = (*leakage.CHECKS, *rows.CHECKS, *features.CHECKS, *outcome.CHECKS)

#: Those that a table may also be held against as ingest left it: they often say why a rule is broken.
ALWAYS: tuple[Check, ...] = (*rows.ALWAYS, *features.ALWAYS)

#: Warnings of one code that are told one by one; of more, the columns are named together.
TOLD = 8


def findings(table: pd.DataFrame, cohort: Cohort, context: Context = DEFAULT) -> list[Finding]:
    """All findings in a typed canonical table, in the order of the checks; its size, and what drifted, come last."""
    found = [finding for check in CHECKS for finding in check(table, cohort)]
    return _in_short([*found, *outcome.sizes(table, cohort, context), *versions(table, cohort, context.accepted)])


def findings_in_broken(table: pd.DataFrame, cohort: Cohort) -> list[Finding]:
    """What can be said of a canonical table that breaks a rule of its declaration."""
    return _in_short(finding for check in ALWAYS for finding in check(table, cohort))


def _in_short(found: Iterable[Finding]) -> list[Finding]:
    """The findings by code; the many of a wide table as one that names the first columns."""
    by_code: dict[str, list[Finding]] = {}
    for finding in found:
        by_code.setdefault(finding.code, []).append(finding)
    return [item for code, same in by_code.items() for item in _of_one_code(code, same)]


def _of_one_code(code: str, same: list[Finding]) -> list[Finding]:
    if len(same) <= TOLD or any(finding.severity == "error" for finding in same):
        return same
    rest = same[TOLD - 1 :]
    columns = ", ".join(finding.column for finding in rest[:20]) + (", …" if len(rest) > 20 else "")
    message = f"found in {len(rest)} more columns, as above: {columns}."
    return [*same[: TOLD - 1], Finding(code, "warning", f"({len(rest)} more)", message)]
