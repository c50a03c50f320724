"""How many columns a model gets of a wide block: part of the search, with one meaning for all families.

The choice stands in the hyperparameters under ``reduce_<block>`` (a method of :mod:`relapse.preprocessing.reduction`)
and, for the methods that deliver a number of columns, ``columns_<block>``. A family that a wide table would take too
long, or more memory than there is, declares a :class:`Limit`; what exceeds it is not in its search.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from relapse.cohorts.declared.blocks import METHODS
from relapse.cohorts.schema import Cohort
from relapse.preprocessing.reduction import Reduction

if TYPE_CHECKING:
    import optuna

Params = dict[str, Any]

METHOD, SIZE = "reduce_", "columns_"

#: Fewest and most columns that a block is reduced to.
FEWEST, MOST = 4, 64

#: Methods that deliver as many columns as asked for.
SIZED = ("clusters", "screen", "pca")


@dataclass(frozen=True, slots=True)
class Limit:
    """Up to how many ``rows`` and ``cells`` (rows × columns) a family is fitted, and why to no more."""

    reason: str
    rows: int | None = None
    cells: int | None = None


def suggest_reductions(trial: "optuna.Trial", cohort: Cohort) -> Params:
    """The choice for each block that may be reduced, as a part of the search; nothing where there is none."""
    params: Params = {}
    for block in cohort.reducible:
        method = trial.suggest_categorical(METHOD + block, list(cohort.block_methods(block)))
        params[METHOD + block] = method
        if method in SIZED:
            fewest, most = sizes(cohort, block)
            params[SIZE + block] = trial.suggest_int(SIZE + block, fewest, most, log=True)
    return params


def sizes(cohort: Cohort, block: str) -> tuple[int, int]:
    """Fewest and most columns that a block is reduced to."""
    numbers = len(cohort.numeric(cohort.block_features(block)))
    return min(FEWEST, numbers), min(MOST, numbers)


def split(params: Params) -> tuple[Params, dict[str, Reduction]]:
    """A family's own hyperparameters, and what is done to blocks."""
    blocks = [name.removeprefix(METHOD) for name in params if name.startswith(METHOD)]
    reductions = {block: Reduction(params[METHOD + block], params.get(SIZE + block)) for block in blocks}
    taken = {METHOD + block for block in blocks} | {SIZE + block for block in blocks}
    return {name: value for name, value in params.items() if name not in taken}, reductions


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
