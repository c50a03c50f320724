"""What the service takes: a patient, as a pydantic model made from the cohort's declaration.

A patient is strict: every predictor by its declared name, numbers as JSON numbers inside their declared range, levels
by name, nothing else. Only features that the cohort declares with ``max_missing`` above 0 may be null or left out.
Those of an optional block may be left out all together: the clinical reference answers then, and the answer says so.

Where the model looks at a picture, that is one more field: the preprocessed picture that the service made of uploaded
volumes and gave back, in base64. Nothing is kept between requests.
"""

import math
from collections.abc import Collection
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from relapse.bundle.fallback import whole_blocks
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.declared.features import Categorical, Numeric
from relapse.cohorts.schema import Cohort
from relapse.ground.errors import ImageError

#: The path that makes pictures of uploaded volumes, and with it the answer's field.
PICTURE = "picture"

#: The path that reads uploaded films.
FILM = "film"

#: Patients in one request.
MAX_BATCH = 1000

#: A learnt range is no limit: a number is taken as far from it as this many times its width, beyond which a model's
#: arithmetic would overflow sooner or later.
FAR = 1000.0

#: Kind of error: a value is missing of which the block is there.
INCOMPLETE = "incomplete_block"

#: Kind of error: a picture cannot be used; its message says why.
UNUSABLE = "unusable_picture"


class FeatureBlock(BaseModel):
    """Features that are had, or not had, together."""

    name: str = Field(examples=["imaging"])
    title: str = Field(examples=["DCE-MRI radiomics"])
    description: str | None
    costly: bool = Field(description="Whether getting them costs much.")
    optional: bool = Field(description="Whether they may be left out all together: the fallback answers then.")
    features: list[str]


class Patient(BaseModel):
    """Base of every cohort's patient."""

    # Hidden input keeps a value out of pydantic's messages, wherever such a message may end.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    #: The cohort's blocks, and the features that are there where anything of their block is.
    blocks: ClassVar[tuple[FeatureBlock, ...]] = ()
    needed: ClassVar[frozenset[str]] = frozenset()

    @property
    def left_out(self) -> tuple[str, ...]:
        """The optional blocks of which no value was given."""
        return tuple(
            block.name
            for block in self.blocks
            if block.optional and all(getattr(self, name) is None for name in block.features)
        )

    @model_validator(mode="after")
    def _whole_or_not_at_all(self) -> Self:
        left_out = self.left_out
        lacking: list[InitErrorDetails] = [
            {"type": PydanticCustomError(INCOMPLETE, "missing"), "loc": (name,), "input": None}
            for block in self.blocks
            if block.name not in left_out
            for name in block.features
            if name in self.needed and getattr(self, name) is None
        ]
        if lacking:
            raise ValidationError.from_exception_data("Patient", lacking, hide_input=True)
        return self


def patient_model(cohort: Cohort, optional_blocks: Collection[str] = ()) -> type[Patient]:
    """The request model of one patient; its fields are the cohort's predictors."""
    fields: dict[str, Any] = {name: _field(cohort, name, optional_blocks) for name in cohort.predictors}
    if cohort.volumes:
        fields[IMAGE] = _picture(cohort, optional=cohort.volumes.block in optional_blocks)
    made: type[Patient] = create_model("Patient", __base__=Patient, __doc__=f"A patient of {cohort.title}.", **fields)
    made.blocks = tuple(feature_blocks(cohort, optional_blocks))
    made.needed = frozenset(name for name in cohort.inputs if name == IMAGE or not cohort.features[name].max_missing)
    return made


def feature_blocks(cohort: Cohort, optional_blocks: Collection[str]) -> list[FeatureBlock]:
    """The cohort's blocks, as far as they have predictors."""
    return [
        FeatureBlock(
            name=name,
            title=cohort.block_title(name),
            description=cohort.blocks[name].description,
            costly=cohort.blocks[name].costly,
            optional=name in optional_blocks,
            features=cohort.block_inputs(name),
        )
        for name in whole_blocks(cohort)
    ]


def proposed_features(cohort: Cohort) -> dict[str, str]:
    """Feature by what is read of a film, as far as a patient is asked for it."""
    found = cohort.films.proposed if cohort.films else {}
    return {read: name for read, name in found.items() if name in cohort.predictors}


