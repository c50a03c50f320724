"""The films of mini-MIAS (Suckling and others, 1994): tissue, lesions and circles as its list of labels has them."""

from dataclasses import dataclass
from pathlib import Path

from relapse.ground.errors import SourceError
from relapse.imaging.films.reading import Region
from relapse.imaging.reading.film_stored import About

#: Classes of tissue, from fatty to dense.
TISSUES = ("F", "G", "D")

#: Classes of lesion: calcifications, circumscribed, spiculated, other ill-defined masses, distortion, asymmetry.
KINDS = ("CALC", "CIRC", "SPIC", "MISC", "ARCH", "ASYM")

#: The labels are in pixels of films of this side, which have this many millimetres between pixels.
_SIDE, _STEP = 1024, 0.2

#: Folders with films, from the finest to the coarsest, and how often they are coarser than the labels.
_FOLDERS = {"lesions": 1, "": 1, "half": 2}


@dataclass(frozen=True, slots=True)
class MiasLesion:
    """A lesion: one of :data:`KINDS`, whether it is malignant, and its circle where there is one.

    The circle is in pixels of the film's file; its row counts from the top.
    """

    kind: str
    malignant: bool
    region: Region | None


@dataclass(frozen=True, slots=True)
class MiasFilm:
    """A film of mini-MIAS.

    Parameters
    ----------
    name
        As the list has it.
    woman
        Her number from 1: two films in a row are of one woman.
    path
        The finest picture that is there.
    about
        Spacing, side and view, which the files do not say.
    tissue
        One of :data:`TISSUES`.
    lesions
        None for a normal film.
    """

    name: str
    woman: int
    path: Path
    about: About
    tissue: str
    lesions: tuple[MiasLesion, ...]


def read_mias(folder: Path, *, finest: bool = True) -> list[MiasFilm]:
    """Read ``labels.txt`` and find the films beside it.

    Parameters
    ----------
    folder
        Holds ``labels.txt``; films lie in it, or in ``lesions`` (1024 pixels, 0.2 mm) and ``half`` (512, 0.4 mm), as
        PNG or PGM.
    finest
        Take the finest picture of a film; else the coarsest, so that all films are of one kind.

    Raises
    ------
    SourceError
        The folder is laid out in another way, or a film of the list is not there.
    """
    labels = folder / "labels.txt"
    try:
        lines = labels.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        raise SourceError(
            f"{labels} cannot be read. mini-MIAS has its list of films there: name, tissue, class, and what follows."
        ) from None
    rows: dict[str, list[list[str]]] = {}
    for number, line in enumerate(lines, start=1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) < 3 or not _named(parts[0]) or parts[1] not in TISSUES or parts[2] not in (*KINDS, "NORM"):
            raise SourceError(f"{labels}, line {number}: this is no line of mini-MIAS: name, tissue F, G or D, class.")
        rows.setdefault(parts[0], []).append(parts)
    if not rows:
        raise SourceError(f"{labels} lists no film.")
    return [_film(folder, name, parts, finest) for name, parts in rows.items()]


def _named(name: str) -> bool:
    return len(name) == 6 and name.startswith("mdb") and name[3:].isdigit() and int(name[3:]) > 0


def _film(folder: Path, name: str, rows: list[list[str]], finest: bool) -> MiasFilm:
    folders = list(_FOLDERS.items()) if finest else list(reversed(_FOLDERS.items()))
    found = [
        (path, coarser)
        for inside, coarser in folders
        for ending in ("png", "pgm")
        if (path := folder / inside / f"{name}.{ending}").is_file()
    ]
    if not found:
        raise SourceError(f"{folder} lists {name}, and holds no film of that name in lesions, half or beside the list.")
    path, coarser = found[0]
    number = int(name[3:])
    # Odd numbers are of the left breast: the labels in the films say so.
    about = About(_STEP * coarser, "L" if number % 2 else "R", "MLO")
    lesions = tuple(_lesion(folder, parts, coarser) for parts in rows if parts[2] != "NORM")
    return MiasFilm(name, (number + 1) // 2, path, about, rows[0][1], lesions)


def _lesion(folder: Path, parts: list[str], coarser: int) -> MiasLesion:
    malignant = len(parts) > 3 and parts[3] == "M"
    # Calcifications that are spread over the breast have no circle, but a remark.
    if len(parts) < 7 or not all(part.isdigit() for part in parts[4:7]):
        return MiasLesion(parts[2], malignant, None)
    x, y, radius = (int(part) for part in parts[4:7])
    if not (x < _SIDE and y < _SIDE):
        raise SourceError(f"{folder / 'labels.txt'}: {parts[0]} has a lesion outside of the film.")
    # Rows of the list count from the lower edge.
    return MiasLesion(
        parts[2], malignant, Region((x + 0.5) / coarser - 0.5, (_SIDE - y - 0.5) / coarser - 0.5, radius / coarser)
    )
