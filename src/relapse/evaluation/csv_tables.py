"""CSV tables made elsewhere, as they stand: UTF-8, a comma between cells, a point in numbers, each name once."""

import csv
import gzip
import io
import warnings
from pathlib import Path
from typing import Any
from zlib import error as ZlibError

import pandas as pd

from relapse.cohorts.diagnosis import files
from relapse.cohorts.grids import repeated
from relapse.ground.errors import PredictionsError


def read_csv_table(path: Path, **options: Any) -> pd.DataFrame:
    """Read a table, plain or gzipped, with further options of :func:`pandas.read_csv`.

    Raises
    ------
    PredictionsError
        No UTF-8 text, a name that stands there twice, rows longer than the header, or another separator.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode("utf-8-sig")
        names = next(csv.reader(io.StringIO(text, newline="")), [])
        if again := repeated(names):
            raise PredictionsError(f"{path}: column name more than once: {again}. Rename one in the file.")
        if len(names) == 1 and (sign := files.separator(text.splitlines()[:50], ",")):
            raise PredictionsError(f"{path}: the cells look separated by {sign!r}. Write them with commas between.")
        with warnings.catch_warnings():
            # Without a say on the index, rows longer than the header shift every column by one, in silence.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(io.StringIO(text), index_col=False, **options)
    except pd.errors.ParserWarning:
        raise PredictionsError(f"{path}: some rows have more cells than there are columns.") from None
    except (ValueError, OSError, EOFError, ZlibError, csv.Error, pd.errors.ParserError) as error:
        # The reader's own message could quote a cell; its kind says enough.
        raise PredictionsError(f"{path}: not readable as CSV in UTF-8 ({type(error).__name__}).") from None
