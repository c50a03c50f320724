"""Readers: from a declared source to a raw table, every column as it stands there, missing cells as NaN."""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import pandas as pd

from relapse.cohorts.databases import read_answer
from relapse.cohorts.declared.source import (
    CsvSource,
    ExcelSource,
    OwnSource,
    PackageSource,
    ParquetSource,
    SimulatedSource,
    Source,
    SpssSource,
    SqlSource,
    StataSource,
)
from relapse.cohorts.diagnosis import files
from relapse.cohorts.diagnosis.files import squeezed
from relapse.cohorts.grids import read_csv, read_excel, repeated
from relapse.cohorts.labelled import read_labelled
from relapse.cohorts.variables import require_set
from relapse.ground.errors import SourceError
from relapse.ground.files import sha256_of_file, sha256_of_text

#: A source that is a file.
InFile = CsvSource | ExcelSource | ParquetSource | SpssSource | StataSource

_MISSING = frozenset(("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"))
_WHOLE = re.compile(r"(-?\d+)(?:\.0+)?")


class Read(NamedTuple):
    """The raw table of a source, and what identifies its content, as :func:`fingerprint` has it."""

    table: pd.DataFrame
    fingerprint: str


def read_source(
    source: Source, *, root: Path, codes: Mapping[str, Collection[str]] = MappingProxyType({})
) -> pd.DataFrame:
    """The raw table of a source; as :func:`read_known`."""
    return read_known(source, root=root, codes=codes).table


def read_known(source: Source, *, root: Path, codes: Mapping[str, Collection[str]] = MappingProxyType({})) -> Read:
    """Read a source whole, and say what identifies the content that was read.

    Cells of text files and sheets are read as text, so that nothing is lost before the gate has seen it; data sets of
    packages, parquet files and answers of data bases keep their types.

    Parameters
    ----------
    source
        As declared.
    root
        Folder that relative paths start from.
    codes
        Declared codes and levels by column: a usual word for missing, such as ``None``, is none where it is one.

    Raises
    ------
    SourceError
        No such file, not a file, not readable as what it is declared to be, or without rows; of a data base, as
        :func:`relapse.cohorts.databases.read_answer`.
    """
    if isinstance(source, SqlSource):
        # Asked once: the answer to a second question may be another.
        answer = read_answer(source, root=root)
        return Read(_blanked(answer, source, codes), _of_table(answer))
    match source:
        case PackageSource():
            table = _read_package(source)
        case CsvSource():
            table = read_csv(source, locate(source, root=root))
        case ExcelSource():
            table = read_excel(source, locate(source, root=root))
        case ParquetSource():
            table = _read_parquet(source, locate(source, root=root))
        case SpssSource() | StataSource():
            table = read_labelled(source, locate(source, root=root)).table
        case SimulatedSource():
            table = _simulated(source)
    if table.empty:
        raise SourceError(f"{describe(source)}: no rows of data. Expected a header line and at least one row below it.")
    known = fingerprint(source, root=root)
    return Read(_blanked(table, source, codes) if isinstance(source, OwnSource) else table, known)


def describe(source: Source) -> str:
    """A source in words, as declared: environment variables are not replaced."""
    match source:
        case PackageSource():
            return f"{source.package}:{source.dataset}"
        case CsvSource():
            return source.csv
        case ExcelSource():
            return f"{source.excel} [{source.sheet}]"
        case ParquetSource() | SpssSource() | StataSource():
            return _file(source)
        case SqlSource():
            return source.sql
        case SimulatedSource():
            return f"simulation:{source.simulation}, seed {source.seed}"


def fingerprint(source: Source, *, root: Path) -> str:
    """What identifies the content of a source: a package's version, or the SHA-256 of a file or of a table's values."""
    if isinstance(source, PackageSource):
        from importlib.metadata import version

        return f"{source.package} {version(source.package)}"
    if isinstance(source, SimulatedSource):
        return _of_table(_simulated(source))
    if isinstance(source, SqlSource):
        return _of_table(read_answer(source, root=root))
    return f"sha256:{sha256_of_file(locate(source, root=root))}"


def _simulated(source: SimulatedSource) -> pd.DataFrame:
    from relapse.cohorts.simulation import simulate_radiomics

    return simulate_radiomics(source.seed)


