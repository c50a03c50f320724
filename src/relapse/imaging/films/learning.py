"""A reader is taught: by films whose tissue and lesions are known, and by lesions drawn into their normal tissue.

Of real films little is known exactly: the breast's tissue, a circle around each lesion and its kind. Lesions that are
drawn into normal tissue have an exact border, diameter, shape and margin. The network learns borders from both, drawn
ones and circles; codes and the error of a size are learnt from lesions drawn anew, and from real ones as the network
sees them. Whoever judges a reader keeps lessons of some women back: nothing here looks beyond its lessons.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relapse.ground.errors import ImageError, SourceError
from relapse.imaging.films.breast import Breast, breast_of
from relapse.imaging.films.codes import fit_codes
from relapse.imaging.films.density import tissue_features, tissue_of, tissue_picture
from relapse.imaging.films.descriptors import describe
from relapse.imaging.films.drawing import drawn_film
from relapse.imaging.films.lesion import LesionNet, Outline, outline
from relapse.imaging.films.mias import TISSUES, MiasFilm, read_mias
from relapse.imaging.films.phantoms import draw_size, laid_on
from relapse.imaging.films.reader import FilmReader
from relapse.imaging.films.tissue import fit_tissue
from relapse.imaging.reading.film import Film, read_film
from relapse.machinery import Machinery
from relapse.workers import shared_out

if TYPE_CHECKING:
    from collections.abc import Callable

#: Dense shares of drawn films from which their tissue counts as fatty-glandular, and as dense-glandular.
_CUTS = (0.15, 0.4)

#: Fewest women with each class of tissue.
_FEWEST = 4

#: How far a click lies from a lesion's middle, as a share of its radius: deviation of each coordinate.
_CLICK = 0.15


@dataclass(frozen=True, slots=True)
class Effort:
    """How much a reader is taught by: drawn windows, how often each is seen, lesions that codes learn from.

    ``repeats`` is how often each circled lesion comes among the windows.
    """

    windows: int = 600
    epochs: int = 6
    repeats: int = 3
    lesions: int = 300


@dataclass(frozen=True, slots=True)
class Marked:
    """A lesion of a real film: its kind, and its circle: row, column and radius in pixels of the breast's image."""

    kind: str
    circle: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A film to be taught by.

    Parameters
    ----------
    name, woman
        Films of one woman belong together.
    breast
        As it was found.
    tissue
        F, G or D; None where it is not known.
    lesions
        What was marked; none for normal tissue, which lesions are drawn into.
    features, small
        What tissue is told by.
    """

    name: str
    woman: str
    breast: Breast
    tissue: str | None
    lesions: tuple[Marked, ...]
    features: NDArray[np.float64]
    small: NDArray[np.float32]


def lesson(name: str, woman: str, film: Film, *, tissue: str | None, lesions: Sequence[tuple[str, Any]]) -> Lesson:
    """Make a lesson of a film; each of ``lesions`` is a kind and a Region of the film, or None.

    Raises
    ------
    ImageError
        No breast is found in the film.
    """
    breast = breast_of(film)
    marked = []
    for kind, region in lesions:
        circle = None
        if region is not None and region.radius is not None:
            circle = (*breast.of_film(region.x, region.y), region.radius / breast.scale)
        marked.append(Marked(kind, circle))
    measured = tissue_of(breast)
    return Lesson(name, woman, breast, tissue, tuple(marked), tissue_features(measured), tissue_picture(measured))


def mias_lessons(folder: Path, machinery: Machinery) -> list[Lesson]:
    """Every film of mini-MIAS as a lesson; raises SourceError where its list, or half of its films, cannot be read."""
    from joblib import delayed

    films = read_mias(folder)
    made = list(
        shared_out((delayed(_of_mias)(one) for one in films), machinery, total=len(films), label="lessons", here=True)
    )
    usable = [one for one in made if one is not None]
    if 2 * len(usable) < len(films):
        raise SourceError(f"{folder}: in {len(films) - len(usable)} of {len(films)} films no breast was found.")
    return usable


def drawn_lessons(count: int, *, seed: int, machinery: Machinery) -> list[Lesson]:
    """Drawn films as lessons, of fatty, mixed and dense tissue in turn; their mass is left out."""
    from joblib import delayed

    tasks = (delayed(_drawn)(number, seed) for number in range(count))
    return list(shared_out(tasks, machinery, total=count, label="drawn", here=True))


def teach(
    lessons: Sequence[Lesson], *, seed: int, effort: Effort = Effort(), progress: "Callable[[str], None] | None" = None
) -> FilmReader:
    """Teach a reader; the same lessons, seed and effort give the same reader on one kind of machine.

    Raises
    ------
    SourceError
        The lessons lack normal films, or a class of tissue.
    """
    from relapse.imaging.films.unet import circle_windows, phantom_windows, train_lesion

    tell = progress or (lambda _: None)
    normal = [one for one in lessons if not one.lesions]
    labelled = [one for one in lessons if one.tissue is not None]
    women = [len({one.woman for one in labelled if one.tissue == tissue}) for tissue in TISSUES]
    if not normal or min(women) < _FEWEST:
        raise SourceError(
            f"to teach a reader, normal films, and films of each tissue ({', '.join(TISSUES)}) of at least {_FEWEST} "
            "women are needed."
        )
    tell("tissue")
    tissue = fit_tissue(
        np.stack([one.features for one in labelled]),
        np.stack([one.small for one in labelled]),
        np.array([TISSUES.index(str(one.tissue)) for one in labelled]),
        np.array([one.woman for one in labelled]),
        seed=seed,
    )
    tell("borders")
    circles = [(one.breast, *found.circle) for one in lessons for found in one.lesions if found.circle]
    taught = phantom_windows([one.breast for one in normal], effort.windows, seed)
    taught = taught + circle_windows(circles, effort.repeats, seed)
    network = train_lesion(taught.windows, taught.masks, weights=taught.weights, seed=seed, epochs=effort.epochs)
    tell("codes")
    seen = list(seen_lesions(LesionNet(network), lessons, effort.lesions, seed=seed))
    if not seen:
        raise SourceError(
            "the reader found none of the lesions that it was shown: teach it by more windows, or longer."
        )
    codes = fit_codes(
        np.stack([one.described for one in seen]),
        shape=[one.shape for one in seen],
        margin=[one.margin for one in seen],
        kind=[one.kind for one in seen],
        true_diameter=np.array([one.diameter for one in seen]),
        measured=np.array([one.outline.diameter_mm for one in seen]),
        certainty=np.array([one.outline.certainty for one in seen]),
        groups=[one.woman for one in seen],
        seed=seed,
    )
    about = {
        "taught": f"{len(lessons)} films of {len({one.woman for one in lessons})} women, {len(circles)} marked lesions "
        f"and {effort.windows} drawn ones",
        "seed": seed,
    }
    return FilmReader.made(about, network, tissue, codes)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A lesion as the network sees it, and what is true of it: -1, "" or nan where it is not known."""

    woman: str
    outline: Outline
    described: NDArray[np.float64]
    shape: int
    margin: int
    kind: str
    diameter: float
    mask: NDArray[np.bool_] | None


