"""The questions that a cohort's blocks ask, each of a block and the base that it may add to."""

from dataclasses import dataclass
from enum import StrEnum

from relapse.cohorts.declared.blocks import REFERENCE
from relapse.cohorts.schema import Cohort


class Role(StrEnum):
    """What a model is made of."""

    BASE = "base"
    BLOCK = "block"
    SCORE = "score"
    JOINT = "joint"


#: The two ways of adding a block, each held against the base.
WAYS = (Role.SCORE, Role.JOINT)


@dataclass(frozen=True, slots=True)
class Question:
    """Whether ``block`` adds to ``base``: the reference, or the reference and another block.

    ``block_features`` are all that the block gives to a model: its predictors, and the images where they belong to it.
    """

    block: str
    base: str
    block_features: tuple[str, ...]
    base_features: tuple[str, ...]
    words: str

    @property
    def name(self) -> str:
        """The question's name in files and metrics, such as ``imaging_over_reference``."""
        return f"{self.block}_over_{self.base}"

    @property
    def features(self) -> tuple[str, ...]:
        """The features of base and block together."""
        return self.base_features + self.block_features


def questions(cohort: Cohort) -> list[Question]:
    """Every question that a cohort's declaration asks, in declared order; none where it has no blocks."""
    return [
        Question(
            name,
            base,
            tuple(cohort.block_inputs(name)),
            tuple(cohort.base_features(base)),
            f"Does “{cohort.block_title(name)}” add to {base_title(cohort, base)}?",
        )
        for name, block in cohort.blocks.items()
        for base in block.over
    ]


def base_title(cohort: Cohort, base: str) -> str:
    """A base in words: the features of the reference by name, with the title of a block beside them."""
    named = " + ".join(cohort.features[name].label or name for name in cohort.reference)
    return named if base == REFERENCE else f"{named} + {cohort.block_title(base)}"
