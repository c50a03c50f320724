"""The declaration of a cohort: the single source of truth about a data set."""

import codecs
import re
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, field_validator, model_validator

from relapse.cohorts.checklist import ITEMS, NUMBERS
from relapse.declarations import Declared

#: Columns that stand beside the features in canonical tables and in tables of Shapley values; no feature is called so.
RESERVED_COLUMNS = ("row", "patient", "site", "event", "time", "fold", "base", "output")

_DAYS_PER = {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}
#: Units that a follow-up may be given in.
UNITS = tuple(_DAYS_PER)

_HORIZON_UNITS = {"d": "day", "w": "week", "m": "month", "y": "year"}
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Known(StrEnum):
    """When a value is known: a column known only after baseline is described, never a predictor."""

    BASELINE = "baseline"
    AFTER = "after"


class _Feature(Declared):
    label: str | None = None
    description: str | None = None
    column: str | None = None
    known: Known = Known.BASELINE
    max_missing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Numeric(_Feature):
    """A number: ``continuous``, or ``count`` (whole numbers); ``range`` holds the plausible values, ends included."""

    type: Literal["continuous", "count"]
    unit: str | None = None
    range: tuple[float, float]

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
    def risk_columns(self) -> list[str]:
        """The risk columns of a predictions table."""
        return ["risk"]


class OtherEvent(Declared):
    """A further event that counts, with the time until it or until the end of follow-up for it."""

    event: str
    time: str


