"""An invented cohort whose patients have pictures, and a bundle whose model looks at them with a tiny encoder.

A DenseNet121 is 24 MiB and takes seconds; a DenseNet of 14 layers goes the same way through the same code.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.declared.images import DceMri
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import picture_path, typed
from relapse.ground.workspace import Workspace
from relapse.workers import one_thread
from tests.bundle.making import small_bundle
from tests.pictured import tiny_encoder

#: Pixels of a picture's side; patients; the shape of a drawn volume.
SIZE, ROWS, SHAPE = 32, 48, (32, 32, 14)


@dataclass(frozen=True)
class Pictured:
    """A cohort with images, its table, its bundle, and volumes of patients that the model was not trained on."""

    cohort: Cohort
    table: pd.DataFrame
    bundle: Path
    volumes: tuple[tuple[list[bytes], bytes], ...]

    @property
    def images(self) -> DceMri:
        """What is declared of the images."""
        assert self.cohort.images is not None
        return self.cohort.images


def pictured(folder: Path) -> Pictured:
    """``lake``: two clinical features, and pictures of drawn volumes."""
    from relapse.imaging.stored import write_picture
    from relapse.imaging.uploads import picture_of_volumes

    declared = {
        "name": "lake",
        "title": "The lake cohort (invented)",
        "source": {"csv": "lake.csv"},
        "licence": "none needed",
        "citation": "Made up for tests.",
        "endpoint": {"kind": "survival", "event": "relapsed", "time": "days", "unit": "day", "label": "relapse"}
        | {"horizons": ["3 y", "5 y"]},
        "features": {
            "age": {"type": "count", "label": "Age", "unit": "years", "range": [18, 100]},
            "grade": {"type": "ordinal", "label": "Grade", "levels": ["low", "high"]},
        },
        "reference": ["age", "grade"],
        "blocks": {"imaging": {"title": "DCE-MRI", "costly": True}},
        "images": {
            "kind": "dce_mri",
            "folder": "here",
            "block": "imaging",
            "encoder": {"views": 1},
            "preprocessing": {"size": SIZE, "margin": 5, "correction": None},
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    YAML().dump(declared, folder / "lake.yaml")
    cohort = Cohort.model_validate(declared)
    assert cohort.images is not None
    rng = np.random.default_rng(20261201)
    hidden, volumes = rng.standard_normal(ROWS + 2), []
    for number, texture in enumerate(hidden):
        volumes.append(_volumes(number, texture))
    pictures = Workspace("lake", folder).pictures
    for number, (phases, mask) in enumerate(volumes[:ROWS]):
        write_picture(pictures, f"{number:064x}", picture_of_volumes(phases, mask, cohort.images))
    grade = rng.choice(["low", "high"], ROWS)
    hazard = np.exp(hidden[:ROWS] + (grade == "high"))
    table = pd.DataFrame(
        {
            "row": np.arange(ROWS),
            "patient": [f"P{number}" for number in range(ROWS)],
            "site": "",
            "age": rng.integers(30, 85, ROWS),
            "grade": grade,
            "event": (rng.uniform(size=ROWS) < 0.6).astype(int),
            "time": (rng.exponential(4 * 365, ROWS) / hazard).round() + 30,
        }
    )
    table = typed(table, cohort)
    table[IMAGE] = [str(picture_path(pictures, f"{number:064x}")) for number in range(ROWS)]
    with looked_at_alike():
        small_bundle(folder / "bundle", cohort, table, "densenet121", declaration=folder / "lake.yaml")
    return Pictured(cohort, table, folder / "bundle", tuple(volumes[ROWS:]))


@contextmanager
def looked_at_alike() -> Iterator[None]:
    """Every encoder is the tiny one."""
    with one_thread(), pytest.MonkeyPatch.context() as patch:
        tiny_encoder(patch)
        yield


def _volumes(number: int, texture: float) -> tuple[list[bytes], bytes]:
    """The files of a drawn patient: three phases and the mask."""
    import gzip

    from nibabel.nifti1 import Nifti1Image

    from relapse.imaging.phantoms import Phantoms, draw_phantom

    drawn = draw_phantom(Phantoms(shape=SHAPE), number, texture=texture, washout=0.0, site="site B")
    files = [
        gzip.compress(Nifti1Image(values, drawn.affine).to_bytes(), compresslevel=1, mtime=0)
        for values in (*drawn.phases, drawn.mask)
    ]
    return files[:-1], files[-1]
