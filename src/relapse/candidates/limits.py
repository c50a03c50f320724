"""Up to what size of a table a family is fitted: what exceeds it is not in its search, or not begun, for a reason.

A family that a larger table would take too long, or more memory than there is, declares a :class:`Limit`.
"""

from dataclasses import dataclass

from relapse.candidates.width import SIZED, sizes
from relapse.cohorts.declared.blocks import METHODS
from relapse.cohorts.schema import Cohort


@dataclass(frozen=True, slots=True)
class Limit:
    """Up to how many ``rows`` and ``cells`` (rows × columns) a family is fitted, and why to no more."""

    reason: str
    rows: int | None = None
    cells: int | None = None


def within(cohort: Cohort, limit: Limit | None, *, rows: int) -> Cohort | str:
    """The cohort with the methods of reduction that keep a family within its limit; where none does, why, in words."""
    if limit is None:
        return cohort
    if limit.rows is not None and rows > limit.rows:
        return f"{rows:,} rows are more than it is fitted to ({limit.rows:,}): {limit.reason}. Leave it out."
    columns = len(cohort.predictors)
    if limit.cells is None or rows * columns <= limit.cells:
        return cohort
    said = (
        f"{rows} rows of {columns} predictors are more than it is fitted to ({limit.cells:,} values): {limit.reason}."
    )
    blocks = {}
    for block in cohort.reducible:
        kept = tuple(method for method in cohort.block_methods(block) if method in SIZED)
        if not kept:
            continue
        blocks[block] = cohort.blocks[block].model_copy(update={"reduce": kept})
        columns -= len(cohort.numeric(cohort.block_features(block))) - sizes(cohort, block)[1]
    if rows * columns <= limit.cells:
        return cohort.model_copy(update={"blocks": cohort.blocks | blocks})
    reducing = ", ".join(method for method in METHODS if method in SIZED)
    return f"{said} Put wide groups of features into blocks that may be reduced (reduce: {reducing}), or leave it out."
