"""Films of patients who do not exist: what the simulated cohort ``radiomics`` says of each view, drawn.

Each patient has one breast with one mass of her size, margin and density in each of her views; relapse hangs on size
and subtype, as in that cohort. A drawn mass is oval or round or irregular: of the shapes *asymmetric* and *distorted*,
which are no masses, the drawing is irregular.
"""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from relapse.cohorts.simulation import PATIENTS, simulate_radiomics
from relapse.ground.files import write_atomic, write_csv
from relapse.imaging.films.drawing import drawn_film
from relapse.imaging.films.phantoms import SIZES
from relapse.machinery import Machinery
from relapse.workers import shared_out

#: The sheet of films, the clinical sheet, and what is true of each view.
SHEET, CLINICAL, TRUTH = "films.csv", "clinical.csv", "truth.csv"

#: Dense share of the breast's area by the code of density, lowest and highest.
_DENSE = ((0.03, 0.1), (0.15, 0.3), (0.4, 0.6), (0.76, 0.85))

#: A click lies this far from the mass's middle, in mm, at most.
_OFF = 2.0


def write_films(folder: Path, machinery: Machinery, *, patients: int = PATIENTS, seed: int = 1) -> int:
    """Draw the films of the first ``patients`` of the cohort, and write sheet, clinical sheet and truth beside them.

    Returns
    -------
    How many films. The same files come out for any number of workers.
    """
    from joblib import delayed

    table = simulate_radiomics(seed)
    kept = table[table["patient"].isin(sorted(table["patient"].unique())[:patients])].reset_index(drop=True)
    tasks = (delayed(_written)(number, row, folder, seed) for number, row in enumerate(kept.to_dict("records")))
    drawn = list(shared_out(tasks, machinery, total=len(kept), label="films", here=True))
    write_csv(folder / SHEET, pd.DataFrame([listed for listed, _ in drawn]))
    write_csv(folder / TRUTH, pd.DataFrame([truth for _, truth in drawn]))
    write_csv(folder / CLINICAL, kept[["patient", "subtype", "relapse"]].drop_duplicates("patient"))
    return len(kept)


def _written(
    number: int, row: Mapping[Hashable, Any], folder: Path, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw and write one film; a row of the sheet, and of the truth."""
    from PIL import Image

    rng = np.random.default_rng([seed, 6, number])
    patient, view = str(row["patient"]), str(row["view"])
    side = "LR"[int(patient[1:]) % 2]
    made = drawn_film(
        rng,
        laterality=side,
        dense=float(rng.uniform(*_DENSE[int(row["density"])])),
        shape=min(int(row["shape"]), 1),
        margin=int(row["margin"]),
        diameter=float(np.clip(row["size"], *SIZES)),
        muscle=view == "MLO",
    )
    name = f"films/{patient}-{side}-{view}.png"
    write_atomic(folder / name, lambda temporary: Image.fromarray(made.values).save(temporary, format="PNG"))
    off = rng.uniform(-_OFF, _OFF, 2) / made.spacing
    listed = {
        "film": name,
        "patient": patient,
        "laterality": side,
        "view": view,
        "spacing": made.spacing,
        "x": round(made.centre[1] + off[1]),
        "y": round(made.centre[0] + off[0]),
    }
    truth = {
        "patient": patient,
        "view": f"{side}-{view}",
        "size": round(made.diameter, 1),
        "shape": made.shape,
        "margin": made.margin,
        "density": int(row["density"]),
        "percent_density": round(made.percent, 1),
    }
    return listed, truth
