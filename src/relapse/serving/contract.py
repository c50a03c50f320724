"""What the service gives, and what it asks for: pydantic models made from the cohort's declaration.

An answer has ``risk`` in [0, 1] for both kinds of endpoint, so that a client need not know which it talks to: for a
binary endpoint the probability of relapse; for survival the probability by the last horizon, which ``horizon`` names,
with every horizon in ``risks``.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from relapse.bundle.load import Description
from relapse.bundle.manifest import Manifest
from relapse.bundle.validations import Validations
from relapse.cohorts.declared.features import Categorical, Numeric
from relapse.cohorts.schema import Cohort
from relapse.serving.patients import (
    FeatureBlock,
    allowed,
    feature_blocks,
    limits,
    patient_model,
    proposed_features,
    with_blocks,
)


class NoteKind(StrEnum):
    """Why a prediction deserves less trust."""

    IMPUTED = "imputed"
    LEFT_MISSING = "left missing"
    OUTSIDE_TRAINING = "outside training"
    UNUSUAL = "unusual combination"
    UNLIKE_PICTURE = "unlike the training's pictures"


class Note(BaseModel):
    """One reason to trust a prediction less; the message holds no value of the patient."""

    field: str | None = Field(description="Name of the feature; null where all of them together are meant.")
    kind: NoteKind
    message: str


class Role(StrEnum):
    """Which of the models in a bundle."""

    CHAMPION = "champion"
    REFERENCE = "reference"


class ServedModel(BaseModel):
    """Which model answered: the one that is served under this name, or the reference in its bundle."""

    name: str = Field(examples=["relapse-gbsg"])
    version: str
    role: Role
    title: str = Field(description="Its name for people.", examples=["Clinical reference"])
    because: str | None = Field(
        description="Why it is not the champion that answers; null where it is.",
        examples=["no value of block imaging (DCE-MRI radiomics) was given"],
    )


class Interval(BaseModel):
    """Where the risk would lie, had other patients been in the training; no statement about one patient's fate."""

    lower: float = Field(ge=0, le=1)
    upper: float = Field(ge=0, le=1)
    level: float = Field(ge=0, le=1, description="Nominal coverage.", examples=[0.95])


class Group(StrEnum):
    """Third of the risks that patients in training had out of fold."""

    LOW = "low"
    MIDDLE = "middle"
    HIGH = "high"


class HorizonRisk(BaseModel):
    """The probability of relapse by one horizon."""

    horizon: str = Field(examples=["3 y"])
    risk: float = Field(ge=0, le=1)
    interval: Interval | None


class Curve(BaseModel):
    """The probability of being free of the outcome, over time."""

    unit: str = Field(examples=["day"])
    times: list[float]
    event_free: list[Annotated[float, Field(ge=0, le=1)]]


class _Prediction(BaseModel):
    model: ServedModel
    outcome: str = Field(description="The event that the risk is of.")
    score: float = Field(description="The model's ranking, higher = more likely to relapse; on no common scale.")
    interval: Interval | None = Field(description="How sure the model is of `risk`; null where nothing can be said.")
    certainty: str = Field(description="How the interval was made, or why there is none.")
    group: Group | None = Field(description="Risk group; null where the bundle has no thresholds.")
    notes: list[Note] = Field(description="Reasons to trust this prediction less; empty where there are none.")


class BinaryPrediction(_Prediction):
    """The answer for one patient of a cohort with a binary endpoint."""

    risk: float = Field(ge=0, le=1, description="Probability of the outcome.")
    positive: bool | None = Field(description="Whether the risk reaches the threshold; null where the model has none.")
    threshold: float | None = Field(description="The risk from which the model calls a patient positive.")


class SurvivalPrediction(_Prediction):
    """The answer for one patient of a cohort with a time to relapse."""

    risk: float = Field(ge=0, le=1, description="Probability of the outcome by the last horizon.")
    horizon: str = Field(description="The horizon that `risk` is for.", examples=["5 y"])
    risks: list[HorizonRisk] = Field(description="The probability by each horizon, nearest first.")
    curve: Curve | None = Field(description="Given where it was asked for: `?curve=true`.")


Prediction = BinaryPrediction | SurvivalPrediction


