"""Readers: from a declared source to a raw table, every column as it stands there, missing cells as NaN."""

import os
import re
import warnings
from pathlib import Path

import pandas as pd

from relapse.cohorts.schema import CsvSource, ExcelSource, PackageSource, SimulatedSource, Source
from relapse.cohorts.simulation import simulate_radiomics
from relapse.errors import SourceError
from relapse.files import sha256_of_file, sha256_of_text

_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")


def read_source(source: Source, *, root: Path) -> pd.DataFrame:
    """Read a source whole.

    Cells of files are read as text, so that nothing is lost before the gate has seen it; data sets of packages keep
    their types.

    Parameters
    ----------
    source
        As declared.
    root
        Folder that relative paths start from.

    Raises
    ------
    SourceError
        No such file, not a file, not readable as what it is declared to be, or without rows.
    """
    match source:
        case PackageSource():
            table = _read_package(source)
        case CsvSource():
            table = _read_csv(source, locate(source, root=root))
        case ExcelSource():
            table = _read_excel(source, locate(source, root=root))
        case SimulatedSource():
            table = simulate_radiomics(source.seed)
    if table.empty:
        raise SourceError(f"{describe(source)}: no rows of data. Expected a header line and at least one row below it.")
    repeated = sorted({str(name) for name in table.columns[table.columns.duplicated()]})
    if repeated:
        raise SourceError(f"{describe(source)}: column {', '.join(repeated)} stands there more than once.")
    return table


def describe(source: Source) -> str:
    """A source in words, as declared: environment variables are not replaced."""
    match source:
        case PackageSource():
            return f"{source.package}:{source.dataset}"
        case CsvSource():
            return source.csv
        case ExcelSource():
            return f"{source.excel} [{source.sheet}]"
        case SimulatedSource():
            return f"simulation:{source.simulation}, seed {source.seed}"


def fingerprint(source: Source, *, root: Path) -> str:
    """What identifies the content of a source: a package's version, or the SHA-256 of a file or a simulated table."""
    if isinstance(source, PackageSource):
        from importlib.metadata import version

        return f"{source.package} {version(source.package)}"
    if isinstance(source, SimulatedSource):
        return f"sha256:{sha256_of_text(simulate_radiomics(source.seed).to_csv(index=False))}"
    return f"sha256:{sha256_of_file(locate(source, root=root))}"


def locate(source: CsvSource | ExcelSource, *, root: Path) -> Path:
    """The file of a source, ``${NAME}`` replaced from the environment.

    Raises
    ------
    SourceError
        An environment variable is not set, or there is no such file.
    """
    declared = source.csv if isinstance(source, CsvSource) else source.excel
    unset = [name for name in re.findall(r"\$\{(\w+)\}", declared) if name not in os.environ]
    if unset:
        raise SourceError(f"{declared}: environment variable {unset[0]} is not set. Set it to the folder of the file.")
    path = root / os.path.expandvars(declared)
    if path.is_dir():
        raise SourceError(f"{declared}: this is a folder. Name the file in it.")
    if not path.is_file():
        raise SourceError(f"{declared}: no such file.")
    if path.stat().st_size == 0:
        raise SourceError(f"{declared}: the file is empty. Expected a header line and rows.")
    return path


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


def _read_csv(source: CsvSource, path: Path) -> pd.DataFrame:
    names = list(source.columns) if source.columns else None
    try:
        with warnings.catch_warnings():
            # Rows longer than the header would lose their last cells with no more than a warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                path,
                sep=source.separator,
                encoding=source.encoding,
                names=names,
                header=None if names else 0,
                dtype=str,
                keep_default_na=False,
                na_values=[*_MISSING, *source.missing],
                skipinitialspace=True,
                index_col=False,
            )
    except (pd.errors.ParserWarning, pd.errors.ParserError):
        raise SourceError(
            f"{source.csv}: some rows have more cells than there are columns. "
            f"Check the header line, the separator (declared: {source.separator!r}) and the quotes."
        ) from None
    except (pd.errors.EmptyDataError, ValueError, LookupError) as error:
        # The reader's own message could quote a cell; its kind says enough.
        raise SourceError(
            f"{source.csv}: not readable as CSV with separator {source.separator!r} and encoding {source.encoding} "
            f"({type(error).__name__}). Check that it is a text table, and the declared separator and encoding."
        ) from None


def _read_excel(source: ExcelSource, path: Path) -> pd.DataFrame:
    from zipfile import BadZipFile

    try:
        with pd.ExcelFile(path, engine="openpyxl") as workbook:
            if source.sheet not in workbook.sheet_names:
                present = ", ".join(str(name) for name in workbook.sheet_names)
                raise SourceError(f"{source.excel}: no sheet {source.sheet!r}. It has: {present}.")
            return pd.read_excel(
                workbook,
                sheet_name=source.sheet,
                header=source.header - 1,
                dtype=str,
                keep_default_na=False,
                na_values=[*_MISSING, *source.missing],
            )
    except (BadZipFile, KeyError, ValueError, OSError) as error:
        raise SourceError(
            f"{source.excel}: not readable as an Excel workbook, .xlsx ({type(error).__name__})."
        ) from None
