"""``POST /film``: an uploaded film becomes proposals for a patient's features, and a picture of what was found in it.

Nothing is predicted here, and nothing kept: a person looks at the picture, corrects what is wrong, and sends the values
as any others. One film is read at a time in each worker, so that memory is bounded.
"""

import base64
import logging
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from relapse.bundle.films import KeptReader
from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort
from relapse.serving.contract import Axis, FilmRead, FilmRegion, Proposal, SizeInterval
from relapse.serving.patients import FILM, proposed_features
from relapse.serving.uploads import Unacceptable, Upload, files

if TYPE_CHECKING:
    from starlette.datastructures import FormData

    from relapse.imaging.films.reading import Coded, Reading, Region, Size
    from relapse.imaging.reading.film import Film
    from relapse.imaging.reading.film_stored import About

#: The fields of the form beside the film, with what each takes in words.
FIELDS = {
    "spacing": "mm between pixels, 0.02 to 1; needed where the file does not say",
    "laterality": "L or R; no other than the file says",
    "view": "CC or MLO; as the file says where it is left out (a CC film shows no pectoral muscle to be cut off)",
    "inverted": "true or false: whether dense tissue is dark; as the file says where it is left out",
    "x": "column of a point in the lesion, in pixels of the film from the left; the reader proposes a place without",
    "y": "row of it, from the top",
    "radius": "how far around the point the lesion may reach, in pixels of the film",
}

#: Which field mends a fault of the film.
_MENDS = {
    "spacing-absent": "spacing",
    "spacing-implausible": "spacing",
    "film-inverted": "inverted",
    "film-laterality": "laterality",
}

#: How likely the interval of a size holds it.
_LEVEL = 0.9

#: Files and fields that are read at all, so that too many are answered in words.
_FEW_FILES, _FEW_FIELDS = 4, 12


def upload(cohort: Cohort, reader: KeptReader) -> Upload:
    """How films are taken."""
    # It logs what stands in a file's tags where everything is logged, and a tag may name the patient.
    logging.getLogger("PIL").setLevel(logging.INFO)

    def work(form: "FormData") -> Callable[[], FilmRead]:
        sent = files(form, "film")
        if len(sent) != 1:
            raise Unacceptable(f"{len(sent)} films were sent; one is needed.", "film")
        if not {name for name, _ in form.multi_items()} <= {"film", *FIELDS}:
            raise Unacceptable(f"There is no such part of the form. It holds film, and may hold {', '.join(FIELDS)}.")
        fields = _fields(form)
        about, region = _about(fields), _region(fields)
        return lambda: read(sent[0].read(), about, region, cohort, reader)

    return Upload(
        path=FILM,
        files=_FEW_FILES,
        fields=_FEW_FIELDS,
        form="1 × film, and fields",
        missing="The film did not arrive.",
        work=work,
        field=_MENDS.get,
    )


def read(content: bytes, about: "About", region: "Region | None", cohort: Cohort, reader: KeptReader) -> FilmRead:
    """What a film shows, for the form and for people.

    Raises
    ------
    ImageError
        The film cannot be read.
    Unacceptable
        The region does not lie in the film.
    """
    from relapse.imaging.films.sheet import entry_of, painted
    from relapse.imaging.reading.film import film_from

    film = film_from(content, about)
    _check(region, film)
    found = reader.opened().read(film, region)
    preview = painted(entry_of(found))
    width, height = _png_size(preview)
    place = found.region
    return FilmRead(
        preview=base64.b64encode(preview).decode(),
        width=width,
        height=height,
        x=_axis(found.corners[0][0], found.corners[1][0], found.shown.shape[1], width),
        y=_axis(found.corners[0][1], found.corners[1][1], found.shown.shape[0], height),
        columns=film.values.shape[1],
        rows=film.values.shape[0],
        spacing=film.spacing,
        laterality=film.laterality,
        view=film.view,
        proposals=[_proposal(cohort, read, name, found) for read, name in proposed_features(cohort).items()],
        percent=round(found.percent, 1),
        region=None if place is None else FilmRegion(x=place.x, y=place.y, radius=place.radius),
        proposed=found.proposed,
        notes=list(dict.fromkeys((*film.notes, *found.notes))),
    )


def _fields(form: "FormData") -> dict[str, str]:
    """The fields that hold something, each given once."""
    found = {}
    for name, words in FIELDS.items():
        given = form.getlist(name)
        if len(given) > 1 or not all(isinstance(one, str) for one in given):
            raise Unacceptable(f"Given more than once, or as a file. Allowed: {words}.", name)
        if given and str(given[0]).strip():
            found[name] = str(given[0]).strip()
    return found