class Contribution(BaseModel):
    """What one feature, or a block whose numbers are reduced, adds to the model's output; positive raises the risk."""

    field: str
    label: str
    value: float


class Explanation(BaseModel):
    """Shapley values of one prediction: ``base`` and all contributions add up to ``output``."""

    model: ServedModel
    scale: str = Field(description="What the numbers are of.", examples=["log-odds of relapse"])
    base: float = Field(description="The output averaged over typical patients.")
    output: float = Field(description="The model's output for this patient, before any recalibration.")
    contributions: list[Contribution] = Field(
        description="One a feature, or block of features taken as a whole, in declared order."
    )
    attention: str | None = Field(
        default=None,
        description="Where in the picture the model sees a higher risk (Grad-CAM), painted over it: a PNG file in "
        "base64; null where the model looks at no picture.",
    )


class Pictured(BaseModel):
    """What ``POST /picture`` gives: uploaded volumes as the model looks at them."""

    image: str = Field(description="The preprocessed picture, in base64: the patient's field `image`.")
    preview: str = Field(description="The same for people, with the outline of the mask: a PNG file in base64.")
    width: list[float] = Field(description="Side of each slice's square, in mm.")


class SizeInterval(BaseModel):
    """Where the largest diameter lies, in mm."""

    lower: float
    upper: float
    level: float = Field(ge=0, le=1, description="Nominal coverage.", examples=[0.9])


class Proposal(BaseModel):
    """What a film says of one feature; a proposal, which a radiologist's reading replaces."""

    field: str = Field(description="Name of the feature.")
    read: Literal["size", "shape", "margin", "density"]
    value: float | str | None = Field(
        default=None,
        description="The largest diameter in mm, or the level's name; null where no lesion was found, or where the "
        "cohort has no level for what was read.",
    )
    confidence: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="The probability of the level; of a size that it is right to a quarter.",
    )
    probabilities: dict[str, float] | None = Field(
        default=None, description="Probability of each level by its name; null for a size."
    )
    interval: SizeInterval | None = Field(default=None, description="Of a size; null for levels.")


class Axis(BaseModel):
    """Which pixel of the film lies under pixel ``n`` of the preview, counted from 0: ``first + n * step``."""

    first: float
    step: float = Field(description="Below 0 where the preview shows the film mirrored.")


class FilmRegion(BaseModel):
    """Where a lesion was looked for, in pixels of the film as it was sent."""

    x: float = Field(description="Columns from the left.")
    y: float = Field(description="Rows from the top.")
    radius: float | None


class FilmRead(BaseModel):
    """What ``POST /film`` gives: an uploaded film as it was looked at, and what is proposed of it."""

    preview: str = Field(
        description="The film, chest wall on the left, with the outline of the breast, dense tissue tinted and the "
        "outline of the lesion: a PNG file in base64."
    )
    width: int = Field(description="Pixels of the preview.")
    height: int
    x: Axis = Field(description="From columns of the preview to columns of the film.")
    y: Axis = Field(description="From rows of the preview to rows of the film.")
    columns: int = Field(description="Pixels of the film.")
    rows: int
    spacing: float = Field(description="Millimetres between pixels of the film.")
    laterality: str | None
    view: str | None
    proposals: list[Proposal]
    percent: float = Field(ge=0, le=100, description="Dense share of the breast's area.")
    region: FilmRegion | None = Field(description="Where was looked for a lesion; null where nowhere.")
    proposed: bool = Field(description="Whether the reader found that place itself; false where it was marked.")
    notes: list[str] = Field(description="What a radiologist should know of how the film was read.")


class FormField(BaseModel):
    """How to ask for one feature."""

    name: str
    label: str
    column: str = Field(description="Its column in the table that the model was trained on.")
    description: str | None
    kind: Literal["number", "whole number", "level"]
    unit: str | None
    minimum: float | None
    maximum: float | None
    levels: list[str] | None
    ordered: bool
    optional: bool
    allowed: str = Field(description="What the field takes, in words.")
    block: str | None = Field(description="Name of the block that the feature belongs to; null where to none.")