def with_blocks(schema: dict[str, Any], patient: type[Patient]) -> dict[str, Any]:
    """A patient's JSON Schema, and which blocks there are; of an optional one all that is needed is there, or nothing.

    Not in the model's own schema: BentoML reads that, and knows no such keys.
    """
    if not patient.blocks:
        return schema
    null, conditions = {"type": "null"}, []
    for block in (block for block in patient.blocks if block.optional):
        needed = [name for name in block.features if name in patient.needed]
        given = {"required": needed, "properties": {name: {"not": null} for name in needed}}
        conditions.append({"anyOf": [given, {"properties": dict.fromkeys(block.features, null)}]})
    blocks = {block.name: block.model_dump(exclude={"name"}) for block in patient.blocks}
    return schema | {"blocks": blocks} | ({"allOf": conditions} if conditions else {})


def batch_model(patient: type[Patient]) -> type[RootModel[Any]]:
    """The request model of several patients."""
    patients: Any = Annotated[list[patient], Field(min_length=1, max_length=MAX_BATCH)]  # type: ignore[valid-type]

    class Patients(RootModel[patients]):
        """1 to 1000 patients."""

        model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    return Patients


def allowed(cohort: Cohort, name: str) -> str:
    """What a field takes, in words: ``1 to 200 mm``, ``whole number, 18 to 100 years``, ``one of: I, II, III``."""
    if name == IMAGE:
        return f"the text that POST /{PICTURE} gives for uploaded volumes"
    feature = cohort.features[name]
    if isinstance(feature, Categorical):
        text = "one of: " + ", ".join(feature.names)
    else:
        whole = "whole number, " if feature.type == "count" else ""
        unit = f" {feature.unit}" if feature.unit else ""
        text = f"{whole}{feature.range[0]:.15g} to {feature.range[1]:.15g}{unit}"
        if feature.learnt:
            text = f"{whole or 'number, '}usually {feature.range[0]:.6g} to {feature.range[1]:.6g}{unit}"
    return f"{text}; or null" if feature.max_missing else text


def limits(feature: Numeric) -> tuple[float, float]:
    """The smallest and the largest number that is taken."""
    lower, upper = feature.range
    margin = FAR * (upper - lower) if feature.learnt else 0.0
    return lower - margin, upper + margin


def _field(cohort: Cohort, name: str, optional_blocks: Collection[str]) -> tuple[Any, Any]:
    feature = cohort.features[name]
    more: dict[str, Any] = {}
    if isinstance(feature, Numeric):
        kind: Any = _whole_number(feature) if feature.type == "count" else _number(feature)
        if feature.unit:
            more["unit"] = feature.unit
    else:
        kind = Literal[tuple(feature.names)]
        if feature.type == "ordinal":
            more["ordered"] = True
    if feature.block:
        more["block"] = feature.block
    about: dict[str, Any] = {"title": feature.label or name, "description": feature.description}
    if more:
        about["json_schema_extra"] = more
    if feature.max_missing or feature.block in optional_blocks:
        return kind | None, Field(default=None, **about)
    return kind, Field(**about)


def _picture(cohort: Cohort, *, optional: bool) -> tuple[Any, Any]:
    """The field of the picture, checked as far as it is looked at: what passes the door can be answered."""
    assert cohort.volumes is not None
    images = cohort.volumes

    def usable(text: str) -> str:
        from relapse.imaging.uploads import from_text

        try:
            from_text(text, images)
        except ImageError as error:
            # Words of the faults, which hold nothing that was sent.
            raise PydanticCustomError(UNUSABLE, "{said}", {"said": str(error)}) from None
        return text

    kind: Any = Annotated[str, Field(strict=True), AfterValidator(usable)]
    about: dict[str, Any] = {
        "title": cohort.block_title(images.block),
        "description": allowed(cohort, IMAGE).capitalize(),
        "json_schema_extra": {"contentEncoding": "base64", "block": images.block},
    }
    return (kind | None, Field(default=None, **about)) if optional else (kind, Field(**about))


def _number(feature: Numeric) -> Any:
    lower, upper = limits(feature)
    return Annotated[float, Field(strict=True, ge=lower, le=upper, allow_inf_nan=False)]


def _whole_number(feature: Numeric) -> Any:
    lower, upper = math.ceil(limits(feature)[0]), math.floor(limits(feature)[1])
    return Annotated[int, Field(strict=True, ge=lower, le=upper), BeforeValidator(_as_whole)]


def _as_whole(value: Any) -> Any:
    """3.0 is the whole number 3, as JSON Schema has it: some clients know no other way to write one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
