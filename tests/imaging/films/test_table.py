"""A sheet of films becomes a table, which a radiologist corrects."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from relapse.ground.errors import SourceError
from relapse.imaging.films import table
from relapse.imaging.films.reader import FilmReader
from relapse.imaging.films.simulation import CLINICAL, SHEET, TRUTH, write_films
from relapse.machinery import Machinery
from tests.bundle.filmed import taught_a_little

ALONE = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="fork")

PATIENTS = 3


@pytest.fixture(scope="session")
def reader() -> FilmReader:
    """A reader that has been taught a little, by drawn films alone."""
    return taught_a_little()


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    write_films(folder, ALONE, patients=PATIENTS, seed=4)
    return folder


@pytest.fixture(scope="session")
def found(
    drawn: Path, reader: FilmReader, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[table.Read, ...], Path]:
    cache = tmp_path_factory.mktemp("cache")
    return table.read_films(table.read_sheet(drawn / SHEET), reader, cache=cache, machinery=ALONE), cache


def test_every_view_has_a_row_with_its_values_and_how_sure_the_reader_is(
    found: tuple[tuple[table.Read, ...], Path], drawn: Path, tmp_path: Path
) -> None:
    films, cache = found
    made, corrected = table.write_readings(films, tmp_path, cache=cache, clinical=drawn / CLINICAL)
    truth = pd.read_csv(drawn / TRUTH)
    assert corrected == 0
    assert list(zip(made["patient"], made["view"], strict=True)) == list(
        zip(truth["patient"], truth["view"], strict=True)
    )
    written = pd.read_csv(tmp_path / table.READINGS)
    assert list(written.columns[:6]) == ["patient", "view", "size", "shape", "margin", "density"]
    there = written[written["size"].notna()]
    assert len(there) >= len(written) / 2
    assert there["size_low"].lt(there["size_high"]).all()
    for name in ("shape", "margin", "density"):
        assert there[name].isin([0, 1, 2, 3]).all()
        assert there[f"{name}_confidence"].between(0.25, 1).all()
    assert set(written["density_by"]) == {"reader"}
    # From the clinical sheet, since no film shows them.
    assert written["relapse"].isin([0, 1]).all()
    assert written["subtype"].isin([0, 1, 2, 3]).all()
    assert sorted(path.suffix for path in (tmp_path / table.SHEETS).iterdir()) == [".png"]


def test_what_a_radiologist_reads_takes_the_place_of_a_proposal(
    found: tuple[tuple[table.Read, ...], Path], tmp_path: Path
) -> None:
    films, cache = found
    table.write_readings(films, tmp_path, cache=cache)
    path = tmp_path / table.CORRECTIONS
    corrections = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert (corrections[["size", "shape", "margin", "density"]] == "").all(axis=None)
    corrections.loc[0, ["size", "margin"]] = ["12,5", "3"]
    corrections.to_csv(path, index=False)
    before = path.read_bytes()
    made, corrected = table.write_readings(films, tmp_path, cache=cache)
    assert corrected == 2
    assert path.read_bytes() == before
    assert made.loc[0, ["size", "margin", "size_by", "margin_by", "shape_by"]].tolist() == [
        12.5,
        3,
        "radiologist",
        "radiologist",
        "reader",
    ]
    assert made.loc[0, "margin_proposed"] == films[0].values["margin_proposed"]


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("margin", "4", "margin '4' is no code of the study: 0, 1, 2 or 3"),
        ("margin", "1.5", "no code of the study"),
        ("density", "dense", "density 'dense' is no number. Leave it empty where the proposal stands"),
        ("size", "2000", "size '2000' is no diameter in mm"),
    ],
)
def test_a_correction_that_cannot_be_is_refused(
    found: tuple[tuple[table.Read, ...], Path], tmp_path: Path, column: str, text: str, said: str
) -> None:
    films, cache = found
    table.write_readings(films, tmp_path, cache=cache)
    path = tmp_path / table.CORRECTIONS
    corrections = pd.read_csv(path, dtype=str, keep_default_na=False)
    corrections.loc[0, column] = text
    corrections.to_csv(path, index=False)
    before = (tmp_path / table.READINGS).read_bytes()
    with pytest.raises(SourceError, match=said):
        table.write_readings(films, tmp_path, cache=cache)
    assert (tmp_path / table.READINGS).read_bytes() == before


def test_a_faulty_film_is_set_aside_and_the_rest_goes_on(
    drawn: Path, reader: FilmReader, found: tuple[tuple[table.Read, ...], Path], tmp_path: Path
) -> None:
    films, cache = found
    listed = list(table.read_sheet(drawn / SHEET))
    broken = tmp_path / "broken.png"
    broken.write_bytes(listed[0].path.read_bytes()[:2000])
    listed[0] = replace(listed[0], path=broken)
    listed[1] = replace(listed[1], path=tmp_path / "nowhere.png")
    again = table.read_films(tuple(listed), reader, cache=cache, machinery=ALONE)
    assert [one.fault for one in again[:2]] == ["file-truncated", "file-unreadable"]
    # What was read before comes from the cache, and is the same.
    assert again[2:] == films[2:]
    made, _ = table.write_readings(again, tmp_path / "out", cache=cache)
    assert len(made) == len(films) - 2
    aside = pd.read_csv(tmp_path / "out" / table.ASIDE)
    assert list(aside["fault"]) == ["file-truncated", "file-unreadable"]


def test_the_same_film_is_read_the_same_by_any_number_of_workers(
    drawn: Path, reader: FilmReader, found: tuple[tuple[table.Read, ...], Path], tmp_path: Path
) -> None:
    films, _ = found
    two = replace(ALONE, workers=2)
    assert table.read_films(table.read_sheet(drawn / SHEET), reader, cache=tmp_path, machinery=two) == films


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda sheet: sheet.drop(columns="view"), "no column view. There are: film, patient"),
        (lambda sheet: sheet.assign(age=50), "unknown columns age"),
        (lambda sheet: sheet.assign(laterality="both"), "row 2: laterality 'both'. Allowed: L, R"),
        (lambda sheet: sheet.assign(y=""), "x and y mark a place together"),
        (lambda sheet: sheet.assign(spacing="0"), "spacing '0' is no number above 0"),
        (lambda sheet: sheet.assign(inverted="perhaps"), "inverted 'perhaps'. Allowed: yes, no"),
        (lambda sheet: sheet.assign(film=""), "row 2: film is empty"),
        (lambda sheet: pd.concat([sheet, sheet.head(1)]), "stands there twice; each view of a patient has one row"),
        (lambda sheet: sheet.head(0), "no row"),
    ],
)
def test_a_sheet_that_cannot_be_used_says_why(drawn: Path, tmp_path: Path, change: object, said: str) -> None:
    path = tmp_path / "sheet.csv"
    change(pd.read_csv(drawn / SHEET, dtype=str)).to_csv(path, index=False)  # type: ignore[operator]
    with pytest.raises(SourceError, match=said):
        table.read_sheet(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda sheet: sheet.iloc[1:], "1 patients with films do not stand in it, first 'P001'"),
        (lambda sheet: pd.concat([sheet, sheet.head(1)]), "P001 stands there twice; each patient has one row"),
        (lambda sheet: sheet.assign(size=3), "columns size are read from the films, too"),
        (lambda sheet: sheet.rename(columns={"patient": "id"}), "no column patient"),
    ],
)
def test_a_clinical_sheet_that_does_not_fit_says_why(
    found: tuple[tuple[table.Read, ...], Path], drawn: Path, tmp_path: Path, change: object, said: str
) -> None:
    films, cache = found
    path = tmp_path / "clinical.csv"
    change(pd.read_csv(drawn / CLINICAL)).to_csv(path, index=False)  # type: ignore[operator]
    with pytest.raises(SourceError, match=said):
        table.write_readings(films, tmp_path / "out", cache=cache, clinical=path)
    assert not (tmp_path / "out" / table.READINGS).exists()
