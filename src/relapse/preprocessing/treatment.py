"""What a model does with missing values, feature by feature, as its own encoder shows it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from relapse.cohorts.declared.features import Missing, Numeric
from relapse.cohorts.missing import rule
from relapse.cohorts.schema import Cohort
from relapse.preprocessing.iterative import Completing, by_columns
from relapse.preprocessing.transformers import OPEN, SAID, SHARED, block_of

if TYPE_CHECKING:
    import pandas as pd


class Done(StrEnum):
    """What stands in the place of a missing value."""

    MEDIAN = "median"
    MODE = "most frequent level"
    IMPUTED = "imputed from the others"
    LEFT = "left missing"


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a model does with one feature.

    ``said`` is whether a column tells that the value was missing. ``because`` is why it is not what the declaration
    asks for, empty where it is.
    """

    feature: str
    declared: Missing
    done: Done
    said: bool
    because: str = ""

    def __str__(self) -> str:
        filled = self.done if self.done in (Done.LEFT, Done.IMPUTED) else f"filled with the {self.done}"
        return f"{filled}, with an indicator" if self.said else str(filled)


@dataclass(frozen=True, slots=True)
class Handled:
    """A treatment in words, and whom it met: ``share`` of the table's rows had no value.

    ``folds`` of ``of`` models of outer folds do the same as the model fitted to all rows.
    """

    feature: str
    declared: str
    done: str
    because: str
    share: float
    folds: int
    of: int


def handled(model: Any, folds: Iterable[Any], cohort: Cohort, table: "pd.DataFrame") -> list[Handled]:
    """What the model fitted to all rows of ``table`` does, and how many of the models of ``folds`` do the same."""
    others = [treatments(one, cohort) for one in folds]
    return [
        Handled(
            feature=name,
            declared=str(one.declared),
            done=str(one),
            because=one.because,
            share=float(table[name].isna().mean()),
            folds=sum(other[name] == one for other in others),
            of=len(others),
        )
        for name, one in treatments(model, cohort).items()
    ]


def treatments(model: Any, cohort: Cohort) -> dict[str, Treatment]:
    """By name, what a model of :mod:`relapse.candidates.base` does with each feature that it uses and may lack."""
    steps = by_columns(model.encoder).transformers
    imputed = set(model.encoder.filled.targets) if isinstance(model.encoder, Completing) else set()
    left = {name for step, _, names in steps if step in OPEN for name in names}
    said = {name for step, _, names in steps if step == SAID or step.startswith(SHARED) for name in names}
    apart = {name for step, _, names in steps if block_of(step) is not None for name in names}
    used = {name for _, _, names in steps for name in names}
    found = {}
    for name in (name for name in cohort.predictors if name in used):
        declared = rule(cohort, name)
        if declared is Missing.REFUSE:
            continue
        done = Done.MEDIAN if isinstance(cohort.features[name], Numeric) else Done.MODE
        done = Done.IMPUTED if name in imputed else Done.LEFT if name in left else done
        because = ""
        if declared is Missing.NATIVE and done is not Done.LEFT:
            because = "takes no missing values"
            if name in apart:
                because = "its block is reduced or harmonised, which takes whole rows"
            elif getattr(model, "sampler", None) is not None:
                because = "makes synthetic rows, which takes whole rows"
        found[name] = Treatment(name, declared, done, name in said, because)
    return found
