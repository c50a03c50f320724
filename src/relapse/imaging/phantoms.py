"""Small DCE-MRI studies that are drawn, not measured: what is true of them is known, so that what finds it can be held.

A phantom is a breast of fat and glandular tissue before a chest wall, with one irregular tumour. Two hidden numbers of
a patient show in it: how uneven the tumour takes up contrast (texture), and how much of it is gone in the last phase
(wash-out). The hazard of relapse hangs on these two and on receptors; so a model of the images can be at most as good
as the two numbers themselves, the *oracle*. Nothing else in the image tells of relapse: size, place, site, gain, noise
and bias field are drawn apart from it.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relapse.ground.files import write_atomic, write_csv
from relapse.machinery import Machinery
from relapse.workers import shared_out

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: Name of the clinical sheet and of what is hidden, below the folder of the phantoms.
CLINICAL, TRUTH = "clinical.csv", "truth.csv"

#: Intensities before contrast, and the share that glandular tissue, chest wall and tumour gain with it.
_FAT, _GLAND, _CHEST, _TUMOUR = 260.0, 400.0, 330.0, 380.0
_GLAND_GAIN, _CHEST_GAIN, _TUMOUR_GAIN = 0.15, 0.1, 1.3

#: What a voxel is: air, and the tissues.
AIR, FAT, GLAND, CHEST, TUMOUR = range(5)

#: Millimetres between voxels of the middle site; half-axes of the breast; radii of tumours.
_SPACING, _BREAST, _RADII = (1.5, 1.5, 3.0), (70.0, 75.0, 55.0), (11.0, 12.5)

#: Unevenness of uptake at the middle of its range, its growth with the hidden number, and its grain in millimetres.
_TEXTURE, _TEXTURE_STEP, _GRAIN = 0.2, 0.75, 1.6

#: Wash-out at the middle of its range, and its growth with the hidden number: all three types of curve come, contrast
#: that rises still, stays, or goes. How much of it the tumour's centre and its surface have: it begins at the rim.
_WASHOUT, _WASHOUT_STEP, _CORE, _RIM = 0.3, 0.22, 0.2, 2.0

#: Unevenness of a tumour's surface, as a share of its radius; noise of the middle site.
_UNEVEN, _NOISE = 0.04, 6.0

#: Log-hazards of hormone receptors and HER2; shape and scale (days) of the Weibull times; days of follow-up.
_HR, _HER2, _SHAPE, _SCALE, _FOLLOWED = -0.6, 0.3, 1.2, 3300.0, (2500.0, 6000.0)

SITES = ("site A", "site B", "site C")


@dataclass(frozen=True, slots=True)
class Phantoms:
    """What is drawn.

    Parameters
    ----------
    patients, phases, shape
        How many, how many volumes each (the first before contrast), and their voxels.
    signal
        Log-hazard a standard deviation of the hidden score; 0 plants nothing.
    bias
        Standard deviation of the logarithm of the bias field.
    sites
        How much sites differ in gain, noise and spacing; 0: not at all.
    seed
        Equal seeds give equal files, byte by byte.
    """

    patients: int = 60
    phases: int = 3
    shape: tuple[int, int, int] = (128, 128, 40)
    signal: float = 1.5
    bias: float = 0.2
    sites: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.patients < 1 or self.phases < 2 or min(self.shape) < 12:
            raise ValueError("at least one patient, two phases and 12 voxels along each axis are needed.")

    def name(self, number: int) -> str:
        """The patient's name, by her number from 0."""
        return f"PHANTOM_{number + 1:04d}"


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """One patient: ``phases`` (phases, i, j, k), ``mask`` (i, j, k), ``affine``, and the ``bias`` that was put in.

    ``tissue`` (i, j, k) says what each voxel is, by the numbers of this module.
    """

    phases: NDArray[np.int16]
    mask: NDArray[np.uint8]
    affine: Array
    bias: Array
    tissue: NDArray[np.uint8]


