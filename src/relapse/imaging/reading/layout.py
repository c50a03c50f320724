"""The folders of a data set: which files are the phases and the mask of a patient.

The layout is MAMA-MIA's (Garrucho et al. 2025, Sci Data 12:453)::

    images/<ID>/<ID>_0000.nii.gz          before contrast
    images/<ID>/<ID>_0001.nii.gz          first after contrast, and so on
    segmentations/expert/<ID>.nii.gz      or segmentations/automatic

Upper and lower case of names do not matter, since the data set itself writes ``DUKE_001/duke_001_0000.nii.gz``. In
place of a file a phase may be a folder with a DICOM series, ``images/<ID>/<ID>_0000/``.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from relapse.ground.errors import SourceError
from relapse.imaging.faults import fault
from relapse.imaging.reading.dicom import read_series
from relapse.imaging.reading.nifti import read_nifti
from relapse.imaging.reading.volume import LIMIT, Volume

Segmentation = Literal["expert", "automatic"]

#: Of phases as they are declared: their numbers, and the last one there is.
Phase = int | Literal["last"]

_ENDING = r"(?:\.nii|\.nii\.gz)?"


@dataclass(frozen=True, slots=True)
class Study:
    """The files of one patient: the declared phases in their order, and the tumour's mask."""

    phases: tuple[Path, ...]
    mask: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that the image hangs on, in a fixed order."""
        found: list[Path] = []
        for part in (*self.phases, self.mask):
            found += sorted(path for path in part.iterdir() if path.is_file()) if part.is_dir() else [part]
        return tuple(found)


@dataclass(frozen=True)
class Layout:
    """A data set in MAMA-MIA's layout, below ``root``."""

    root: Path
    segmentation: Segmentation = "expert"

    def patients(self) -> tuple[str, ...]:
        """Everyone who has a folder of images, sorted."""
        return tuple(sorted(path.name for path in self._folders.values()))

    def study(self, patient: str, phases: tuple[Phase, ...]) -> Study:
        """The files of a patient.

        Raises
        ------
        ImageError
            There are no images or no mask of the patient, or a phase is missing or there twice.
        """
        # The name is a cell of a table, and becomes a part of a path.
        if not re.fullmatch(r"[\w][\w.-]*", patient) or ".." in patient:
            raise fault("patient-name", "a patient's name may hold letters, digits, dots, hyphens and underscores.")
        folder = self._folders.get(patient.casefold())
        if folder is None:
            raise fault("patient-absent", "there is no folder of this name below images/.")
        found = self._phases(folder, patient)
        last = max(found)
        numbers = [last if phase == "last" else phase for phase in phases]
        missing = sorted({*range(last), *numbers} - set(found))
        if missing:
            raise fault(
                "phase-absent",
                f"phase {', '.join(map(str, missing))} is missing; there are {', '.join(map(str, sorted(found)))}.",
            )
        if len(set(numbers)) < len(numbers):
            raise fault(
                "phase-absent", f"the last phase is number {last}, which is asked for beside it: one more is needed."
            )
        return Study(tuple(found[number] for number in numbers), self._mask(patient))

    def _phases(self, folder: Path, patient: str) -> dict[int, Path]:
        pattern = re.compile(rf"{re.escape(patient)}_(\d{{4}}){_ENDING}", re.IGNORECASE)
        found: dict[int, Path] = {}
        for path in sorted(folder.iterdir()):
            if match := pattern.fullmatch(path.name):
                number = int(match[1])
                if number in found:
                    raise fault(
                        "phase-twice", f"phase {number} is there twice, as files or folders of several endings."
                    )
                found[number] = path
        if not found:
            raise fault("phase-absent", "the folder holds no file named <ID>_0000.nii.gz, <ID>_0001.nii.gz, …")
        return found

    def _mask(self, patient: str) -> Path:
        for name in (f"{patient}.nii.gz", f"{patient}.nii"):
            if path := self._masks.get(name.casefold()):
                return path
        raise fault("mask-absent", f"there is no file <ID>.nii.gz below segmentations/{self.segmentation}/.")

    @cached_property
    def _folders(self) -> dict[str, Path]:
        return {path.name.casefold(): path for path in self._listed("images") if path.is_dir()}

    @cached_property
    def _masks(self) -> dict[str, Path]:
        return {path.name.casefold(): path for path in self._listed("segmentations", self.segmentation)}

    def _listed(self, *parts: str) -> list[Path]:
        folder = self.root.joinpath(*parts)
        if not folder.is_dir():
            raise SourceError(
                f"{folder}: no such folder. Images are expected as images/<ID>/<ID>_0000.nii.gz, …, and masks as "
                f"segmentations/{self.segmentation}/<ID>.nii.gz."
            )
        return sorted(folder.iterdir())


def read_volume(path: Path, *, limit: int = LIMIT) -> Volume:
    """Read a NIfTI file, or the DICOM series in a folder."""
    return read_series(path, limit=limit) if path.is_dir() else read_nifti(path, limit=limit)
