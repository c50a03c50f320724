"""What a cohort declares of its images: where they lie, which of them count, and what is made of them.

Volumes are looked at by a candidate; of films a reader's values are proposed, and stand in the table as any others.

::

    images:
      kind: dce_mri
      folder: ${MAMA_MIA}               # images/<ID>/<ID>_0000.nii.gz, segmentations/expert/<ID>.nii.gz
      phases: [0, 1, last]              # before contrast, first after it, last
      mask: expert
      block: imaging                    # one of the cohort's blocks
      encoder: {weights: imagenet, file: "${RELAPSE_DENSENET121}"}
      preprocessing: {spacing: 1.0, margin: 10, size: 224, correction: {of: slice, shrink: 4}}

    images:
      kind: mammogram
      reader: readers/mias              # the folder that `relapse films train` wrote
      size: size                        # the features that it proposes values of
      shape: shape
      margin: margin
      density: density
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from relapse.ground.declarations import Declared

#: The number of a phase, 0 before contrast; or the last that there is.
Phase = Annotated[int, Field(ge=0, le=99)] | Literal["last"]


class Correction(Declared):
    """N4 bias field correction (Tustison et al. 2010, IEEE Trans Med Imaging 29:1310-1320).

    The field is estimated before contrast and taken out of every phase alike, since it is the coil's: a field of each
    phase's own would take contrast for coil. ``of`` is what it is estimated on, each ``slice`` or the whole ``volume``
    (some hundred times the work); ``shrink`` thins the voxels out for it; ``iterations`` has one number a level.
    """

    of: Literal["slice", "volume"] = "slice"
    shrink: Annotated[int, Field(ge=1, le=16)] = 4
    iterations: Annotated[tuple[Annotated[int, Field(ge=1, le=500)], ...], Field(min_length=1, max_length=6)] = (
        50,
        50,
        50,
        50,
    )


class Preprocessing(Declared):
    """From volumes to what an encoder is shown.

    Parameters
    ----------
    correction
        Of the bias field; None leaves it in.
    plane
        Across which axis slices are taken; ``acquired``: as the scanner took them.
    lesion
        ``largest``: the largest connected piece of the mask; ``all``: everything marked, so that a speck elsewhere
        decides how wide the crop is.
    slices
        How many: 1 is the middle one of those that hold tumour, more are spread evenly over them.
    spacing
        Millimetres between pixels to which slices are brought; None leaves each as it is.
    margin
        Millimetres around the tumour; the crop is a square.
    size
        Pixels of the crop's side in the end.
    channels
        ``phases``: the declared phases themselves; ``subtraction``: the first one, and of each later one the difference
        to the one before it, which shows uptake and wash-out by themselves.
    clip
        Percentiles between which intensities are kept, the lower one of all pixels of a slice, the upper one of its
        foreground, before they are standardised over the foreground of all its phases.
    """

    correction: Correction | None = Correction()
    plane: Literal["acquired", "axial", "sagittal", "coronal"] = "acquired"
    lesion: Literal["largest", "all"] = "largest"
    slices: Annotated[int, Field(ge=1, le=16)] = 1
    spacing: Annotated[float, Field(ge=0.2, le=5)] | None = 1.0
    margin: Annotated[float, Field(ge=0, le=100)] = 10.0
    size: Annotated[int, Field(ge=32, le=512)] = 224
    channels: Literal["phases", "subtraction"] = "phases"
    clip: tuple[Annotated[float, Field(ge=0, lt=50)], Annotated[float, Field(gt=50, le=100)]] = (0.1, 99.9)


class EncoderWeights(Declared):
    """What DenseNet121 starts from, and how often a picture is seen.

    ``imagenet`` are torchvision's published weights, read from ``file``. With ``random`` weights the network has seen
    nothing before, and every table and answer says so. ``views`` are turns and reflections of each picture, kept once
    and drawn anew in each epoch.
    """

    weights: Literal["imagenet", "random"] = "random"
    file: str | None = None
    views: Annotated[int, Field(ge=1, le=8)] = 4

    @model_validator(mode="after")
    def _file_of_weights(self) -> "EncoderWeights":
        if (self.weights == "imagenet") != (self.file is not None):
            raise ValueError(
                "file names the published weights: it is needed with weights: imagenet, and with no other."
            )
        return self


class DceMri(Declared):
    """DCE-MRI volumes in MAMA-MIA's layout, one a phase, and a tumour mask a patient.

    ``block`` is the block of the cohort that the images belong to: what they add is asked as of any block.
    """

    kind: Literal["dce_mri"]
    folder: str
    block: str
    encoder: EncoderWeights = EncoderWeights()
    phases: Annotated[tuple[Phase, ...], Field(min_length=1, max_length=3)] = (0, 1, "last")
    mask: Literal["expert", "automatic"] = "expert"
    preprocessing: Preprocessing = Preprocessing()

    @model_validator(mode="after")
    def _phases(self) -> "DceMri":
        if len(set(self.phases)) < len(self.phases):
            raise ValueError("phases: each is named once.")
        return self


class Mammogram(Declared):
    """Features whose values may be read from a film, by the trained ``reader`` in a folder.

    Each names one of the cohort's features: ``size`` a number in mm, the others levels by the study's codes 0 to 3. The
    reader goes into the bundle, so that the service proposes values for an uploaded film.
    """

    kind: Literal["mammogram"]
    reader: str
    size: str | None = None
    shape: str | None = None
    margin: str | None = None
    density: str | None = None

    @property
    def proposed(self) -> dict[str, str]:
        """Feature of the cohort by what is read of a film: ``size``, ``shape``, ``margin``, ``density``."""
        return {read: name for read in READ if (name := getattr(self, read)) is not None}

    @model_validator(mode="after")
    def _something(self) -> "Mammogram":
        names = list(self.proposed.values())
        if not names or len(set(names)) < len(names):
            raise ValueError(f"name the features that films give values of, each once, under {', '.join(READ)}.")
        return self


#: What is read of a film, in the order of the study; all but the size by the study's codes.
READ, CODES = ("size", "shape", "margin", "density"), (0, 1, 2, 3)

Images = Annotated[DceMri | Mammogram, Field(discriminator="kind")]