class FallbackCard(BaseModel):
    """The model that answers where no value of a block is given."""

    title: str = Field(examples=["Clinical reference"])
    features: list[str] = Field(description="All that it looks at.")
    groups: tuple[float, float] | None = Field(description="Risks that part low from middle and middle from high.")


class Form(BaseModel):
    """What ``GET /schema`` gives: what to ask for, in a sensible order, and its JSON Schema."""

    title: str
    outcome: str
    horizons: dict[str, float] = Field(description="Times by label; empty for an outcome without a time.")
    unit: str | None = Field(description="Unit of time; null for an outcome without one.")
    simulated: bool = Field(description="Whether the model was trained on made-up patients.")
    fields: list[FormField]
    blocks: list[FeatureBlock] = Field(description="Named groups of fields; empty where none is declared.")
    fallback: str | None = Field(
        description="Name for people of the model that answers without a block; null for none."
    )
    phases: list[str] | None = Field(
        description="Phases of the volumes that `/picture` takes, in their order (0 is before contrast); null where "
        "the model looks at no picture."
    )
    films: dict[str, str] | None = Field(
        description="Feature by what `/film` reads of a film: size, shape, margin, density; null where no films "
        "are read."
    )
    patient: dict[str, Any] = Field(description="JSON Schema of the body of `/predict` and `/explain`.")


class ModelCard(BaseModel):
    """What ``GET /model`` gives: everything in the bundle but the model itself, and its external validations."""

    name: str
    version: str
    manifest: Manifest
    decision: dict[str, Any]
    metrics: list[dict[str, Any]]
    training: dict[str, Any] = Field(description="What the model was trained on, feature by feature, in summary.")
    declaration: dict[str, Any] = Field(description="The cohort as declared.")
    card: str = Field(description="The model card, as Markdown.")
    checklist: str = Field(description="The filled TRIPOD+AI checklist, as Markdown.")
    validations: Validations | None = Field(
        description="External validations, as far as the registry knew when this was packaged; null where nobody asked."
    )
    validated: str = Field(description="The same in words.")
    groups: tuple[float, float] | None = Field(description="Risks that part low from middle and middle from high.")
    blocks: list[FeatureBlock] = Field(description="Named groups of features; empty where none is declared.")
    fallback: FallbackCard | None = Field(description="What answers without a block; null where nothing does.")


def prediction_model(cohort: Cohort) -> type[BinaryPrediction] | type[SurvivalPrediction]:
    """The model of one answer."""
    return SurvivalPrediction if cohort.survival else BinaryPrediction


def form(description: Description) -> Form:
    """What to ask for: the clinical reference's features first, then the rest, each in declared order."""
    cohort, optional = description.cohort, description.optional_blocks
    patient = patient_model(cohort, optional)
    names = sorted(cohort.predictors, key=lambda name: name not in cohort.reference)
    return Form(
        title=cohort.title,
        outcome=cohort.endpoint.label,
        horizons={item.label: item.time for item in cohort.survival.horizons} if cohort.survival else {},
        unit=cohort.survival.unit if cohort.survival else None,
        simulated=cohort.simulated,
        fields=[_form_field(cohort, name) for name in names],
        blocks=feature_blocks(cohort, optional),
        fallback=description.fallback.title if description.fallback else None,
        phases=list(map(str, cohort.volumes.phases)) if cohort.volumes else None,
        films=proposed_features(cohort) or None,
        patient=with_blocks(patient.model_json_schema(), patient),
    )


def _form_field(cohort: Cohort, name: str) -> FormField:
    feature = cohort.features[name]
    numeric = feature if isinstance(feature, Numeric) else None
    kinds: dict[str, Any] = {"count": "whole number", "continuous": "number"}
    return FormField(
        name=name,
        label=feature.label or name,
        column=cohort.source_column(name),
        description=feature.description,
        kind=kinds.get(feature.type, "level"),
        unit=numeric.unit if numeric else None,
        minimum=limits(numeric)[0] if numeric else None,
        maximum=limits(numeric)[1] if numeric else None,
        levels=feature.names if isinstance(feature, Categorical) else None,
        ordered=feature.type == "ordinal",
        optional=bool(feature.max_missing),
        allowed=allowed(cohort, name),
        block=feature.block,
    )
