"""Rows by outcome, in words, and how few of them are told."""

from typing import TYPE_CHECKING

from relapse.cohorts.schema import Cohort

if TYPE_CHECKING:
    import pandas as pd


#: Fewer rows than this are not counted out: in a small hospital they may be somebody.
FEWEST = 5


def told(rows: int) -> int:
    """A count as a frame may hold it: 1 to 4 rows are all told as 4."""
    return FEWEST - 1 if 0 < rows < FEWEST else rows


def outcome_groups(cohort: Cohort) -> tuple[str, str]:
    """Names of the rows without and with the event. Censored is not the same as free of the event."""
    return ("censored", "event seen") if cohort.survival else ("without the event", "with the event")


def by_outcome(table: "pd.DataFrame", cohort: Cohort) -> "dict[str, pd.DataFrame]":
    """The rows of each group, those without the event first."""
    return {name: table[table["event"] == value] for value, name in enumerate(outcome_groups(cohort))}