def _about(fields: Mapping[str, str]) -> "About":
    from relapse.imaging.reading.film import SPACINGS
    from relapse.imaging.reading.film_stored import About

    spacing = _number(fields, "spacing")
    if spacing is not None and not SPACINGS[0] <= spacing <= SPACINGS[1]:
        raise Unacceptable(f"Outside the allowed range. Allowed: {FIELDS['spacing']}.", "spacing")
    side, inverted = fields.get("laterality"), fields.get("inverted")
    if side not in (None, "L", "R"):
        raise Unacceptable(f"Not an allowed value. Allowed: {FIELDS['laterality']}.", "laterality")
    if fields.get("view") not in (None, "CC", "MLO"):
        raise Unacceptable(f"Not an allowed value. Allowed: {FIELDS['view']}.", "view")
    if inverted not in (None, "true", "false"):
        raise Unacceptable(f"Not an allowed value. Allowed: {FIELDS['inverted']}.", "inverted")
    dark = None if inverted is None else inverted == "true"
    return About(spacing=spacing, laterality=side, view=fields.get("view"), inverted=dark)


def _region(fields: Mapping[str, str]) -> "Region | None":
    from relapse.imaging.films.reading import Region

    x, y, radius = (_number(fields, name) for name in ("x", "y", "radius"))
    if x is None and y is None and radius is None:
        return None
    for name, value in (("x", x), ("y", y)):
        if value is None:
            raise Unacceptable("A place is marked by x and y together; a radius alone marks none.", name)
    if radius is not None and radius <= 0:
        raise Unacceptable(f"Not above 0. Allowed: {FIELDS['radius']}.", "radius")
    assert x is not None
    assert y is not None
    return Region(x, y, radius)


def _number(fields: Mapping[str, str], name: str) -> float | None:
    """A field's number; None where the field is not there."""
    if name not in fields:
        return None
    try:
        value = float(fields[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Unacceptable(f"Not a number. Allowed: {FIELDS[name]}.", name)
    return value


def _check(region: "Region | None", film: "Film") -> None:
    rows, columns = film.values.shape
    if region is None:
        return
    for name, value, size in (("x", region.x, columns), ("y", region.y, rows)):
        if not 0 <= value <= size - 1:
            raise Unacceptable(f"The point lies outside the film, which has {columns} × {rows} pixels.", name)
    if region.radius is not None and region.radius > max(rows, columns):
        raise Unacceptable(f"The radius is larger than the film, which has {columns} × {rows} pixels.", "radius")


def _png_size(content: bytes) -> tuple[int, int]:
    """Width and height of a PNG file, as its header has them."""
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def _axis(first: float, last: float, pixels: int, shown: int) -> Axis:
    """Where pixels of the preview lie in the film.

    ``first`` and ``last`` are the places of the outermost of ``pixels`` that were looked at; the preview shows the same
    stretch, from edge to edge, in ``shown`` pixels.
    """
    each = (last - first) / max(1, pixels - 1)
    step = each * pixels / shown
    return Axis(first=round(first - each / 2 + step / 2, 4), step=round(step, 6))


def _proposal(cohort: Cohort, read: str, name: str, found: "Reading") -> Proposal:
    if read == "size":
        return _size(cohort, name, found.size)
    kind: Literal["shape", "margin", "density"]
    match read:
        case "shape":
            kind, coded = "shape", found.shape
        case "margin":
            kind, coded = "margin", found.margin
        case _:
            kind, coded = "density", found.density
    return _level(cohort, kind, name, coded)


def _size(cohort: Cohort, name: str, size: "Size | None") -> Proposal:
    if size is None:
        return Proposal(field=name, read="size")
    whole = cohort.features[name].type == "count"
    return Proposal(
        field=name,
        read="size",
        value=round(size.value) if whole else round(size.value, 1),
        confidence=round(size.confidence, 4),
        interval=SizeInterval(lower=round(size.low, 1), upper=round(size.high, 1), level=_LEVEL),
    )


def _level(cohort: Cohort, read: Literal["shape", "margin", "density"], name: str, coded: "Coded | None") -> Proposal:
    """A code as the cohort's level; codes that the cohort calls alike count together."""
    if coded is None:
        return Proposal(field=name, read=read)
    feature = cohort.features[name]
    assert isinstance(feature, Categorical)
    shares = dict.fromkeys(feature.names, 0.0)
    for code, share in enumerate(coded.probabilities):
        if str(code) in feature.levels:
            shares[feature.levels[str(code)]] += share
    best = max(shares, key=shares.__getitem__)
    # What the cohort has no level for stays out of it, and may be the likeliest.
    if 1 - sum(shares.values()) > shares[best]:
        return Proposal(field=name, read=read, probabilities=shares)
    rounded = {level: round(share, 4) for level, share in shares.items()}
    return Proposal(field=name, read=read, value=best, confidence=rounded[best], probabilities=rounded)
