"""What a cohort declares of its outcome: relapse or none, or a time to relapse with horizons."""

import re
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from relapse.cohorts.declared.units import DAYS_PER
from relapse.ground.declarations import Declared

#: Units that a follow-up may be given in.
UNITS = tuple(DAYS_PER)

_HORIZON_UNITS = {"d": "day", "w": "week", "m": "month", "y": "year"}


class Horizon(Declared):
    """A time after baseline at which risks are given: ``label`` as declared, ``time`` in the endpoint's unit."""

    label: str
    time: float

    @property
    def column(self) -> str:
        """The column of a predictions table that holds the risk at this horizon, such as ``risk_3y``."""
        return "risk_" + self.label.replace(" ", "")


Outcome = Literal[0, 1]


def _codes_of_outcome() -> dict[str, Outcome]:
    return {"0": 0, "1": 1}


class _Endpoint(Declared):
    event: str
    values: dict[str, Outcome] = Field(default_factory=_codes_of_outcome)
    label: str = "relapse"

    @field_validator("values", mode="before")
    @classmethod
    def _text_keys(cls, value: Any) -> Any:
        return {str(key): item for key, item in value.items()} if isinstance(value, dict) else value


class BinaryEndpoint(_Endpoint):
    """Relapse or none, without a time. ``values`` maps what stands in the source to 0 (none) and 1 (relapse)."""

    kind: Literal["binary"]

    @property
    def columns(self) -> list[str]:
        """The columns of the source that hold the outcome."""
        return [self.event]

    @property
    def coded(self) -> list[str]:
        """Those of them that hold one of the codes under ``values``."""
        return [self.event]

    @property
    def risk_columns(self) -> list[str]:
        """The risk columns of a predictions table."""
        return ["risk"]


class OtherEvent(Declared):
    """A further event that counts, with the time until it or until the end of follow-up for it."""

    event: str
    time: str


class SurvivalEndpoint(_Endpoint):
    """Time to relapse or to the end of follow-up, with the horizons at which risks are reported.

    ``time`` is the column of that time. Where the end of follow-up stands in it alone, the time of the event may stand
    elsewhere: in the event's own column (``event_form: day``: 0 is none, more is the day of it, empty is not known), or
    in the columns of ``event_time``, of which the earliest counts. Of several columns under ``time`` the shortest does.

    Where ``from`` names the date that time begins with, ``time`` (or ``to``, another word for it there) and
    ``event_time`` name dates too, and the times between are taken, in ``unit``. ``event_form: date`` then says that the
    event's column holds the date of it, and that empty is none.

    ``also`` makes a composite: whichever of the events came first counts, at its time; where none came, follow-up ends
    with the shortest of the times.
    """

    # Written by the name that Python leaves free, or by that of the declaration: both are read.
    model_config = ConfigDict(validate_by_name=True)

    kind: Literal["survival"]
    time: Annotated[tuple[str, ...], Field(min_length=1)]
    event_form: Literal["code", "day", "date"] = "code"
    from_: Annotated[str | None, Field(alias="from")] = None
    event_time: tuple[str, ...] = ()
    also: tuple[OtherEvent, ...] = ()
    unit: Literal["day", "week", "month", "year"]
    horizons: Annotated[tuple[Horizon, ...], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _horizons_in_unit(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("unit") not in DAYS_PER or "horizons" not in value:
            return value
        given = value["horizons"] if isinstance(value["horizons"], list | tuple) else [value["horizons"]]
        horizons = [text if isinstance(text, Horizon | dict) else horizon(text, value["unit"]) for text in given]
        return {**value, "horizons": horizons}

    @model_validator(mode="before")
    @classmethod
    def _to_is_time(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "to" not in value:
            return value
        if "from" not in value or "time" in value:
            raise ValueError("to: goes with from, the date that time begins with, and stands in the place of time.")
        return {("time" if key == "to" else key): item for key, item in value.items()}

    @field_validator("time", "event_time", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_place_of_the_event(self) -> "SurvivalEndpoint":
        if self.event_form == "day" and (self.event_time or self.values != _codes_of_outcome()):
            raise ValueError(
                "event_form: day says that the event's column holds the day of it: it has no values, no event_time."
            )
        if self.event_form == "date":
            if self.from_ is None:
                raise ValueError("event_form: date needs the date that time begins with: name its column under from.")
            if self.event_time or self.values != _codes_of_outcome():
                raise ValueError(
                    "event_form: date says that the event's column holds its date: no values, no event_time."
                )
        if self.from_ in (self.event, *self.event_time, *self.time):
            raise ValueError(f"from: {self.from_} is where time begins, and belongs to the event or its end as well.")
        of_the_event = [self.event, *self.event_time]
        if twice := [column for column in self.time if column in of_the_event]:
            raise ValueError(f"time: {twice[0]} tells the event already; name the column with the end of follow-up.")
        return self

    @field_validator("horizons")
    @classmethod
    def _rising(cls, value: tuple[Horizon, ...]) -> tuple[Horizon, ...]:
        if any(later.time <= earlier.time for earlier, later in pairwise(value)):
            raise ValueError("horizons are given in rising order, each once.")
        return value

    @property
    def columns(self) -> list[str]:
        """The columns of the source that hold the outcome: events, and times."""
        others = [column for other in self.also for column in (other.event, other.time)]
        return list(dict.fromkeys([self.event, *self.event_time, *self.time, *others]))

    @property
    def coded(self) -> list[str]:
        """Those of them that hold one of the codes under ``values``."""
        return [*([self.event] if self.event_form == "code" else []), *(other.event for other in self.also)]

    @property
    def risk_columns(self) -> list[str]:
        """The risk columns of a predictions table, one a horizon."""
        return [horizon.column for horizon in self.horizons]


def horizon(value: Any, unit: str) -> Horizon:
    """Read a horizon such as ``5 y`` and give its time in ``unit`` (a year is 365.25 days, a month a twelfth of it).

    Raises
    ------
    ValueError
        Not a positive number followed by d, w, m or y.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([dwmy])", str(value).strip())
    if not match or float(match[1]) == 0:
        raise ValueError(f"horizon {value!r} is not a number and a unit: 5 y, 60 m, 10 w or 90 d.")
    days = float(match[1]) * DAYS_PER[_HORIZON_UNITS[match[2]]]
    return Horizon(label=f"{match[1]} {match[2]}", time=round(days / DAYS_PER[unit], 6))
