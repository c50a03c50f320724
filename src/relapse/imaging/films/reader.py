"""The trained reader of films: opened from its parts, it reads a film without torch."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relapse.ground.errors import SourceError
from relapse.imaging.films.breast import Breast, breast_of
from relapse.imaging.films.codes import Codes
from relapse.imaging.films.density import dense_tissue, tissue_features, tissue_of, tissue_picture
from relapse.imaging.films.descriptors import describe
from relapse.imaging.films.lesion import LesionNet, outline, propose
from relapse.imaging.films.parts import ABOUT, HEADS, NETWORK, PARTS
from relapse.imaging.films.reading import Coded, Reading, Region
from relapse.imaging.films.tissue import TissueHead, bi_rads
from relapse.imaging.reading.film import Film

#: Raised when parts of before can no longer be read.
_FORMAT = 1

#: Prefixes of arrays in :data:`HEADS`.
_TISSUE, _CODES = "tissue.", "codes."

NO_LESION = "No lesion was found: mark its place."
PLACE_PROPOSED = "Nobody marked the lesion: its place is a guess of the reader. Look whether it is right."


@dataclass(frozen=True, slots=True, eq=False)
class FilmReader:
    """What reads a film.

    Parameters
    ----------
    about
        What it was taught by, for people.
    parts
        The contents of its files by name (:mod:`relapse.imaging.films.parts`).
    """

    about: Mapping[str, Any]
    parts: Mapping[str, bytes]
    network: LesionNet
    tissue: TissueHead
    codes: Codes

    @classmethod
    def made(cls, about: Mapping[str, Any], network: bytes, tissue: TissueHead, codes: Codes) -> "FilmReader":
        """Put a reader together; equal parts make an equal reader."""
        arrays = {f"{_TISSUE}{name}": array for name, array in tissue.to_arrays().items()}
        arrays |= {f"{_CODES}{name}": array for name, array in codes.to_arrays().items()}
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **{name: arrays[name] for name in sorted(arrays)})
        declared = json.dumps({"format": _FORMAT, **about}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        return cls.open({ABOUT: declared.encode(), NETWORK: network, HEADS: content.getvalue()})

    @classmethod
    def open(cls, parts: Mapping[str, bytes]) -> "FilmReader":
        """Open a reader from the contents of its files.

        Raises
        ------
        SourceError
            They are not those of a reader, or of another version of this library.
        """
        try:
            about = json.loads(parts[ABOUT])
            if about["format"] != _FORMAT:
                raise SourceError(
                    f"the film reader has format {about['format']}, and {_FORMAT} is read here: train it again."
                )
            with np.load(io.BytesIO(parts[HEADS]), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            return cls(
                about,
                {name: parts[name] for name in PARTS},
                LesionNet(parts[NETWORK]),
                TissueHead.from_arrays(_below(arrays, _TISSUE)),
                Codes.from_arrays(_below(arrays, _CODES)),
            )
        except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile):
            raise SourceError("the film reader is damaged, or none: train it again (relapse films train).") from None

    @property
    def identity(self) -> str:
        """A digest of everything that a reading hangs on."""
        digests = [hashlib.sha256(self.parts[name]).digest() for name in PARTS]
        return hashlib.sha256(b"".join(digests)).hexdigest()

    def read(self, film: Film, region: Region | None = None) -> Reading:
        """Read a film; ``region`` is where a lesion was marked, else the reader proposes a place.

        Raises
        ------
        ImageError
            The film cannot be used, or the region lies outside it.
        """
        return self.read_breast(breast_of(film), region)

    def read_breast(self, breast: Breast, region: Region | None = None) -> Reading:
        """As :meth:`read`, of a breast that was found already."""
        measured = tissue_of(breast)
        dense, percent = dense_tissue(measured)
        classes = self.tissue.probabilities(tissue_features(measured)[None], tissue_picture(measured)[None])[0]
        tissue = (float(classes[0]), float(classes[1]), float(classes[2]))
        place = _marked(breast, region) if region else _proposed(self.network, breast)
        found = outline(self.network, breast, place) if place else None
        notes = list(breast.notes)
        if place and not region:
            notes.append(PLACE_PROPOSED)
        if found is None:
            notes.append(NO_LESION)
        described = describe(breast.image, found.mask, breast.spacing) if found else None
        shown = Region(*breast.to_film(place[0], place[1])) if place else None
        return Reading(
            size=self.codes.size(found.diameter_mm, found.certainty, described)
            if found and described is not None
            else None,
            shape=Coded(self.codes.shape(described)) if described is not None else None,
            margin=Coded(self.codes.margin(described)) if described is not None else None,
            density=Coded(bi_rads(tissue, percent)),
            percent=percent,
            tissue=tissue,
            region=region or shown,
            proposed=region is None,
            shown=breast.image,
            spacing=breast.spacing,
            breast=breast.mask,
            pectoral=breast.pectoral,
            dense=dense,
            lesion=found.mask if found else np.zeros_like(breast.mask),
            notes=tuple(notes),
            corners=(breast.to_film(0, 0), breast.to_film(breast.image.shape[0] - 1, breast.image.shape[1] - 1)),
        )


def _marked(breast: Breast, region: Region) -> tuple[float, float, float | None]:
    """A region of the film as row, column and radius in pixels of the breast."""
    row, column = breast.of_film(region.x, region.y)
    return row, column, None if region.radius is None else region.radius / breast.scale


def _proposed(network: LesionNet, breast: Breast) -> tuple[float, float, None] | None:
    """Where the reader itself would look."""
    found = propose(network, breast)
    return None if found is None else (found[0], found[1], None)


def _below(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
