"""From a sheet of films to a table with one row a view, which a radiologist corrects and the pipeline trains on.

The sheet names each film, its patient, side and view. What is read of a film stands beside how sure the reader is, and
a radiologist's own value, given in a file of corrections, takes the place of what was proposed. What a film does not
show, such as the molecular subtype or the outcome, comes from a clinical sheet, joined by patient.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse.cohorts.declared.images import CODES, READ
from relapse.cohorts.declared.source import CsvSource
from relapse.cohorts.grids import read_csv
from relapse.ground.errors import ImageError, SourceError
from relapse.ground.files import read_json, sha256_of_file, sha256_of_text, write_atomic, write_csv, write_json
from relapse.imaging.films.reading import Reading, Region
from relapse.imaging.reading.film import read_film
from relapse.imaging.reading.film_stored import About
from relapse.machinery import Machinery
from relapse.workers import shared_out

if TYPE_CHECKING:
    import pandas as pd

    from relapse.imaging.films.reader import FilmReader

#: Columns that a sheet has to have, and those it may have besides.
NEEDED, OPTIONAL = ("film", "patient", "laterality", "view"), ("spacing", "inverted", "x", "y", "radius")

#: What tells the rows of a table apart.
KEY = ("patient", "view")

#: Files of a folder of readings.
READINGS, CORRECTIONS, ASIDE, SHEETS = "readings.csv", "corrections.csv", "set_aside.csv", "contact_sheets"

#: What may part the cells of a sheet.
_SEPARATORS = (",", ";", "\t")

_SIDES = {"l": "L", "left": "L", "r": "R", "right": "R"}
_TRUE, _FALSE = ("1", "yes", "true"), ("", "0", "no", "false")

#: Raised with every change that reads other values from the same film with the same reader.
_VERSION = "1"


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of the sheet."""

    path: Path
    patient: str
    view: str
    about: About
    region: Region | None


@dataclass(frozen=True, slots=True)
class Read:
    """What became of a film: its values by column, or the code of a fault and what was found."""

    patient: str
    view: str
    film: str
    values: Mapping[str, Any]
    fault: str | None = None
    message: str | None = None


def read_sheet(path: Path) -> tuple[Listed, ...]:
    """Read the list of films; paths in it are relative to its folder.

    Raises
    ------
    SourceError
        A column or a value is missing or cannot be used, or two rows are of the same view of a patient.
    """
    table = _text(path, needed=NEEDED)
    unknown = sorted(set(table.columns) - {*NEEDED, *OPTIONAL})
    if unknown:
        raise SourceError(
            f"{path}: unknown columns {', '.join(unknown)}. A sheet of films has {', '.join(NEEDED)}, and may have "
            f"{', '.join(OPTIONAL)}; what else is known of a patient belongs into the clinical sheet."
        )
    listed = tuple(_listed(path, number, row) for number, row in enumerate(table.to_dict("records"), start=2))
    _unique(path, [(one.patient, one.view) for one in listed], "view of a patient")
    return listed


def read_films(
    listed: tuple[Listed, ...], reader: "FilmReader", *, cache: Path, machinery: Machinery
) -> tuple[Read, ...]:
    """Read every film, in their order; one that cannot be read is set aside with a reason, and the rest goes on.

    What was read once, of the same bytes with the same reader and region, is taken from ``cache``.
    """
    from joblib import delayed

    tasks = (delayed(_read)(one, reader.parts, reader.identity, cache) for one in listed)
    return tuple(shared_out(tasks, machinery, total=len(listed), label="films", here=True))


def write_readings(
    found: tuple[Read, ...], folder: Path, *, cache: Path, clinical: Path | None = None
) -> "tuple[pd.DataFrame, int]":
    """Write the table of readings, the file of corrections where there is none yet, who was set aside, contact sheets.

    Parameters
    ----------
    clinical
        A CSV with a row a patient; its columns join the table.

    Returns
    -------
    The table, and how many values in it are a radiologist's.

    Raises
    ------
    SourceError
        No film could be read, the corrections name a view or a code that there is not, or the clinical sheet does not
        fit.
    """
    import pandas as pd

    usable = [one for one in found if one.fault is None]
    aside = [(one.patient, one.view, one.film, one.fault, one.message) for one in found if one.fault]
    write_csv(folder / ASIDE, pd.DataFrame(aside, columns=["patient", "view", "film", "fault", "message"]))
    if not usable:
        raise SourceError(f"none of {len(found)} films could be read; first: {found[0].film}: {found[0].message}")
    table = pd.DataFrame([{"patient": one.patient, "view": one.view, **one.values} for one in usable])
    corrections = folder / CORRECTIONS
    if not corrections.is_file():
        proposed = table[[*KEY, *(f"{name}_proposed" for name in READ)]]
        write_csv(corrections, proposed.assign(**dict.fromkeys(READ, None)))
    table, corrected = _corrected(table, corrections)
    if clinical is not None:
        table = _joined(table, clinical)
    write_csv(folder / READINGS, table)
    _sheets(usable, folder / SHEETS, cache)
    return table, corrected


