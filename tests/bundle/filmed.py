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
from tests.bundle.making import small_bundle

if TYPE_CHECKING:
    from relapse.imaging.films.phantoms import Drawn
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
    """A reader that goes every way of a taught one, from two drawn films and in seconds: it knows next to nothing."""
    from relapse.imaging.films.breast import breast_of
    from relapse.imaging.films.codes import fit_codes
    from relapse.imaging.films.density import fit_tissue, tissue_features, tissue_picture
    from relapse.imaging.films.learning import Lesson, seen_lesions
    from relapse.imaging.films.lesion import LesionNet
    from relapse.imaging.films.phantoms import drawn_film
    from relapse.imaging.films.reader import FilmReader
    from relapse.imaging.films.unet import phantom_windows, train_lesion
    from relapse.imaging.reading.film import Film

    rng, lessons = np.random.default_rng(3), []
    for number, dense in enumerate((0.2, 0.5)):
        made = drawn_film(rng, dense=dense, diameter=6.0, size=SHAPE, spacing=SPACING, contrast=1e-3)
        breast = breast_of(Film(made.values.astype(np.float32), made.spacing, made.laterality))
        seen = tissue_features(breast), tissue_picture(breast)
        lessons.append(Lesson(str(number), str(number), breast, "FG"[number], (), *seen))
    places = np.arange(12)
    near = 1 + 0.05 * np.random.default_rng(0).standard_normal((len(places), 1))
    tissue = fit_tissue(
        np.stack([lessons[place % 2].features for place in places]) * near,
        np.stack([lessons[place % 2].small for place in places]),
        places % 3,
        places.astype(str),
        seed=1,
        epochs=1,
    )
    windows = phantom_windows([one.breast for one in lessons], 48, 1)
    network = train_lesion(windows.windows, windows.masks, weights=windows.weights, seed=1, epochs=3)
    found = list(seen_lesions(LesionNet(network), lessons, 16, seed=1))
    codes = fit_codes(
        np.stack([one.described for one in found]),
        shape=[one.shape for one in found],
        margin=[one.margin for one in found],
        kind=[one.kind for one in found],
        true_diameter=np.array([one.diameter for one in found]),
        measured=np.array([one.outline.diameter_mm for one in found]),
        certainty=np.array([one.outline.certainty for one in found]),
        groups=[str(number) for number in range(len(found))],
        seed=1,
    )
    return FilmReader.made({"taught": "two drawn films"}, network, tissue, codes)


@cache
def truth(*, right: bool = False) -> "Drawn":
    """A drawn film with a mass of 20 mm, and what is true of it."""
    from relapse.imaging.films.phantoms import drawn_film

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
