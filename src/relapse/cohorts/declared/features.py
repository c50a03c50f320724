"""What a cohort declares of its features: numbers with their range, levels with codes, and when they are known."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from relapse.cohorts.declared.units import factor, unit_of_time
from relapse.ground.declarations import Declared


class Known(StrEnum):
    """When a value is known: a column known only after baseline is described, never a predictor."""

    BASELINE = "baseline"
    AFTER = "after"


class Missing(StrEnum):
    """What becomes of a row without a value, in training and in the service alike.

    ``refuse``: there is none, and the service asks for the value. ``median``: filled with the median, of levels with
    the most frequent one. ``indicator``: the same, and a column says that it was missing. ``iterative``: imputed from
    the other predictors by chained regressions. ``native``: left missing for trees, which learn where to send such
    rows; for all others as ``indicator``.
    """

    REFUSE = "refuse"
    MEDIAN = "median"
    INDICATOR = "indicator"
    ITERATIVE = "iterative"
    NATIVE = "native"


def check_missing(missing: Missing | None, max_missing: float) -> None:
    """Hold the rule for missing values against the share that may be missing; raises ``ValueError``."""
    if missing is Missing.REFUSE and max_missing:
        raise ValueError(
            f"missing: refuse lets no value be missing, and max_missing: {max_missing:g} does. Take one of the two out."
        )
    if missing not in (None, Missing.REFUSE) and not max_missing:
        raise ValueError(
            f"missing: {missing} says what becomes of missing values, and max_missing is 0: none may be missing. Give "
            "max_missing, the largest share of rows without a value, or take missing out."
        )


class _Feature(Declared):
    """What every feature has; ``source`` names the one of several sources that its column comes from.

    At most the share ``max_missing`` of the rows has no value, and ``missing`` says what becomes of those: by default
    what the cohort says, else ``median``.
    """

    label: str | None = None
    description: str | None = None
    column: str | None = None
    source: str | None = None
    known: Known = Known.BASELINE
    block: str | None = None
    max_missing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    missing: Missing | None = None

    @model_validator(mode="after")
    def _missing_as_allowed(self) -> Self:
        check_missing(self.missing, self.max_missing)
        return self


class Numeric(_Feature):
    """A number: ``continuous``, or ``count`` (whole numbers); ``range`` holds the plausible values, ends included.

    A ``learnt`` range is that of a wide group, taken from the values: what lies outside is told, and refused by nobody.
    ``recorded`` is the unit of the source, where it is another than ``unit``: numbers are converted. ``from`` and
    ``to`` name two columns of dates in the place of one of numbers: the time between them is taken, in ``unit``.
    """

    # Written by the name that Python leaves free, or by that of the declaration: both are read.
    model_config = ConfigDict(validate_by_name=True)

    type: Literal["continuous", "count"]
    unit: str | None = None
    range: tuple[float, float]
    learnt: bool = False
    recorded: str | None = None
    from_: Annotated[str | None, Field(alias="from")] = None
    to: str | None = None

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

    @model_validator(mode="after")
    def _units_that_fit(self) -> "Numeric":
        if self.recorded is not None:
            factor(self.recorded, self.unit or "")
        if (self.from_ is None) != (self.to is None):
            raise ValueError("from and to name the first and the last date: give both.")
        if self.from_ is not None and (self.column is not None or self.recorded is not None):
            raise ValueError("from and to stand in the place of column and recorded: the unit of a time is `unit`.")
        if self.from_ is not None and unit_of_time(self.unit) is None:
            raise ValueError("from and to: say the unit of the time between: `unit: years`, months, weeks or days.")
        return self

    @property
    def times(self) -> float:
        """What the source's numbers are multiplied by."""
        return 1.0 if self.recorded is None else factor(self.recorded, self.unit or "")


class Categorical(_Feature):
    """One of several levels; ``ordinal`` levels are given in rising order.

    ``levels`` is a list of names, or a mapping from the code that stands in the source to the name. ``joined`` is the
    sign that several codes in one cell stand between, such as ``ILL_DEFINED-SPICULATED``: the highest of them counts.
    """

    type: Literal["ordinal", "nominal"]
    levels: dict[str, str]
    joined: Annotated[str, Field(min_length=1)] | None = None

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

    @model_validator(mode="after")
    def _highest_of_an_order(self) -> "Categorical":
        if self.joined is not None and self.type != "ordinal":
            raise ValueError("joined: the highest of several levels counts, so the type is ordinal.")
        return self

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
