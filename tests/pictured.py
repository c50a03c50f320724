"""A cohort whose patients have a small picture each, in a project's layout, and a tiny encoder to look at them with."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relapse.candidates import picture_score, pictures
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import picture_path, typed
from relapse.ground.files import sha256_of_text
from relapse.ground.workspace import Workspace
from relapse.imaging.encoder.network import Architecture, Encoder, build
from relapse.imaging.slices import Picture
from relapse.imaging.stored import write_picture
from relapse.machinery import Machinery

#: Side of the pictures.
SIZE = 32

#: This process alone.
ALONE = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="threading")


def declared(*, binary: bool = False, **changes: Any) -> dict[str, Any]:
    """A declaration with images in a block of their own, beside a block of one feature; names of no shipped cohort."""
    endpoint: dict[str, Any] = (
        {"kind": "binary", "event": "came_back"}
        if binary
        else {"kind": "survival", "event": "came_back", "time": "months", "unit": "month", "horizons": ["24 m", "48 m"]}
    )
    content: dict[str, Any] = {
        "name": "pictured",
        "title": "Pictured",
        "source": {"csv": "sheet.csv"},
        "licence": "none",
        "citation": "none",
        "patient": "who",
        "endpoint": endpoint,
        "features": {
            "grade": {"type": "ordinal", "levels": ["low", "mid", "high"]},
            "bulk": {"type": "continuous", "range": [-9, 9], "max_missing": 0.2},
            "marker": {"type": "continuous", "range": [-9, 9], "block": "blood"},
        },
        "reference": ["grade", "bulk"],
        "blocks": {"blood": {"title": "Blood"}, "scan": {"title": "Scan", "over": ["reference", "blood"]}},
        "images": {
            "kind": "dce_mri",
            "folder": "${SCANS}",
            "block": "scan",
            "encoder": {"views": 2},
            "preprocessing": {"size": SIZE, "correction": None},
        },
    }
    return content | changes


def pictured_cohort(*, binary: bool = False, **changes: Any) -> Cohort:
    """The cohort of :func:`declared`."""
    return Cohort.model_validate(declared(binary=binary, **changes))


def pictured_table(
    cohort: Cohort, project: Path, *, patients: int = 48, effect: float = 1.5, views: int = 1, seed: int = 0
) -> pd.DataFrame:
    """A typed table as stages read it, its pictures below ``project``; ``effect`` is the log-hazard of their pattern."""
    rng = np.random.default_rng(seed)
    hidden, bulk, marker = rng.standard_normal((3, patients))
    grade = rng.integers(0, 3, patients)
    linear = effect * hidden + 0.6 * bulk + 0.4 * marker
    time = rng.exponential(40 * np.exp(-linear)) + 0.5
    end = rng.uniform(12, 96, patients)
    event = (time <= end) if cohort.survival else rng.random(patients) < 1 / (1 + np.exp(0.3 - linear))
    folder = Workspace(cohort.name, project).pictures
    images = [_drawn(folder, number, value, seed) for number, value in enumerate(hidden)]
    table = pd.DataFrame(
        {
            "patient": [f"Q{number:03d}" for number in range(patients)],
            "site": "",
            "grade": np.array(["low", "mid", "high"])[grade],
            "bulk": bulk,
            "marker": marker,
            "event": event.astype(int),
            **({"time": np.minimum(time, end)} if cohort.survival else {}),
            IMAGE: images,
        }
    )
    table = pd.concat([table] * views, ignore_index=True)
    table.insert(0, "row", np.arange(1, len(table) + 1))
    return typed(table, cohort)


def _drawn(folder: Path, number: int, value: float, seed: int) -> str:
    """A picture whose stripes are as strong as ``value`` is high; its path."""
    rng = np.random.default_rng([seed, number])
    stripes = np.sin(np.arange(SIZE) * 1.6) * np.exp(0.8 * value)
    channels = rng.standard_normal((1, 3, SIZE, SIZE)) + stripes
    mask = np.zeros((1, SIZE, SIZE), bool)
    mask[:, 8:24, 8:24] = True
    address = sha256_of_text("a drawn picture", str(seed), str(number))
    write_picture(folder, address, Picture(channels.astype(np.float16), mask, np.full(1, 40, np.float32)))
    return str(picture_path(folder.resolve(), address))


def tiny_encoder(patch: pytest.MonkeyPatch) -> Encoder:
    """Put a tiny DenseNet in the place of the families' encoders, in this process."""
    made = build(None, share=0.5, architecture=Architecture(blocks=(2, 3), growth=4, first=8))
    for module in (picture_score, pictures):
        patch.setattr(module, "open_encoder", lambda network, weights, project: made)
    return made
