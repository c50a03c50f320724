"""What a cohort declares of its source: which file or package, and how it is to be read."""

import codecs
import re
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, field_validator, model_validator

from relapse.ground.declarations import Declared


class PackageSource(Declared):
    """A data set that ships with an installed Python package."""

    package: Literal["lifelines", "SurvSet"]
    dataset: str


#: One blank or tab is a value here, not something to be stripped.
_Sign = Annotated[str, StringConstraints(strip_whitespace=False)]

Missing = tuple[str | dict[str, tuple[str, ...]], ...]


class OwnSource(Declared):
    """A user's table. ``missing`` lists words for a missing value, beside the usual ones: ``[NC, {size: 999}]``.

    A word counts in every column, a word under a column's name in that column alone. ``obtain`` says where a user gets
    it: it is told to who has not set the variable that names it.
    """

    missing: Missing = ()
    obtain: str | None = None

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


class TextSource(OwnSource):
    """A table of lines and cells, as CSV files and sheets are; lines are counted from 1, as an editor or Excel does.

    ``header`` is the line of the column names, or several: ``[1, 2]``. The filled cells above each other then make one
    name, joined by `` / ``; a title over several columns (merged cells) counts for all of them; line breaks and runs of
    blanks count as one blank. A column without any name is called ``Unnamed: 7`` by its place, counted from 0.
    ``data`` is the line of the first row of data, where other lines stand between; ``footer`` says how many lines below
    the table are none of its rows. ``decimal`` and ``thousands`` are the signs in numbers. ``dates`` is the order of
    day, month and year in dates; a year of four digits in front is read in any of them.
    """

    header: Annotated[int, Field(ge=1)] | Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = 1
    data: Annotated[int, Field(ge=1)] | None = None
    footer: Annotated[int, Field(ge=0)] = 0
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'"] | None = None
    dates: Literal["ymd", "dmy", "mdy"] = "ymd"

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


class ParquetSource(OwnSource):
    """A parquet file; its columns keep their types."""

    parquet: str


class SpssSource(OwnSource):
    """An SPSS file, ``.sav`` or ``.zsav``; values with labels are read as their labels where every one has one."""

    spss: str


class StataSource(OwnSource):
    """A Stata file, ``.dta``; values with labels are read as their labels where every one has one."""

    stata: str


class SqlSource(OwnSource):
    """The answer to a query: ``sql`` is the address of a data base, ``query`` one ``select``. It is only read.

    The address is that of PostgreSQL, ``postgresql://user:${PASSWORD}@host:5432/name``, or of an SQLite file,
    ``sqlite:///data/raw/clinic.db``; a variable may be the whole of it. A password stands in it by a variable alone.
    """

    sql: str
    query: str

    @field_validator("sql")
    @classmethod
    def _address_without_password(cls, value: str) -> str:
        begins = re.match(r"(sqlite:///.|postgres(ql(\+psycopg)?)?://|\$\{\w+\})", value)
        if not begins:
            raise ValueError(
                "expected the address of a data base: postgresql://user:${PASSWORD}@host/name, sqlite:///file, or "
                "a variable that holds one."
            )
        user = value.partition("://")[2].rpartition("@")[0]
        secrets = [user.partition(":")[2], *re.findall(r"(?i)[?&]\w*password=([^&]*)", value)]
        if not all(re.fullmatch(r"(\$\{\w+\})?", secret) for secret in secrets):
            raise ValueError(
                "a password stands in the address. Put it into a variable, and write user:${VARIABLE}@host."
            )
        return value

    @field_validator("query")
    @classmethod
    def _a_query(cls, value: str) -> str:
        if not value.strip(" ;"):
            raise ValueError("no query. Give one select, whose answer is the table.")
        return value


class SimulatedSource(Declared):
    """A table drawn from a model instead of measured in patients; its cohort has to say ``simulated: true``."""

    simulation: Literal["radiomics"]
    seed: Annotated[int, Field(ge=0, lt=2**32)]


def _kind_of_source(value: Any) -> str:
    given = value if isinstance(value, dict) else vars(value)
    kinds = ("package", "csv", "excel", "parquet", "spss", "stata", "sql", "simulation")
    return next((kind for kind in kinds if kind in given), "csv")


Source = Annotated[
    Annotated[PackageSource, Tag("package")]
    | Annotated[CsvSource, Tag("csv")]
    | Annotated[ExcelSource, Tag("excel")]
    | Annotated[ParquetSource, Tag("parquet")]
    | Annotated[SpssSource, Tag("spss")]
    | Annotated[StataSource, Tag("stata")]
    | Annotated[SqlSource, Tag("sql")]
    | Annotated[SimulatedSource, Tag("simulation")],
    Discriminator(_kind_of_source),
]


class NamedSource(Declared):
    """One of several sources: how it is read, and how it is joined to the first, which holds patients and outcome.

    ``key`` is its column with the patient. In a joined source every patient stands once. ``prefix`` is put before the
    names of its columns. ``unmatched`` says what becomes of a patient of the first source that it does not have: she
    stays, her values missing, or is left out.
    """

    key: str
    prefix: str = ""
    unmatched: Literal["keep", "exclude"] = "exclude"
    source: Source

    @model_validator(mode="before")
    @classmethod
    def _beside_its_kind(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "source" in value:
            return value
        own = {name: value[name] for name in ("key", "prefix", "unmatched") if name in value}
        return {**own, "source": {name: item for name, item in value.items() if name not in own}}
