"""Painted films: outlines and tints are where the masks are, and the same films give the same bytes."""

import io
from pathlib import Path

import numpy as np

from relapse.imaging.films.sheet import BREAST, LESION, PECTORAL, Entry, film_sheet, painted, painted_sheets

from .drawn import Drawn, draw


def entry(drawn: Drawn, title: str = "film 7  $31\\%$") -> Entry:
    lesion = np.zeros(drawn.values.shape, dtype=np.bool_)
    lesion[200:220, 60:80] = True
    image = (drawn.values / 4095).astype(np.float32)
    return Entry(title, image, drawn.tissue, drawn.muscle, drawn.dense, lesion, (210.0, 70.0, 25.0))


def pixels(content: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(content)))


def test_outlines_and_tint_are_where_the_masks_are() -> None:
    drawn = draw()
    found = pixels(painted(entry(drawn)))
    assert found.shape == (*drawn.values.shape, 3)
    assert (found[200, 60:80] == LESION).all()
    for colour, mask in ((BREAST, drawn.tissue), (PECTORAL, drawn.muscle)):
        drawn_there = (found == colour).all(axis=2)
        assert drawn_there.sum() > 200
        assert not (drawn_there & ~mask).any()
    grey = np.ptp(found.astype(int), axis=2) == 0
    inside = drawn.dense & (np.mgrid[:384, :320][0] > 250)
    inside &= ~(found == BREAST).all(axis=2)
    assert not grey[inside].any()
    assert grey[:, 300:].all()


def test_a_painted_film_is_no_higher_than_asked_and_the_same_each_time() -> None:
    drawn = draw()
    assert pixels(painted(entry(drawn), highest=150)).shape[0] == 150
    assert painted(entry(drawn)) == painted(entry(drawn))
    plain = pixels(painted(Entry("plain", (drawn.values / 4095).astype(np.float32))))
    assert (np.ptp(plain.astype(int), axis=2) == 0).all()


def test_sheets_are_pages_of_24_films_and_the_same_each_time(tmp_path: Path) -> None:
    drawn = draw()
    plain = tmp_path / "plain.png"
    plain.write_bytes(painted(entry(drawn), highest=100))
    pages = painted_sheets([("plain", plain)] * 25, tmp_path / "pages")
    assert [page.name for page in pages] == ["001.png", "002.png"]
    assert (pixels(pages[1].read_bytes())[..., :3] < 100).all(axis=2).mean() > 0.05
    film_sheet([entry(drawn)], tmp_path / "a.png")
    film_sheet([entry(drawn)], tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    seen = pixels((tmp_path / "a.png").read_bytes())[..., :3]
    assert (seen == LESION).all(axis=2).any()