def row_of(reading: Reading) -> dict[str, Any]:
    """What was read of a film, by column: each value as proposed, and how sure the reader is of it."""
    size = reading.size
    row: dict[str, Any] = {
        "size_proposed": round(size.value, 1) if size else None,
        "size_low": round(size.low, 1) if size else None,
        "size_high": round(size.high, 1) if size else None,
        "size_confidence": round(size.confidence, 3) if size else None,
    }
    for name, coded in (("shape", reading.shape), ("margin", reading.margin), ("density", reading.density)):
        row[f"{name}_proposed"] = coded.value if coded else None
        row[f"{name}_confidence"] = round(coded.confidence, 3) if coded else None
    return row | {
        "percent_density": round(reading.percent, 1),
        "x": round(reading.region.x) if reading.region else None,
        "y": round(reading.region.y) if reading.region else None,
        "place": "proposed" if reading.proposed else "marked",
        "notes": " ".join(reading.notes) or None,
    }


def _read(one: Listed, parts: Mapping[str, bytes], identity: str, cache: Path) -> Read:
    from relapse.imaging.films.reader import FilmReader
    from relapse.imaging.films.sheet import entry_of, painted

    try:
        address = sha256_of_text(_VERSION, identity, sha256_of_file(one.path), str(one.about), str(one.region))
        kept = cache / address[:2] / f"{address}.json"
        picture = kept.with_suffix(".png")
        if not (kept.is_file() and picture.is_file()):
            reading = FilmReader.open(parts).read(read_film(one.path, one.about), one.region)
            content = painted(entry_of(reading))
            write_atomic(picture, lambda temporary: temporary.write_bytes(content))
            write_json(kept, row_of(reading))
    except OSError as error:
        words = f"cannot be opened ({error.strerror or error})."
        return Read(one.patient, one.view, one.path.name, {}, "file-unreadable", words)
    except ImageError as error:
        return Read(one.patient, one.view, one.path.name, {}, error.code, str(error))
    values = {"film": one.path.name, **read_json(kept), "picture": f"{address[:2]}/{address}.png"}
    return Read(one.patient, one.view, one.path.name, values)


def _corrected(table: "pd.DataFrame", path: Path) -> "tuple[pd.DataFrame, int]":
    """The table with final values, a radiologist's or as proposed; ``<name>_by`` says which."""
    given = _text(path, needed=(*KEY, *READ))
    _unique(path, list(zip(*(given[name] for name in KEY), strict=True)), "view of a patient")
    by_key = given.set_index(list(KEY))
    keys = list(zip(table["patient"], table["view"], strict=True))
    strangers = [key for key in by_key.index if key not in set(keys) and any(by_key.loc[key, list(READ)] != "")]
    if strangers:
        raise SourceError(
            f"{path}: {len(strangers)} rows correct a view that was not read, first {' '.join(strangers[0])}. Correct "
            "the name, or take the row out."
        )
    final, corrected = table.copy(), 0
    for name in READ:
        values: list[Any] = []
        by = []
        for key, proposed in zip(keys, table[f"{name}_proposed"], strict=True):
            text = str(by_key.loc[key, name]).strip() if key in by_key.index else ""
            values.append(_correction(path, key, name, text) if text else proposed)
            by.append("radiologist" if text else "reader")
        corrected += by.count("radiologist")
        kind = "float64" if name == "size" else "Int64"
        final[name] = _numbers(values, kind)
        final[f"{name}_by"] = by
    order = [*KEY, *READ]
    return final[[*order, *(name for name in final.columns if name not in order)]], corrected


def _numbers(values: list[Any], kind: str) -> "pd.Series":
    import pandas as pd

    return pd.Series(pd.to_numeric(pd.Series(values, dtype=object)), dtype=kind)


