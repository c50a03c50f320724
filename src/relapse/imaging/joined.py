"""Images join the canonical table: each row is given the address of its patient's picture, or leaves with a reason."""

import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.declared.images import DceMri
from relapse.cohorts.sources import folder_of
from relapse.cohorts.table import Excluded, Ingested, SetAside, picture_path
from relapse.ground.errors import SourceError
from relapse.imaging.cache import Prepared, prepare
from relapse.imaging.contact_sheet import contact_sheets
from relapse.imaging.extra import require
from relapse.imaging.faults import FAULTS
from relapse.machinery import Machinery


@dataclass(frozen=True, slots=True)
class Kept:
    """Where pictures go: the ``cache`` that a killed run goes on from, and the results, ``pictures`` and ``sheets``."""

    cache: Path
    pictures: Path
    sheets: Path


def join_images(found: Ingested, images: DceMri, kept: Kept, *, root: Path, machinery: Machinery) -> Ingested:
    """Make the picture of every patient of a table, and add the column :data:`~relapse.cohorts.blocked.IMAGE` to it.

    Returns
    -------
    The same, without the rows of patients whose images cannot be used: the patient flow counts them by fault, and names
    each.

    Raises
    ------
    SourceError
        The extra ``imaging`` is not installed, there is no data set where the declaration says, or nobody in it can be
        used.
    """
    table = found.table
    made = made_pictures(table, images, kept.cache, root=root, machinery=machinery)
    usable = {one.patient: one.image for one in made if one.image is not None}
    faulty = tuple(one for one in made if one.image is None)
    # Nothing of an earlier run stays: not a picture of who has left, nor a page too many.
    for folder in (kept.pictures, kept.sheets):
        shutil.rmtree(folder, ignore_errors=True)
    for image in sorted(set(usable.values())):
        target = picture_path(kept.pictures, image)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(picture_path(kept.cache, image), target)
    contact_sheets(made, kept.pictures, kept.sheets)
    stays = table["patient"].isin(usable)
    rest = table[stays].reset_index(drop=True)
    flow = replace(
        found.flow,
        excluded=(*found.flow.excluded, *_excluded(faulty, Counter(table["patient"]))),
        rows_kept=len(rest),
        patients_kept=int(rest["patient"].nunique()),
        set_aside=tuple(SetAside(one.patient, str(one.fault), str(one.message)) for one in faulty),
    )
    return Ingested(rest.assign(**{IMAGE: rest["patient"].map(usable)}), flow, found.cohort)


def made_pictures(
    table: pd.DataFrame, images: DceMri, cache: Path, *, root: Path, machinery: Machinery
) -> tuple[Prepared, ...]:
    """What became of every patient of a table, her picture kept in ``cache``; raises as :func:`join_images`."""
    require("images: declared images")
    patients = sorted(table["patient"].unique())
    made = prepare(patients, images, folder_of(images.folder, root=root), cache, machinery)
    faulty = [one for one in made if one.image is None]
    if len(faulty) == len(made):
        most, times = Counter(one.fault for one in faulty).most_common(1)[0]
        first = next(one for one in faulty if one.fault == most)
        raise SourceError(
            f"{images.folder}: the images of none of {len(made)} patients can be used; {times} times: "
            f"{first.fault}, {first.message}"
        )
    return made


def _excluded(faulty: tuple[Prepared, ...], rows: Counter[str]) -> list[Excluded]:
    """How many rows each fault took out, in the order of the list of faults."""
    counted = Counter[str]()
    for one in faulty:
        counted[str(one.fault)] += rows[one.patient]
    return [Excluded(f"images: {words} ({code})", counted[code]) for code, words in FAULTS.items() if counted[code]]
