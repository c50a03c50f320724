"""What the service takes and gives: pydantic models made from the cohort's declaration.

A patient is strict: every predictor by its declared name, numbers as JSON numbers inside their declared range, levels
by name, nothing else. Only features that the cohort declares with ``max_missing`` above 0 may be null or left out.

An answer has ``risk`` in [0, 1] for both kinds of endpoint, so that a client need not know which it talks to: for a
binary endpoint the probability of relapse; for survival the probability by the last horizon, which ``horizon`` names,
with every horizon in ``risks``.
"""

import math
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, RootModel, create_model

from relapse.bundle.manifest import Manifest
from relapse.bundle.validations import Validations
from relapse.cohorts.declared.features import Categorical, Numeric
from relapse.cohorts.schema import Cohort

#: Patients in one request.
MAX_BATCH = 1000


class Patient(BaseModel):
    """Base of every cohort's patient."""

    # Hidden input keeps a value out of pydantic's messages, wherever such a message may end.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class NoteKind(StrEnum):
    """Why a prediction deserves less trust."""

    IMPUTED = "imputed"
    OUTSIDE_TRAINING = "outside training"
    UNUSUAL = "unusual combination"


class Note(BaseModel):
    """One reason to trust a prediction less; the message holds no value of the patient."""

    field: str | None = Field(description="Name of the feature; null where all of them together are meant.")
    kind: NoteKind
    message: str


class ServedModel(BaseModel):
    """Which model answered."""

    name: str = Field(examples=["relapse-gbsg"])
    version: str


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


class FormField(BaseModel):
    """How to ask for one feature."""

    name: str
    label: str
    description: str | None
    kind: Literal["number", "whole number", "level"]
    unit: str | None
    minimum: float | None
    maximum: float | None
    levels: list[str] | None
    ordered: bool
    optional: bool
    allowed: str = Field(description="What the field takes, in words.")


class Form(BaseModel):
    """What ``GET /schema`` gives: what to ask for, in a sensible order, and its JSON Schema."""

    title: str
    outcome: str
    horizons: dict[str, float] = Field(description="Times by label; empty for an outcome without a time.")
    unit: str | None = Field(description="Unit of time; null for an outcome without one.")
    simulated: bool = Field(description="Whether the model was trained on made-up patients.")
    fields: list[FormField]
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


def patient_model(cohort: Cohort) -> type[Patient]:
    """The request model of one patient; its fields are the cohort's predictors."""
    fields: dict[str, Any] = {name: _field(cohort, name) for name in cohort.predictors}
    made: type[Patient] = create_model("Patient", __base__=Patient, __doc__=f"A patient of {cohort.title}.", **fields)
    return made


def batch_model(patient: type[Patient]) -> type[RootModel[Any]]:
    """The request model of several patients."""
    patients: Any = Annotated[list[patient], Field(min_length=1, max_length=MAX_BATCH)]  # type: ignore[valid-type]

    class Patients(RootModel[patients]):
        """1 to 1000 patients."""

        model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    return Patients


def prediction_model(cohort: Cohort) -> type[BinaryPrediction] | type[SurvivalPrediction]:
    """The model of one answer."""
    return SurvivalPrediction if cohort.survival else BinaryPrediction


def allowed(cohort: Cohort, name: str) -> str:
    """What a field takes, in words: ``1 to 200 mm``, ``whole number, 18 to 100 years``, ``one of: I, II, III``."""
    feature = cohort.features[name]
    if isinstance(feature, Categorical):
        text = "one of: " + ", ".join(feature.names)
    else:
        whole = "whole number, " if feature.type == "count" else ""
        unit = f" {feature.unit}" if feature.unit else ""
        text = f"{whole}{feature.range[0]:.15g} to {feature.range[1]:.15g}{unit}"
    return f"{text}; or null" if feature.max_missing else text


def form(cohort: Cohort) -> Form:
    """What to ask for: the clinical reference's features first, then the rest, each in declared order."""
    names = sorted(cohort.predictors, key=lambda name: name not in cohort.reference)
    return Form(
        title=cohort.title,
        outcome=cohort.endpoint.label,
        horizons={item.label: item.time for item in cohort.survival.horizons} if cohort.survival else {},
        unit=cohort.survival.unit if cohort.survival else None,
        simulated=cohort.simulated,
        fields=[_form_field(cohort, name) for name in names],
        patient=patient_model(cohort).model_json_schema(),
    )


def _form_field(cohort: Cohort, name: str) -> FormField:
    feature = cohort.features[name]
    numeric = feature if isinstance(feature, Numeric) else None
    kinds: dict[str, Any] = {"count": "whole number", "continuous": "number"}
    return FormField(
        name=name,
        label=feature.label or name,
        description=feature.description,
        kind=kinds.get(feature.type, "level"),
        unit=numeric.unit if numeric else None,
        minimum=numeric.range[0] if numeric else None,
        maximum=numeric.range[1] if numeric else None,
        levels=feature.names if isinstance(feature, Categorical) else None,
        ordered=feature.type == "ordinal",
        optional=bool(feature.max_missing),
        allowed=allowed(cohort, name),
    )


def _field(cohort: Cohort, name: str) -> tuple[Any, Any]:
    feature = cohort.features[name]
    about: dict[str, Any] = {"title": feature.label or name, "description": feature.description}
    if isinstance(feature, Numeric):
        kind: Any = _whole_number(feature) if feature.type == "count" else _number(feature)
        if feature.unit:
            about["json_schema_extra"] = {"unit": feature.unit}
    else:
        kind = Literal[tuple(feature.names)]
        if feature.type == "ordinal":
            about["json_schema_extra"] = {"ordered": True}
    if feature.max_missing:
        return kind | None, Field(default=None, **about)
    return kind, Field(**about)


def _number(feature: Numeric) -> Any:
    lower, upper = feature.range
    return Annotated[float, Field(strict=True, ge=lower, le=upper, allow_inf_nan=False)]


def _whole_number(feature: Numeric) -> Any:
    lower, upper = math.ceil(feature.range[0]), math.floor(feature.range[1])
    return Annotated[int, Field(strict=True, ge=lower, le=upper), BeforeValidator(_as_whole)]


def _as_whole(value: Any) -> Any:
    """3.0 is the whole number 3, as JSON Schema has it: some clients know no other way to write one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
