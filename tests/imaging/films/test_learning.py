"""A reader is taught by lessons, the same by the same ones, and says what it lacks."""

from dataclasses import replace

import numpy as np
import pytest

from relapse.ground.errors import SourceError
from relapse.imaging.films.learning import Effort, Lesson, drawn_lessons, teach
from relapse.imaging.films.phantoms import laid_on
from relapse.machinery import Machinery

ALONE = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="fork")

LITTLE = Effort(windows=32, epochs=1, repeats=1, lesions=24)


@pytest.fixture(scope="module")
def lessons() -> list[Lesson]:
    return drawn_lessons(12, seed=5, machinery=ALONE)


def test_drawn_lessons_are_of_every_tissue_and_of_as_many_women(lessons: list[Lesson]) -> None:
    assert [one.tissue for one in lessons[:6]] == ["F", "G", "D", "F", "G", "D"]
    assert len({one.woman for one in lessons}) == 12
    again = drawn_lessons(2, seed=5, machinery=ALONE)
    np.testing.assert_array_equal(again[1].breast.image, lessons[1].breast.image)


@pytest.mark.slow
def test_the_same_lessons_teach_the_same_reader(lessons: list[Lesson]) -> None:
    first, second = (teach(lessons, seed=3, effort=LITTLE) for _ in range(2))
    assert first.parts == second.parts
    assert "12 films of 12 women" in first.about["taught"]


def test_lessons_without_normal_films_or_with_few_of_a_tissue_are_refused(lessons: list[Lesson]) -> None:
    fatty = [one for one in lessons if one.tissue == "F"]
    for few in (fatty, lessons[:9], [replace(one, tissue=None) for one in lessons], []):
        with pytest.raises(
            SourceError, match=r"normal films, and films of each tissue \(F, G, D\) of at least 4 women"
        ):
            teach(few, seed=3, effort=LITTLE)


def test_a_mass_is_drawn_into_the_breast_and_nowhere_else(lessons: list[Lesson]) -> None:
    breast = lessons[0].breast
    laid = laid_on(breast, np.random.default_rng(1), shape=1, margin=0, diameter=18.0)
    assert laid is not None
    changed, mask = laid.breast, laid.mask
    assert 12 < laid.diameter <= 20
    assert mask[round(laid.row), round(laid.column)]
    assert not (mask & ~breast.mask).any()
    assert (changed.image != breast.image)[~breast.mask].sum() == 0
    assert changed.image[mask].mean() > breast.image[mask].mean() + 0.05
    assert laid_on(breast, np.random.default_rng(1), shape=1, margin=0, diameter=4000.0) is None
