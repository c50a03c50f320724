"""What a cohort declares of its features: numbers with their range, levels with codes, and when they are known."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from relapse.ground.declarations import Declared


class Known(StrEnum):
    """When a value is known: a column known only after baseline is described, never a predictor."""

    BASELINE = "baseline"
    AFTER = "after"


class _Feature(Declared):
    """What every feature has; ``source`` names the one of several sources that its column comes from."""

    label: str | None = None
    description: str | None = None
    column: str | None = None
    source: str | None = None
    known: Known = Known.BASELINE
    block: str | None = None
    max_missing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Numeric(_Feature):
    """A number: ``continuous``, or ``count`` (whole numbers); ``range`` holds the plausible values, ends included.

    A ``learnt`` range is that of a wide group, taken from the values: what lies outside is told, and refused by nobody.
    """

    type: Literal["continuous", "count"]
    unit: str | None = None
    range: tuple[float, float]
    learnt: bool = False

    @field_validator("range", mode="before")
    @classmethod
    def _stated(cls, value: Any) -> Any:
        if isinstance(value, dict):
            raise ValueError("a range is learnt for a group of columns only: for one, state it as [lowest, highest].")
        return value

    @field_validator("range")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not value[0] < value[1]:
            raise ValueError(f"[{value[0]:g}, {value[1]:g}] is no range: the lower end comes first, and both differ.")
        return value


class Categorical(_Feature):
    """One of several levels; ``ordinal`` levels are given in rising order.

    ``levels`` is a list of names, or a mapping from the code that stands in the source to the name.
    """

    type: Literal["ordinal", "nominal"]
    levels: dict[str, str]

    @field_validator("levels", mode="before")
    @classmethod
    def _codes_to_names(cls, value: Any) -> Any:
        if isinstance(value, list):
            value = {level: level for level in value}
        if not isinstance(value, dict):
            return value
        return {str(code): str(name) for code, name in value.items()}

    @field_validator("levels")
    @classmethod
    def _at_least_two(cls, value: dict[str, str]) -> dict[str, str]:
        if len(set(value.values())) < 2:
            raise ValueError("at least two different levels are needed.")
        return value

    @property
    def names(self) -> list[str]:
        """The level names, in their declared order."""
        return list(dict.fromkeys(self.levels.values()))


def _kind_of_feature(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return {"continuous": "number", "count": "number"}.get(str(kind), "category")


Feature = Annotated[
    Annotated[Numeric, Tag("number")] | Annotated[Categorical, Tag("category")], Discriminator(_kind_of_feature)
]
