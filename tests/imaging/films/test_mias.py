"""mini-MIAS: films, women and circles come out of its list as they are in the films."""

import os
from pathlib import Path

import numpy as np
import pytest

from relapse.ground.errors import SourceError
from relapse.imaging.films.breast import breast_of
from relapse.imaging.films.mias import read_mias
from relapse.imaging.reading.film import read_film

LABELS = """mdb001 G CIRC B 300 400 50
mdb002 G NORM
mdb003 D CALC M *NOTE 3*

mdb004 D ASYM M 100 24 10
mdb004 D CIRC B 512 512 30
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "labels.txt").write_text(LABELS)
    for inside, names in (("half", range(1, 5)), ("lesions", (1, 4))):
        (tmp_path / inside).mkdir()
        for number in names:
            (tmp_path / inside / f"mdb{number:03d}.png").touch()
    return tmp_path


def test_films_have_woman_side_spacing_and_their_finest_picture(folder: Path) -> None:
    films = read_mias(folder)
    assert [film.woman for film in films] == [1, 1, 2, 2]
    assert [film.about.laterality for film in films] == ["L", "R", "L", "R"]
    assert [film.about.spacing for film in films] == [0.2, 0.4, 0.4, 0.2]
    assert films[0].path == folder / "lesions" / "mdb001.png"
    assert [film.tissue for film in films] == ["G", "G", "D", "D"]
    assert {film.about.spacing for film in read_mias(folder, finest=False)} == {0.4}


def test_circles_count_from_the_upper_edge_in_the_films_own_pixels(folder: Path) -> None:
    films = read_mias(folder)
    region = films[0].lesions[0].region
    assert region is not None
    assert (region.x, region.y, region.radius) == (300, 623, 50)
    assert films[1].lesions == ()
    assert films[2].lesions[0].region is None
    assert films[2].lesions[0].malignant
    assert [lesion.kind for lesion in films[3].lesions] == ["ASYM", "CIRC"]
    half = read_mias(folder, finest=False)[3].lesions[1].region
    assert half is not None
    assert (half.x, half.y, half.radius) == (255.75, 255.25, 15)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ("mdb001 X NORM\n", "line 1"),
        ("mdb001 G NORM\nmdb2 G NORM\n", "line 2"),
        ("\n", "lists no film"),
        ("mdb009 G NORM\n", "no film of that name"),
        ("mdb001 G CIRC B 2000 2 3\n", "outside of the film"),
    ],
)
def test_another_layout_is_refused(folder: Path, labels: str, match: str) -> None:
    (folder / "labels.txt").write_text(labels)
    with pytest.raises(SourceError, match=match):
        read_mias(folder)


def test_a_folder_without_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"labels\.txt cannot be read"):
        read_mias(tmp_path)


@pytest.mark.skipif("RELAPSE_MINI_MIAS" not in os.environ, reason="RELAPSE_MINI_MIAS names no folder with the films")
def test_real_films_have_their_chest_wall_where_their_side_says() -> None:
    films = read_mias(Path(os.environ["RELAPSE_MINI_MIAS"]), finest=False)
    assert len(films) == 322
    assert films[-1].woman == 161
    circles = inside = 0
    for film in films[:40]:
        breast = breast_of(read_film(film.path, film.about))
        # Their scans are mirrored: the chest wall of left breasts is on the right.
        assert breast.mirrored == (film.about.laterality == "L")
        for lesion in film.lesions:
            if lesion.region is not None:
                row, column = breast.of_film(lesion.region.x, lesion.region.y)
                circles += 1
                inside += bool((breast.mask | breast.pectoral)[round(row), round(column)])
    assert circles > 10
    assert inside == circles
    assert np.mean([film.tissue == "F" for film in films]) == pytest.approx(106 / 322)