def draw_patients(phantoms: Phantoms) -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Draw who the patients are.

    Returns
    -------
    clinical
        A row a patient with MAMA-MIA's column names: ``patient_id``, ``dataset`` (PHANTOM), ``site``, ``age``, ``hr``,
        ``her2``, ``days_to_follow_up`` and ``days_to_recurrence`` (0: none seen).
    truth
        ``patient_id``, ``texture`` and ``washout`` (standard normal), ``score`` (the oracle: their sum, divided by √2)
        and ``log_hazard``.
    """
    import pandas as pd

    rng = np.random.default_rng([phantoms.seed, 0])
    size = phantoms.patients
    # Far beyond two and a half deviations nothing would be left of the contrast.
    texture, washout = np.clip(rng.standard_normal((2, size)), -2.5, 2.5)
    score = (texture + washout) / np.sqrt(2)
    hr, her2 = rng.random((2, size)) < np.array([[0.55], [0.25]])
    log_hazard = phantoms.signal * score + _HR * hr + _HER2 * her2
    relapse = _SCALE * (rng.exponential(size=size) / np.exp(log_hazard)) ** (1 / _SHAPE)
    followed = rng.uniform(*_FOLLOWED, size)
    days = np.maximum(np.minimum(relapse, followed), 1).round().astype(int)
    name = [phantoms.name(number) for number in range(size)]
    clinical = pd.DataFrame(
        {
            "patient_id": name,
            "dataset": "PHANTOM",
            "site": rng.choice(SITES, size),
            "age": rng.normal(50, 10, size).clip(25, 80).round().astype(int),
            "hr": hr.astype(int),
            "her2": her2.astype(int),
            "days_to_follow_up": days,
            "days_to_recurrence": np.where(relapse <= followed, days, 0),
        }
    )
    truth = pd.DataFrame(
        {"patient_id": name, "texture": texture, "washout": washout, "score": score, "log_hazard": log_hazard}
    )
    return clinical, truth


def draw_phantom(phantoms: Phantoms, number: int, *, texture: float, washout: float, site: str) -> Phantom:
    """Draw the images of the patient ``number`` with her hidden numbers, at her site."""
    rng = np.random.default_rng([phantoms.seed, 1, number])
    away = phantoms.sites * (SITES.index(site) - 1)
    spacing = np.array(_SPACING) * (1 + 0.2 * away)
    where = _millimetres(phantoms.shape, spacing)
    breast, chest = _body(where)
    gland = breast & (_smooth(rng, phantoms.shape, 9 / spacing) > 0.3)
    depth = _depth(rng, where, spacing)
    tumour = depth < 1
    uptake = np.exp(_TEXTURE * np.exp(_TEXTURE_STEP * texture) * _smooth(rng, phantoms.shape, _GRAIN / spacing))
    bias = np.exp(phantoms.bias * _smooth(rng, phantoms.shape, 60 / spacing))
    still = _FAT * breast + (_GLAND - _FAT) * gland + _CHEST * chest
    still[tumour] = _TUMOUR
    still *= 1 + 0.04 * _smooth(rng, phantoms.shape, 3 / spacing)
    gained = np.zeros(phantoms.shape)
    gained[gland], gained[chest] = _GLAND_GAIN * _GLAND, _CHEST_GAIN * _CHEST
    peak = np.where(tumour, _TUMOUR_GAIN * _TUMOUR * uptake, gained)
    # Contrast goes from the rim first, as radiologists know it of cancers; no more of it than came.
    gone = (_WASHOUT + _WASHOUT_STEP * washout) * (_CORE + (_RIM - _CORE) * depth.clip(0, 1) ** 2)
    kept = 1 - np.minimum(gone, 1)
    gain, noise = np.exp(0.3 * away), _NOISE * np.exp(0.5 * away)
    phases = []
    for phase in range(phantoms.phases):
        # From its peak in the first phase after contrast the tumour washes out evenly, until the last.
        share = 1 - (1 - kept) * (phase - 1) / max(phantoms.phases - 2, 1)
        contrast = np.where(tumour, peak * share, peak) if phase else 0.0
        seen = bias * (still + contrast) + noise * rng.standard_normal(phantoms.shape)
        phases.append(np.abs(gain * seen).round().clip(0, 32767).astype(np.int16))
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = where[0, 0, 0]
    tissue = np.select([tumour, gland, breast, chest], [TUMOUR, GLAND, FAT, CHEST], AIR).astype(np.uint8)
    return Phantom(np.stack(phases), tumour.astype(np.uint8), affine, bias, tissue)


def write_phantoms(phantoms: Phantoms, folder: Path, machinery: Machinery) -> None:
    """Write phantoms in MAMA-MIA's layout below ``folder``, the clinical sheet, and what is hidden.

    The same files come out for any number of workers.
    """
    from joblib import delayed

    clinical, truth = draw_patients(phantoms)
    rows = zip(clinical["site"], truth["texture"], truth["washout"], strict=True)
    tasks = (
        delayed(_write)(phantoms, number, folder, texture=texture, washout=washout, site=site)
        for number, (site, texture, washout) in enumerate(rows)
    )
    for _ in shared_out(tasks, machinery, total=phantoms.patients, label="phantoms", here=True):
        pass
    write_csv(folder / CLINICAL, clinical)
    write_csv(folder / TRUTH, truth)


def _write(phantoms: Phantoms, number: int, folder: Path, **hidden: Any) -> None:
    drawn, name = draw_phantom(phantoms, number, **hidden), phantoms.name(number)
    for phase, values in enumerate(drawn.phases):
        _save(folder / "images" / name / f"{name}_{phase:04d}.nii.gz", values, drawn.affine)
    _save(folder / "segmentations" / "expert" / f"{name}.nii.gz", drawn.mask, drawn.affine)


def _save(path: Path, values: NDArray[Any], affine: Array) -> None:
    from nibabel.nifti1 import Nifti1Image

    packed = gzip.compress(Nifti1Image(values, affine).to_bytes(), compresslevel=1, mtime=0)
    write_atomic(path, lambda temporary: temporary.write_bytes(packed))


def _millimetres(shape: tuple[int, int, int], spacing: Array) -> Array:
    """Where each voxel lies (i, j, k, 3), the middle of the volume at 0."""
    axes = [(np.arange(size) - (size - 1) / 2) * step for size, step in zip(shape, spacing, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def _body(where: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The breast, half an ellipsoid before the chest wall, and the chest wall."""
    back = where[..., 1].min() + 0.2 * np.ptp(where[..., 1])
    from_wall = where - [0.0, back, 0.0]
    breast = ((from_wall / _BREAST) ** 2).sum(-1) < 1
    return breast & (from_wall[..., 1] >= 0), from_wall[..., 1] < 0