class SurvivalEndpoint(_Endpoint):
    """Time to relapse or to the end of follow-up, with the horizons at which risks are reported.

    ``also`` makes a composite: whichever of the events came first counts, at its time; where none came, follow-up ends
    with the shortest of the times.
    """

    kind: Literal["survival"]
    time: str
    also: tuple[OtherEvent, ...] = ()
    unit: Literal["day", "week", "month", "year"]
    horizons: Annotated[tuple[Horizon, ...], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _horizons_in_unit(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("unit") not in _DAYS_PER or "horizons" not in value:
            return value
        given = value["horizons"] if isinstance(value["horizons"], list | tuple) else [value["horizons"]]
        horizons = [text if isinstance(text, Horizon | dict) else horizon(text, value["unit"]) for text in given]
        return {**value, "horizons": horizons}

    @field_validator("horizons")
    @classmethod
    def _rising(cls, value: tuple[Horizon, ...]) -> tuple[Horizon, ...]:
        if any(later.time <= earlier.time for earlier, later in pairwise(value)):
            raise ValueError("horizons are given in rising order, each once.")
        return value

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Columns of the source with an event and its time: the one declared first, then those of ``also``."""
        return [(self.event, self.time), *((other.event, other.time) for other in self.also)]

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
    days = float(match[1]) * _DAYS_PER[_HORIZON_UNITS[match[2]]]
    return Horizon(label=f"{match[1]} {match[2]}", time=round(days / _DAYS_PER[unit], 6))


class PackageSource(Declared):
    """A data set that ships with an installed Python package."""

    package: Literal["lifelines", "SurvSet"]
    dataset: str


#: One blank or tab is a value here, not something to be stripped.
_Sign = Annotated[str, StringConstraints(strip_whitespace=False)]

Missing = tuple[str | dict[str, tuple[str, ...]], ...]


class FileSource(Declared):
    """A table in a file. ``missing`` lists words for a missing value, beside the usual ones: ``[NC, {size: 999}]``.

    A word counts in every column, a word under a column's name in that column alone.
    """

    missing: Missing = ()

    @field_validator("missing", mode="before")
    @classmethod
    def _words(cls, value: Any) -> Any:
        def words(given: Any) -> tuple[str, ...]:
            return tuple(str(word) for word in (given if isinstance(given, list | tuple) else [given]))

        return tuple(
            {str(column): words(given) for column, given in item.items()} if isinstance(item, dict) else str(item)
            for item in (value if isinstance(value, list | tuple) else [value])
        )

    def words_for_missing(self, column: str) -> frozenset[str]:
        """The declared words for a missing value in a column."""
        here = [item.get(column, ()) if isinstance(item, dict) else (item,) for item in self.missing]
        return frozenset(word for words in here for word in words)


class TextSource(FileSource):
    """A table of lines and cells, as CSV files and sheets are; lines are counted from 1, as an editor or Excel does.

    ``header`` is the line of the column names, or several: ``[1, 2]``. The filled cells above each other then make one
    name, joined by `` / ``; a title over several columns (merged cells) counts for all of them; line breaks and runs of
    blanks count as one blank. A column without any name is called ``Unnamed: 7`` by its place, counted from 0.
    ``data`` is the line of the first row of data, where other lines stand between; ``footer`` says how many lines below
    the table are none of its rows. ``decimal`` and ``thousands`` are the signs in numbers.
    """

    header: Annotated[int, Field(ge=1)] | Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = 1
    data: Annotated[int, Field(ge=1)] | None = None
    footer: Annotated[int, Field(ge=0)] = 0
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'"] | None = None

    @model_validator(mode="after")
    def _lines_and_signs(self) -> "TextSource":
        if any(later <= earlier for earlier, later in pairwise(self.header_lines)):
            raise ValueError("header: the lines are given in rising order, each once.")
        if self.data is not None and self.data <= self.header_lines[-1] and getattr(self, "columns", None) is None:
            raise ValueError(f"data: the rows begin below the header, which is line {self.header_lines[-1]}.")
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands are the same sign.")
        return self

    @property
    def header_lines(self) -> tuple[int, ...]:
        """The lines of the column names."""
        return (self.header,) if isinstance(self.header, int) else self.header


class CsvSource(TextSource):
    """A text table, plain or gzipped; ``columns`` names them where the file has no header line.

    ``comment`` is the sign that a line begins with which is no part of the table. ``ragged`` says that rows may end
    early, since the program that wrote them leaves out empty cells at the end.
    """

    csv: str
    separator: _Sign = ","
    encoding: str = "utf-8"
    columns: tuple[str, ...] | None = None
    comment: _Sign | None = None
    ragged: bool = False

    @field_validator("separator", "comment")
    @classmethod
    def _one_sign(cls, value: str | None) -> str | None:
        value = "\t" if value == "\\t" else value
        if value is not None and (len(value) != 1 or value in '\r\n"'):
            raise ValueError(f'{value!r} is not one sign, such as "," or ";" or "\\t" for a tab.')
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError:
            raise ValueError(f"{value!r} is no encoding. Usual ones: utf-8, windows-1252, latin-1, utf-16.") from None
        return value


class ExcelSource(TextSource):
    """A sheet of an Excel workbook, ``.xlsx``."""

    excel: str
    sheet: str


class ParquetSource(FileSource):
    """A parquet file; its columns keep their types."""

    parquet: str


class SimulatedSource(Declared):
    """A table drawn from a model instead of measured in patients; its cohort has to say ``simulated: true``."""

    simulation: Literal["radiomics"]
    seed: Annotated[int, Field(ge=0, lt=2**32)]


def _kind_of_source(value: Any) -> str:
    given = value if isinstance(value, dict) else vars(value)
    return next((kind for kind in ("package", "csv", "excel", "parquet", "simulation") if kind in given), "csv")


Source = Annotated[
    Annotated[PackageSource, Tag("package")]
    | Annotated[CsvSource, Tag("csv")]
    | Annotated[ExcelSource, Tag("excel")]
    | Annotated[ParquetSource, Tag("parquet")]
    | Annotated[SimulatedSource, Tag("simulation")],
    Discriminator(_kind_of_source),
]


class Exclusion(Declared):
    """Rows left out, and why: exactly one of the conditions, on a column of the source."""

    column: str
    reason: str
    missing: Literal[True] | None = None
    equals: tuple[str, ...] | None = None
    below: float | None = None
    above: float | None = None

    @field_validator("equals", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        if value is None:
            return None
        return tuple(str(item) for item in (value if isinstance(value, list) else [value]))

    @model_validator(mode="after")
    def _one_condition(self) -> "Exclusion":
        given = [key for key in ("missing", "equals", "below", "above") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of missing, equals, below, above; found {len(given)}.")
        return self


class Translation(Declared):
    """How a model's feature is made from one of this cohort: of the same name where ``feature`` is not given.

    ``levels`` maps level names of this cohort to the model's, where they differ. ``cut`` makes the levels of the
    model's feature, in their order, from a number: up to the first cut, above it up to the second, …
    """

    feature: str | None = None
    levels: dict[str, str] | None = None
    cut: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "Translation":
        if self.levels is not None and self.cut is not None:
            raise ValueError("give levels for a feature with levels, or cut for a number, not both.")
        if self.cut is not None and any(later <= earlier for earlier, later in pairwise(self.cut)):
            raise ValueError("cut: the numbers rise, each given once.")
        return self


class Cohort(Declared):
    """A cohort as its YAML file declares it. Everything else about the data set is derived from this.

    ``tripod`` answers items of the TRIPOD+AI checklist, by number, that only the study's people can answer.
    ``validates`` says, by the cohort that a model was trained on, how its features are made from the ones here, where
    they are not of the same name, unit and levels. ``view`` names the column that tells the rows of one patient apart
    (projection, breast, slice): no patient has a view twice.
    """

    name: str
    title: str
    source: Source
    licence: str
    citation: str
    simulated: bool = False
    patient: str | None = None
    view: str | None = None
    site: str | None = None
    endpoint: Annotated[BinaryEndpoint | SurvivalEndpoint, Field(discriminator="kind")]
    exclusions: tuple[Exclusion, ...] = ()
    features: Annotated[dict[str, Feature], Field(min_length=1)]
    reference: Annotated[tuple[str, ...], Field(min_length=1)]
    subgroups: tuple[str, ...] = ()
    imbalance: Literal["none", "smotenc"] = "none"
    tripod: Annotated[dict[str, str], Field(default_factory=dict)]
    validates: Annotated[dict[str, dict[str, Translation]], Field(default_factory=dict)]

    @field_validator("tripod", mode="before")
    @classmethod
    def _known_items(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        answers = {str(number): text for number, text in value.items()}
        unknown = sorted(answers.keys() - NUMBERS)
        if unknown:
            raise ValueError(
                f"{', '.join(unknown)}: no item of the TRIPOD+AI checklist. There are: "
                f"{', '.join(item.number for item in ITEMS)}."
            )
        return answers

    @field_validator("name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", value):
            raise ValueError(f"{value!r} is no cohort name: lower-case letters, digits and _, starting with a letter.")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Cohort":
        if self.view and not self.patient:
            raise ValueError("view tells the rows of one patient apart: name the patient's column under patient, too.")
        if self.view and self.view == self.patient:
            raise ValueError(
                "view and patient name the same column: name the one that differs between rows of a patient."
            )
        if self.view and "view" in self.features:
            raise ValueError("feature 'view': where view is declared the table has a column of this name. Rename it.")
        for name in self.features:
            if name in RESERVED_COLUMNS or name.startswith("risk") or not _IDENTIFIER.fullmatch(name):
                raise ValueError(
                    f"feature {name!r}: a feature's name is letters, digits and _, starts with a letter (not 'risk'), "
                    f"and is none of {', '.join(RESERVED_COLUMNS)}. Give the source's name under 'column'."
                )
            column = self.source_column(name)
            if column in self.outcome_columns or column == self.patient:
                role = "names the patient" if column == self.patient else "belongs to the endpoint"
                raise ValueError(
                    f"feature {name!r}: its column {column!r} {role} and cannot be a feature as well, under any name. "
                    "Take the feature out."
                )
        for key in ("reference", "subgroups"):
            unknown = [name for name in getattr(self, key) if name not in self.features]
            if unknown:
                raise ValueError(f"{key} names {', '.join(unknown)}, which is no declared feature.")
        late = [name for name in self.reference if name not in self.predictors]
        if late:
            raise ValueError(f"reference names {', '.join(late)}, known only after baseline: not a predictor.")
        numeric = [name for name in self.subgroups if isinstance(self.features[name], Numeric)]
        if numeric:
            raise ValueError(f"subgroups names {', '.join(numeric)}: only ordinal and nominal features form subgroups.")
        if isinstance(self.source, SimulatedSource) and not self.simulated:
            raise ValueError("the source is a simulation: declare simulated: true, which marks every result.")
        if self.imbalance != "none" and self.endpoint.kind == "survival":
            raise ValueError("imbalance: smotenc makes synthetic patients for a binary endpoint; use none here.")
        return self

    @property
    def predictors(self) -> list[str]:
        """Names of the features known at baseline, in declared order: the only ones a model may use."""
        return [name for name, feature in self.features.items() if feature.known is Known.BASELINE]

    @property
    def survival(self) -> SurvivalEndpoint | None:
        """The endpoint where it has a time, else None."""
        return self.endpoint if isinstance(self.endpoint, SurvivalEndpoint) else None

    @property
    def outcome_columns(self) -> list[str]:
        """The columns of the source that hold the outcome: events, and times where the endpoint has them."""
        pairs = self.survival.pairs if self.survival else [(self.endpoint.event,)]
        return list(dict.fromkeys(column for pair in pairs for column in pair))

    def numeric(self, names: list[str]) -> list[str]:
        """Those of ``names`` that are numbers."""
        return [name for name in names if isinstance(self.features[name], Numeric)]

    def categorical(self, names: list[str]) -> list[str]:
        """Those of ``names`` that are ordinal or nominal."""
        return [name for name in names if isinstance(self.features[name], Categorical)]

    def source_column(self, name: str) -> str:
        """The column of the source that holds feature ``name``."""
        return self.features[name].column or name

    def label(self, name: str) -> str:
        """A feature's name for people, with its unit."""
        feature = self.features[name]
        text = feature.label or name
        return f"{text} ({feature.unit})" if isinstance(feature, Numeric) and feature.unit else text
