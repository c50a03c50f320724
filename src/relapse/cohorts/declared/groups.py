"""What a cohort declares of many columns at once: a wide group of features, written once and expanded when read."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from relapse.cohorts.declared.features import Known, Missing, check_missing
from relapse.ground.declarations import Declared

Quantile = Annotated[float, Field(ge=0, le=1)]


class LearntRange(Declared):
    """A range learnt from the values: between two quantiles, widened by ``margin`` times their distance on each side.

    What lies outside is told by the gate and refuses nothing: nobody has said that such a value cannot be.
    """

    quantiles: tuple[Quantile, Quantile] = (0.005, 0.995)
    margin: Annotated[float, Field(ge=0)] = 1.0

    @field_validator("quantiles")
    @classmethod
    def _rising(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not value[0] < value[1]:
            raise ValueError("the lower quantile comes first, and both differ.")
        return value


class Group(Declared):
    """Columns that are alike: those that the key's pattern fits, ``*`` for any signs, or those listed in ``columns``.

    ``source`` restricts a pattern to the columns of one source. Every other key is what each feature of the group gets;
    the features are named after their columns.
    """

    type: Literal["continuous", "count"]
    unit: str | None = None
    description: str | None = None
    known: Known = Known.BASELINE
    block: str | None = None
    max_missing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    missing: Missing | None = None
    range: LearntRange | tuple[float, float] = LearntRange()
    columns: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    source: str | None = None

    @field_validator("range", mode="before")
    @classmethod
    def _one_kind(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return LearntRange.model_validate(value)
        if isinstance(value, list | tuple) and len(value) == 2 and not value[0] < value[1]:
            raise ValueError(f"[{value[0]}, {value[1]}] is no range: the lower end comes first, and both differ.")
        return value

    @field_validator("columns")
    @classmethod
    def _each_once(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        twice = sorted({name for name in value or () if (value or ()).count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands there more than once.")
        return value

    @model_validator(mode="after")
    def _missing_as_allowed(self) -> Self:
        check_missing(self.missing, self.max_missing)
        return self


def is_group(key: str, value: Any) -> bool:
    """Whether an entry under ``features`` is a group of columns and not one feature."""
    listed = isinstance(value, Group) or (isinstance(value, dict) and "columns" in value)
    return listed or "*" in key


def fitting(pattern: str, columns: Iterable[str]) -> list[str]:
    """Those columns that a pattern fits; ``*`` stands for any signs, all others for themselves."""
    expression = re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)
    return [column for column in columns if expression.fullmatch(column)]