def _depth(rng: np.random.Generator, where: Array, spacing: Array) -> Array:
    """How far from the tumour's centre (0) to its surface (1) and beyond: an uneven ellipsoid, inside the breast."""
    back = where[..., 1].min() + 0.2 * np.ptp(where[..., 1])
    # Where the volume is small, the tumour still lies within it.
    reach = np.minimum([25.0, 15.0, 18.0], 0.2 * np.ptp(where.reshape(-1, 3), axis=0))
    centre = rng.uniform(-reach, reach) + np.array([0.0, back + 28.0, 0.0])
    radii = rng.uniform(*_RADII, 3)
    distance = np.sqrt((((where - centre) / radii) ** 2).sum(-1))
    return np.asarray(distance + _UNEVEN * _smooth(rng, where.shape[:3], 4 / spacing))


def _smooth(rng: np.random.Generator, shape: tuple[int, ...], width: Array) -> Array:
    """Noise that varies over ``width`` voxels, with mean 0 and deviation 1."""
    # A normal number at each node of a grid, spread by a bell along each axis: three products of matrices.
    bells = []
    for size, spread in zip(shape, width, strict=True):
        nodes = np.arange(-2 * spread, size + 2 * spread, max(0.8 * spread, 1.0))
        bells.append(np.exp(-0.5 * ((np.arange(size)[:, None] - nodes) / spread) ** 2))
    drawn = rng.standard_normal(tuple(bell.shape[1] for bell in bells))
    for bell in bells:
        drawn = np.tensordot(drawn, bell, axes=(0, 1))
    return np.asarray((drawn - drawn.mean()) / drawn.std())
