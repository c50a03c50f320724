"""An invented cohort whose features may be read from films, its bundle, and a reader that was taught a little."""

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed
from relapse.machinery import Machinery
from tests.bundle.making import small_bundle

if TYPE_CHECKING:
    from relapse.imaging.films.drawing import Drawn
    from relapse.imaging.films.reader import FilmReader

#: Rows of the table.
ROWS = 60

#: Rows and columns of a drawn film, mm between its pixels.
SHAPE, SPACING = (320, 240), 0.5


@dataclass(frozen=True)
class Filmed:
    """A cohort with films, its table, its declaration, its bundle and the folder of its reader."""

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
            "reader": "reader",
            "size": "diameter",
            "shape": "form",
            "margin": "border",
            "density": "dense",
        },
    }


def filmed(folder: Path) -> Filmed:
    """The cohort in a folder, with a bundle of its linear model."""
    from relapse.imaging.films.parts import write_parts

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
    write_parts(taught_a_little().parts, folder / "reader")
    found = Filmed(cohort, table, folder / "pond.yaml", folder / "bundle", folder / "reader")
    write_bundle_of(found, found.bundle)
    return found


def write_bundle_of(pond: Filmed, folder: Path, *, reader: Path | None = None) -> None:
    """Write the bundle of the linear model, with the cohort's reader or another."""
    source = reader or pond.reader
    small_bundle(folder, pond.cohort, pond.table, "linear", declaration=pond.declaration, film_reader=source)


def taught_a_little() -> "FilmReader":
    """A reader that goes every way of a taught one, from a dozen drawn films and in seconds: it knows next to nothing."""
    from relapse.imaging.films.learning import Effort, drawn_lessons, teach

    alone = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="fork")
    lessons = drawn_lessons(12, seed=3, machinery=alone)
    return teach(lessons, seed=1, effort=Effort(windows=48, epochs=3, repeats=1, lesions=24))


@cache
def truth(*, right: bool = False) -> "Drawn":
    """A drawn film with a mass of 20 mm, and what is true of it."""
    from relapse.imaging.films.drawing import drawn_film

    rng = np.random.default_rng(8)
    return drawn_film(rng, laterality="LR"[right], dense=0.3, diameter=20.0, size=SHAPE, spacing=SPACING)


@cache
def drawn(*, right: bool = False) -> bytes:
    """The same as a PNG file, which does not say its spacing."""
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(truth(right=right).values).save(written, format="PNG")
    return written.getvalue()


def beside(*, right: bool = False) -> dict[str, int]:
    """A place below the breast, at the chest wall, where no lesion can be."""
    return {"x": SHAPE[1] - 4 if right else 3, "y": SHAPE[0] - 4}