def _correction(path: Path, key: tuple[str, str], name: str, text: str) -> float | int:
    what = f"{path}: {' '.join(key)}: {name} {text!r}"
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        raise SourceError(f"{what} is no number. Leave it empty where the proposal stands.") from None
    if name == "size":
        if not 0.5 <= number <= 300:
            raise SourceError(f"{what} is no diameter in mm: 0.5 to 300.")
        return number
    if number not in CODES:
        *most, last = map(str, CODES)
        raise SourceError(f"{what} is no code of the study: {', '.join(most)} or {last}.")
    return int(number)


def _joined(table: "pd.DataFrame", clinical: Path) -> "pd.DataFrame":
    """The table with the columns of the clinical sheet, by patient."""
    sheet = _text(clinical, needed=("patient",))
    _unique(clinical, [(name,) for name in sheet["patient"]], "patient")
    twice = sorted((set(table.columns) & set(sheet.columns)) - {"patient"})
    if twice:
        raise SourceError(f"{clinical}: columns {', '.join(twice)} are read from the films, too. Rename them.")
    lacking = sorted(set(table["patient"]) - set(sheet["patient"]))
    if lacking:
        raise SourceError(
            f"{clinical}: {len(lacking)} patients with films do not stand in it, first {lacking[0]!r}. Add them, or "
            "take their films out of the sheet."
        )
    return table.merge(sheet, on="patient", how="left", validate="many_to_one")


def _sheets(usable: list[Read], folder: Path, cache: Path) -> None:
    import shutil

    from relapse.imaging.films.sheet import painted_sheets

    shutil.rmtree(folder, ignore_errors=True)
    shown = [(f"{one.patient} {one.view}\n{_told(one.values)}", cache / str(one.values["picture"])) for one in usable]
    painted_sheets(shown, folder)


def _told(values: Mapping[str, Any]) -> str:
    """What a contact sheet says of a film."""
    size = f"{values['size_proposed']:g} mm" if values["size_proposed"] is not None else "no lesion found"
    codes = "  ".join(f"{name} {values[f'{name}_proposed']}" for name in READ[1:])
    return f"{size}  {codes}"


def _text(path: Path, *, needed: tuple[str, ...]) -> "pd.DataFrame":
    """A CSV as text, parted by what parts its header most; every needed column is there."""
    if not path.is_file():
        raise SourceError(f"{path}: no such file.")
    with path.open(encoding="utf-8-sig", errors="replace") as stream:
        header = stream.readline()
    table = read_csv(CsvSource(csv=str(path), separator=max(_SEPARATORS, key=header.count)), path)
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise SourceError(f"{path}: no column {', '.join(missing)}. There are: {', '.join(table.columns)}.")
    if table.empty:
        raise SourceError(f"{path}: no row.")
    return table.fillna("")


def _unique(path: Path, keys: list[tuple[str, ...]], what: str) -> None:
    seen = set[tuple[str, ...]]()
    for key in keys:
        if key in seen:
            raise SourceError(f"{path}: {' '.join(key)} stands there twice; each {what} has one row.")
        seen.add(key)


def _listed(path: Path, number: int, row: Mapping[Hashable, str]) -> Listed:
    where = f"{path}: row {number}"
    for name in ("film", "patient", "view"):
        if not row[name]:
            raise SourceError(f"{where}: {name} is empty.")
    side = _SIDES.get(row["laterality"].lower())
    if side is None:
        raise SourceError(f"{where}: laterality {row['laterality']!r}. Allowed: L, R.")
    inverted = row.get("inverted", "").lower()
    if inverted not in (*_TRUE, *_FALSE):
        raise SourceError(f"{where}: inverted {inverted!r}. Allowed: yes, no.")
    x, y, radius, spacing = (_number(where, name, row.get(name, "")) for name in ("x", "y", "radius", "spacing"))
    if (x is None) != (y is None) or (radius is not None and x is None):
        raise SourceError(f"{where}: x and y mark a place together, and radius how far around it: give x and y.")
    region = Region(x, y, radius) if x is not None and y is not None else None
    about = About(spacing=spacing, laterality=side, view=row["view"], inverted=inverted in _TRUE)
    return Listed(path.parent / row["film"], row["patient"], f"{side}-{row['view']}", about, region)


def _number(where: str, name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e6 or (number == 0 and name in ("radius", "spacing")):
        raise SourceError(f"{where}: {name} {text!r} is no number above 0.")
    return number
