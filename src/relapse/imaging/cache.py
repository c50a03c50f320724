"""Pictures are made: one file a patient, addressed by what it is made from.

The address is a digest of the files read, of what was declared, and of :data:`VERSION`: an equal address is an equal
picture, so that what is there is never made again, and a run that was killed goes on where it was. A worker holds one
volume of one patient at a time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relapse.cohorts.declared.images import DceMri, Phase, Preprocessing
from relapse.cohorts.table import picture_path
from relapse.ground.errors import ImageError
from relapse.ground.files import sha256_of_file, sha256_of_text
from relapse.imaging.checks import check_contrast, check_grid, check_mask, check_phase
from relapse.imaging.correction import estimate
from relapse.imaging.reading.layout import Layout, Study, read_volume
from relapse.imaging.reading.volume import Volume
from relapse.imaging.slices import Picture, cut, largest_piece, picture, plane_axis, tumour_slices
from relapse.imaging.stored import write_picture
from relapse.machinery import Machinery
from relapse.workers import shared_out

Array = NDArray[np.float32]

#: Raised with every change that makes other pictures from the same files.
VERSION = "1"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of one patient: the address of her picture, or the code of a fault and what was found."""

    patient: str
    image: str | None
    fault: str | None = None
    message: str | None = None


def prepare(
    patients: Sequence[str], images: DceMri, root: Path, folder: Path, machinery: Machinery
) -> tuple[Prepared, ...]:
    """Make the pictures of patients, in their order; a faulty patient is set aside with a reason, and the rest goes on.

    Parameters
    ----------
    root
        The folder of the data set, as :class:`relapse.imaging.reading.layout.Layout` describes it.
    folder
        Where pictures are kept, and found again.

    Raises
    ------
    SourceError
        There is no data set below ``root``.
    """
    from joblib import delayed

    layout = Layout(root, images.mask)
    layout.patients()
    tasks = (delayed(_prepared)(patient, layout, images, folder) for patient in patients)
    return tuple(shared_out(tasks, machinery, total=len(patients), label="images", here=True))


def address(study: Study, phases: tuple[Phase, ...], preprocessing: Preprocessing) -> str:
    """What a picture is called: a digest of everything that it hangs on."""
    digests = [sha256_of_file(path) for path in study.files]
    return sha256_of_text(VERSION, str(phases), preprocessing.model_dump_json(), *digests)


def make(study: Study, preprocessing: Preprocessing) -> Picture:
    """Read, check, correct and crop the images of one patient; see :func:`made_of`."""
    openers = [partial(read_volume, path) for path in (*study.phases, study.mask)]
    return made_of(openers[:-1], openers[-1], preprocessing)


def made_of(
    phases: Sequence[Callable[[], Volume]], mask: Callable[[], Volume], preprocessing: Preprocessing
) -> Picture:
    """Check, correct and crop volumes, each of which is opened when its turn comes.

    Raises
    ------
    ImageError
        They cannot be used.
    """
    first = phases[0]().canonical()
    marks = mask().canonical()
    inside = check_mask(marks, first)
    if preprocessing.lesion == "largest":
        inside = largest_piece(inside)
    axis = plane_axis(preprocessing, first.slice_axis)
    indices = tumour_slices(inside, axis, preprocessing.slices)
    steps = _steps(first, axis)
    marked = cut(inside, axis, indices)
    del marks, inside
    cuts = []
    grid = Volume(np.broadcast_to(np.uint8(0), first.shape), first.affine)
    bias: Array | None = None
    for number, opened in enumerate(phases, start=1):
        volume = first if number == 1 else opened().canonical()
        check_grid(volume, grid, code="geometry-differs", what="phases")
        check_phase(volume, number=number)
        cuts.append(cut(volume.values, axis, indices).astype(np.float32))
        if number == 1:
            bias = _bias(volume, cuts[0], axis, indices, preprocessing)
            del first
        else:
            check_contrast(cuts[-2], cuts[-1], number=number)
    found = np.stack(cuts)
    return picture(found if bias is None else found / bias, marked, steps, preprocessing)


def _bias(
    volume: Volume, cuts: Array, axis: int, indices: NDArray[np.int_], preprocessing: Preprocessing
) -> Array | None:
    """By how much intensities of the slices are too high (slices, rows, columns)."""
    correction = preprocessing.correction
    if correction is None:
        return None
    if correction.of == "slice":
        steps = _steps(volume, axis)
        fields = (estimate(one, steps, correction) for one in cuts)
        return np.stack([field.factor(slice(None), slice(None), shape=cuts.shape[1:]) for field in fields])
    field = estimate(volume.values, volume.spacing, correction)
    where = [indices if other == axis else slice(None) for other in range(3)]
    return cut(field.factor(*where, shape=volume.shape), axis, np.arange(len(indices)))


def _steps(volume: Volume, axis: int) -> tuple[float, float]:
    """Millimetres between rows and between columns of slices across ``axis``."""
    columns, rows = (step for other, step in enumerate(volume.spacing) if other != axis)
    return rows, columns


def _prepared(patient: str, layout: Layout, images: DceMri, folder: Path) -> Prepared:
    try:
        study = layout.study(patient, images.phases)
        image = address(study, images.phases, images.preprocessing)
        if not picture_path(folder, image).is_file():
            write_picture(folder, image, make(study, images.preprocessing))
    except ImageError as error:
        return Prepared(patient, None, error.code, str(error))
    return Prepared(patient, image)
