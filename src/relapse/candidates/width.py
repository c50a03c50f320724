"""How many columns a model gets of a wide block: part of the search, with one meaning for all families.

The choice stands in the hyperparameters under ``reduce_<block>`` (a method of :mod:`relapse.preprocessing.reduction`)
and, for the methods that deliver a number of columns, ``columns_<block>``.
"""

from typing import TYPE_CHECKING, Any

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