def _of_table(table: pd.DataFrame) -> str:
    return f"sha256:{sha256_of_text(table.to_csv(index=False))}"


def locate(source: InFile, *, root: Path) -> Path:
    """The file of a source, ``${NAME}`` replaced from the environment.

    Raises
    ------
    SourceError
        An environment variable is not set, or there is no such file.
    """
    declared, path = _file(source), path_of(source, root=root)
    if path.is_dir():
        raise SourceError(f"{declared}: this is a folder. Name the file in it.")
    if not path.is_file():
        raise SourceError(f"{declared}: no such file.")
    if path.stat().st_size == 0:
        raise SourceError(f"{declared}: the file is empty. Expected a header line and rows.")
    return path


def path_of(source: InFile, *, root: Path) -> Path:
    """Where the file of a source is to lie, whether it does or not; raises as :func:`locate` for a variable."""
    return expanded(_file(source), root=root, what="file", obtain=source.obtain)


def folder_of(declared: str, *, root: Path) -> Path:
    """A declared folder, ``${NAME}`` replaced from the environment.

    Raises
    ------
    SourceError
        An environment variable is not set, or there is no such folder.
    """
    path = expanded(declared, root=root, what="folder")
    if not path.is_dir():
        raise SourceError(f"{declared}: no such folder.")
    return path


def expanded(declared: str, *, root: Path, what: str, obtain: str | None = None) -> Path:
    """A declared path with ``${NAME}`` replaced from the environment; raises as :func:`folder_of` where none is set."""
    require_set(declared, whole=what, part=f"folder of the {what}", obtain=obtain)
    return root / os.path.expandvars(declared)


def _file(source: InFile) -> str:
    match source:
        case CsvSource():
            return source.csv
        case ExcelSource():
            return source.excel
        case ParquetSource():
            return source.parquet
        case SpssSource():
            return source.spss
        case StataSource():
            return source.stata


def _read_package(source: PackageSource) -> pd.DataFrame:
    if source.package == "lifelines":
        from lifelines import datasets

        load = getattr(datasets, f"load_{source.dataset}", None)
        if load is None:
            raise SourceError(f"{describe(source)}: lifelines has no such data set.")
        return pd.DataFrame(load())
    from SurvSet.data import SurvLoader

    loader = SurvLoader()
    if source.dataset not in set(loader.df_ds["ds"]):
        raise SourceError(f"{describe(source)}: SurvSet has no such data set.")
    return pd.DataFrame(loader.load_dataset(source.dataset)["df"])


def _read_parquet(source: ParquetSource, path: Path) -> pd.DataFrame:
    from pyarrow import ArrowException, parquet

    try:
        # The reader itself stumbles over a repeated name without saying which.
        names = [squeezed(name) for name in parquet.read_schema(path).names]
        again = repeated(names)
        if again is None:
            table = pd.read_parquet(path)
    except (ArrowException, ValueError, OSError) as error:
        kind = files.text_or(path.read_bytes())
        raise SourceError(
            f"{source.parquet}: not readable as parquet ({type(error).__name__})."
            + (f" It looks like {kind}." if kind else "")
        ) from None
    if again:
        raise SourceError(f"{source.parquet}: column name more than once: {again}. Rename one in the file.")
    if any(table.index.names):
        table = table.reset_index()
    return table.rename(columns=squeezed)


def _blanked(table: pd.DataFrame, source: OwnSource, codes: Mapping[str, Collection[str]]) -> pd.DataFrame:
    """A table with NaN where a cell holds a word for missing; 999 and 999.0 are one word."""
    columns = {}
    for name in table.columns:
        values = table[name]
        words = _MISSING.difference(codes.get(name, ())) | source.words_for_missing(name)
        if pd.api.types.is_string_dtype(values):
            text = values.astype("str").str.strip()
            known = text.isin(words)
            if any(_WHOLE.fullmatch(word) for word in words):
                known |= text.str.replace(_WHOLE, r"\1", regex=True).isin({_WHOLE.sub(r"\1", word) for word in words})
            values = text
        else:
            known = values.isin([float(word) for word in words if _WHOLE.fullmatch(word)])
        columns[name] = values.mask(known)
    return pd.DataFrame(columns)