def seen_lesions(network: LesionNet, lessons: Sequence[Lesson], count: int, *, seed: int) -> Iterator[Seen]:
    """Lesions drawn anew into normal tissue, and the circled ones, outlined from a click near their middle."""
    rng = np.random.default_rng([seed, 7])
    normal = [one for one in lessons if not one.lesions]
    for number in range(count if normal else 0):
        where = normal[number % len(normal)]
        shape, margin = int(rng.integers(2)), int(rng.integers(4))
        laid = laid_on(where.breast, rng, shape=shape, margin=margin, diameter=draw_size(rng))
        if laid is None:
            continue
        breast, reach = laid.breast, _CLICK * laid.diameter / 2 / laid.breast.spacing
        found = outline(network, breast, (laid.row + reach * rng.normal(), laid.column + reach * rng.normal(), None))
        if found is not None:
            described = describe(breast.image, found.mask, breast.spacing)
            yield Seen(where.woman, found, described, shape, margin, "", laid.diameter, laid.mask)
    for one in lessons:
        for marked in one.lesions:
            if marked.circle is None:
                continue
            row, column, _ = marked.circle
            found = outline(network, one.breast, (row, column, None))
            if found is not None:
                described = describe(one.breast.image, found.mask, one.breast.spacing)
                yield Seen(one.woman, found, described, -1, -1, marked.kind, float("nan"), None)


def _of_mias(film: MiasFilm) -> Lesson | None:
    try:
        found = read_film(film.path, film.about)
        lesions = [(one.kind, one.region) for one in film.lesions]
        return lesson(film.name, str(film.woman), found, tissue=film.tissue, lesions=lesions)
    except ImageError:
        return None


def _drawn(number: int, seed: int) -> Lesson:
    rng = np.random.default_rng([seed, 5, number])
    tissue = number % len(TISSUES)
    low, high = ((0.03, *_CUTS)[tissue], (*_CUTS, 0.8)[tissue])
    dense = rng.uniform(low, high)
    # Next to no contrast: normal tissue is what a lesson needs.
    made = drawn_film(rng, laterality="LR"[number % 2], dense=dense, diameter=6.0, contrast=1e-3)
    film = Film(made.values.astype(np.float32), made.spacing, made.laterality, "MLO", None, 8, ())
    return lesson(f"drawn {number + 1}", f"drawn {number + 1}", film, tissue=TISSUES[tissue], lesions=())
