"""An invented cohort whose features may be read from films, and its bundle, with a reader beside it."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from ruamel.yaml import YAML

from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed
from relapse.ground.errors import SourceError
from relapse.imaging.films.reading import Coded, Reading, Region, Size
from tests.bundle.making import small_bundle

#: Rows of the table; the environment variable that names the reader's folder.
ROWS, VARIABLE = 60, "POND_READER"

#: The parts of a reader.
PARTS = {"reader.json": b'{"kind": "drawn"}', "lesion.onnx": b"net", "heads.npz": b"heads"}


@dataclass(frozen=True)
class Filmed:
    """A cohort with films, its table, its declaration, its bundle and its reader."""

    cohort: Cohort
    table: pd.DataFrame
    declaration: Path
    bundle: Path
    reader: Path


def declared() -> dict[str, object]:
    """``pond``: five features, four of which may be read from a film; two levels of the margin have one name."""
    return {
        "name": "pond",
        "title": "The pond cohort (invented)",
        "source": {"csv": "pond.csv"},
        "licence": "none needed",
        "citation": "Made up for tests.",
        "endpoint": {"kind": "binary", "event": "relapse", "label": "documented relapse"},
        "features": {
            "diameter": {"type": "continuous", "label": "Tumour size", "unit": "mm", "range": [1, 150]},
            "form": {"type": "ordinal", "label": "Tumour shape"}
            | {"levels": {0: "oval", 1: "round or irregular", 2: "asymmetric", 3: "distorted"}},
            "border": {"type": "ordinal", "label": "Tumour margin"}
            | {"levels": {0: "sharp", 1: "blurred", 2: "blurred", 3: "spiculated"}},
            "dense": {"type": "ordinal", "label": "Breast density"}
            | {"levels": {0: "fatty", 1: "scattered", 2: "dense", 3: "very dense"}},
            "subtype": {"type": "ordinal", "label": "Molecular subtype"}
            | {"levels": ["Luminal A", "Luminal B", "HER2-positive", "triple-negative"]},
        },
        "reference": ["diameter", "subtype"],
        "images": {
            "kind": "mammogram",
            "reader": f"${{{VARIABLE}}}",
            "size": "diameter",
            "shape": "form",
            "margin": "border",
            "density": "dense",
        },
    }


def filmed(folder: Path) -> Filmed:
    """The cohort in a folder, with a bundle of its linear model."""
    folder.mkdir(parents=True, exist_ok=True)
    YAML().dump(declared(), folder / "pond.yaml")
    cohort = Cohort.model_validate(declared())
    rng = np.random.default_rng(20261128)
    levels = {name: cohort.features[name].names for name in ("form", "border", "dense", "subtype")}
    table = pd.DataFrame(
        {
            "row": np.arange(ROWS),
            "patient": [f"P{number}" for number in range(ROWS)],
            "site": "",
            "diameter": rng.uniform(5, 60, ROWS).round(1),
            **{name: rng.choice(names, ROWS) for name, names in levels.items()},
        }
    )
    risk = 1 / (1 + np.exp(-(table["diameter"] - 30) / 10))
    table["event"] = (rng.uniform(size=ROWS) < risk).astype(int)
    table = typed(table, cohort)
    reader = write_reader(folder / "reader")
    with pytest.MonkeyPatch.context() as patch, readable():
        patch.setenv(VARIABLE, str(reader))
        small_bundle(folder / "bundle", cohort, table, "linear", declaration=folder / "pond.yaml")
    return Filmed(cohort, table, folder / "pond.yaml", folder / "bundle", reader)


def write_reader(folder: Path) -> Path:
    """A folder with the parts of a reader."""
    folder.mkdir()
    for name, content in PARTS.items():
        (folder / name).write_bytes(content)
    return folder


class DrawnReader:
    """A reader of drawn films that goes by their grey levels alone: it tries the way there and back, not reading."""

    def __init__(self, parts: dict[str, bytes]) -> None:
        if parts != PARTS:
            raise SourceError("these are no parts of a reader.")
        self.parts = parts

    @classmethod
    def open(cls, parts: dict[str, bytes]) -> "DrawnReader":
        """The reader of its parts."""
        return cls(parts)

    def read(self, film, region: Region | None) -> Reading:
        """What is brighter than tissue is lesion, where it is looked for."""
        rows, columns = film.values.shape
        mirrored = film.laterality == "R"
        shown = film.values[::2, ::2] / 255
        last = (columns - 1) // 2 * 2.0
        corners = ((0.0, 0.0), (last, (rows - 1) // 2 * 2.0))
        if mirrored:
            shown = shown[:, ::-1]
            corners = ((corners[1][0], 0.0), (0.0, corners[1][1]))
        breast, lesion = shown > 0.2, shown > 0.8
        place = region
        if place is None and lesion.any():
            row, column = np.argwhere(lesion).mean(axis=0)
            x = last - 2 * column if mirrored else 2 * column
            place = Region(float(x), float(2 * row))
        if place is None or film.values[round(place.y), round(place.x)] < 200:
            lesion = np.zeros_like(lesion)
        found = bool(lesion.any())
        size = float(np.ptp(np.argwhere(lesion)[:, 0]) + 1) * 2 * film.spacing if found else 0.0
        return Reading(
            size=Size(size, 0.8 * size, 1.25 * size, 0.72) if found else None,
            shape=Coded((0.1, 0.64, 0.2, 0.06)) if found else None,
            margin=Coded((0.4, 0.3, 0.25, 0.05)) if found else None,
            density=Coded((0.05, 0.15, 0.7, 0.1)),
            percent=23.4,
            tissue=(0.1, 0.2, 0.7),
            region=place,
            proposed=region is None,
            shown=np.ascontiguousarray(shown),
            spacing=2 * film.spacing,
            breast=breast,
            pectoral=np.zeros_like(breast),
            dense=shown > 0.5,
            lesion=lesion,
            notes=() if found else ("No lesion was found.",),
            corners=corners,
        )


def _painted(reading: Reading) -> bytes:

    grey = (255 * np.clip(reading.shown, 0, 1)).astype(np.uint8)
    colours = np.stack([grey, grey, grey], axis=-1)
    colours[reading.lesion, 0] = 255
    return _png(colours)


def _png(values: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(values).save(written, format="PNG")
    return written.getvalue()


def drawn(*, right: bool = False, lesion: bool = True) -> bytes:
    """A film as a PNG file, 240 × 320 pixels: a breast at its chest wall, and a lesion of 25 pixels at (60, 150)."""
    rows, columns = np.mgrid[0:320, 0:240]
    rng = np.random.default_rng(1)
    values = rng.integers(2, 12, (320, 240))
    breast = (columns / 170) ** 2 + ((rows - 160) / 140) ** 2 < 1
    values[breast] = rng.integers(70, 110, breast.sum())
    values[(columns / 80) ** 2 + ((rows - 160) / 80) ** 2 < 1] += 60
    if lesion:
        values[(columns - 60) ** 2 + (rows - 150) ** 2 <= 12**2] = 240
    return _png(np.ascontiguousarray(values[:, ::-1] if right else values).astype(np.uint8))


@contextmanager
def readable() -> Iterator[None]:
    """The drawn reader stands where the trained one would."""
    reader, sheet = ModuleType("relapse.imaging.films.reader"), ModuleType("relapse.imaging.films.sheet")
    reader.FilmReader, sheet.painted = DrawnReader, _painted
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, reader.__name__, reader)
        patch.setitem(sys.modules, sheet.__name__, sheet)
        yield
