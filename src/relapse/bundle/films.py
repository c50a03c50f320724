"""What a bundle needs to read films: the trained reader's parts, as they were when it was written.

It stands in the bundle of a cohort whose features may be read from films. The model itself looks at no film: what is
read is proposed to a person, and comes back as any other value.
"""

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from relapse.bundle.manifest import FILM_READER
from relapse.ground.errors import BundleError, SourceError
from relapse.imaging.films.parts import read_parts

if TYPE_CHECKING:
    from relapse.imaging.films.reader import FilmReader

#: Modules that reading a film needs besides those that predicting does.
NEEDED = ("PIL", "onnxruntime", "pydicom", "skimage")


class KeptReader:
    """The parts of a reader, by their names; it is opened when it is first asked for."""

    def __init__(self, parts: Mapping[str, bytes]) -> None:
        self.parts = dict(parts)
        self._opened: FilmReader | None = None
        self._opening = Lock()

    def opened(self) -> "FilmReader":
        """The reader, one for all who ask.

        Raises
        ------
        BundleError
            The parts are not what a trained reader leaves.
        """
        from relapse.imaging.films.reader import FilmReader

        with self._opening:
            if self._opened is None:
                try:
                    self._opened = FilmReader.open(self.parts)
                except SourceError as error:
                    raise BundleError(f"The reader of films cannot be opened. {error}") from None
            return self._opened


def write_reader(folder: Path, source: Path) -> tuple[str, ...]:
    """Write the reader of films that stands in the folder ``source``; the names of its files.

    Raises
    ------
    SourceError
        A part is missing.
    BundleError
        The parts are there, and no reader can be made of them.
    """
    parts = read_parts(source)
    # Nobody could serve what cannot be opened here.
    KeptReader(parts).opened()
    for name, part in FILM_READER.items():
        (folder / name).write_bytes(parts[part])
    return tuple(FILM_READER)


def read_reader(folder: Path) -> KeptReader | None:
    """The reader of a verified bundle, unopened; None where it has none."""
    if not all((folder / name).is_file() for name in FILM_READER):
        return None
    return KeptReader({part: (folder / name).read_bytes() for name, part in FILM_READER.items()})
