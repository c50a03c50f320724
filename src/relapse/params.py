"""What shapes a result: ``params.yaml``, with the chosen budget put in."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from relapse.ground.declarations import Declared, parse, read_yaml
from relapse.ground.errors import DeclarationError
from relapse.ground.files import write_text


class SplitParams(Declared):
    """Outer folds, drawn ``repeats`` times."""

    folds: Annotated[int, Field(ge=2, le=20)]
    repeats: Annotated[int, Field(ge=1, le=100)]


class TrainParams(Declared):
    """The tuning inside each outer fold: ``trials`` searched over ``inner_folds``.

    ``seconds`` is a net for one candidate on one cohort, shared evenly by its folds: no trial starts after a fold has
    used up its share, and at least one is finished. A search that it ends hangs on the machine's speed; the training
    record says so. ``leaves_out`` are those of ``candidates`` that this budget does not train.
    """

    inner_folds: Annotated[int, Field(ge=2, le=10)]
    trials: Annotated[int, Field(ge=1, le=10_000)]
    seconds: Annotated[float, Field(gt=0)] | None = None
    leaves_out: tuple[str, ...] = ()

    @field_validator("leaves_out")
    @classmethod
    def _not_the_reference(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "reference" in value:
            raise ValueError("the reference is what every candidate is held against: it is always trained.")
        return value


class EvaluateParams(Declared):
    """Bootstrap resamples of patients behind each interval."""

    resamples: Annotated[int, Field(ge=100, le=100_000)]


class AuditParams(Declared):
    """The leakage audit: ``candidates`` under each protocol, ``draws`` hyperparameters to choose from in each."""

    candidates: Annotated[tuple[str, ...], Field(min_length=1)]
    folds: Annotated[int, Field(ge=2, le=20)]
    repeats: Annotated[int, Field(ge=1, le=100)]
    inner_folds: Annotated[int, Field(ge=2, le=10)]
    draws: Annotated[int, Field(ge=1, le=1000)]


class ExplainParams(Declared):
    """Explanations: artificial patients to compare with, shuffles of each feature, resamples behind each interval.

    Features whose ranks correlate by at least ``correlated`` are also shuffled together. Of a larger table ``patients``
    are drawn, and only they are explained; None explains all.
    """

    background: Annotated[int, Field(ge=1, le=200)]
    shuffles: Annotated[int, Field(ge=1, le=1000)]
    resamples: Annotated[int, Field(ge=100, le=100_000)]
    correlated: Annotated[float, Field(gt=0, le=1)]
    patients: Annotated[int, Field(ge=100)] | None = None


class AddedValueParams(Declared):
    """What a block adds: asked with each of ``candidates``; groups of patients are looked at with the first of them."""

    candidates: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("candidates")
    @classmethod
    def _no_reference(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "reference" in value:
            raise ValueError("the reference is what a block is held against: name families that learn from the block.")
        return value


Bounds = tuple[float, float]


def _rising(value: Bounds) -> Bounds:
    if not 0 < value[0] < value[1]:
        raise ValueError(f"[{value[0]:g}, {value[1]:g}] is no range: two positive numbers, the lower one first.")
    return value


class CalibrationBounds(Declared):
    """Where the intervals of the calibration slope and of observed over expected have to reach into."""

    slope: Annotated[Bounds, AfterValidator(_rising)]
    observed_expected: Annotated[Bounds, AfterValidator(_rising)]


class RegisterParams(Declared):
    """The promotion policy: see :mod:`relapse.promotion.rules` for what each threshold is held against."""

    choice: Literal["simplest", "best"]
    margin: Annotated[float, Field(ge=0, le=0.5)]
    significance: Annotated[float, Field(gt=0, lt=0.5)]
    calibration: CalibrationBounds
    net_benefit: Annotated[Bounds, AfterValidator(_rising)]
    subgroup_floor: Annotated[float, Field(ge=0, le=1)]
    events_per_parameter: Annotated[float, Field(gt=0)]


class Params(Declared):
    """``params.yaml`` with the chosen budget put in: one section a stage, what the stages run over, and the seed."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    budget: str
    cohorts: Annotated[tuple[str, ...], Field(min_length=1)]
    candidates: Annotated[tuple[str, ...], Field(min_length=1)]
    split: SplitParams
    train: TrainParams
    evaluate: EvaluateParams
    audit: AuditParams
    explain: ExplainParams
    added_value: AddedValueParams
    register_: Annotated[RegisterParams, Field(alias="register")]

    @property
    def trained(self) -> tuple[str, ...]:
        """The candidates that the budget trains."""
        return tuple(name for name in self.candidates if name not in self.train.leaves_out)

    @model_validator(mode="after")
    def _reference_always(self) -> "Params":
        if "reference" not in self.candidates:
            raise ValueError("candidates must hold 'reference': the clinical model that every other one has to beat.")
        return self


def read_params(path: Path = Path("params.yaml")) -> Params:
    """Read ``params.yaml`` and put the sections of its chosen budget in their places; every budget is checked.

    Raises
    ------
    DeclarationError
        With key, value and what is allowed.
    """
    content = read_yaml(path)
    budgets, chosen = content.pop("budgets", None), content.get("budget")
    if not isinstance(budgets, dict) or not all(isinstance(item, dict) for item in budgets.values()):
        raise DeclarationError(
            f"{path}: budgets: expected names, each with sections split, train, evaluate, audit, explain, added_value."
        )
    if chosen not in budgets:
        raise DeclarationError(f"{path}: budget: {chosen!r} is none of {', '.join(budgets)}.")
    checked = {name: parse(Params, content | sections, origin=path) for name, sections in budgets.items()}
    return checked[chosen]


def recorded(params: Params) -> dict[str, Any]:
    """Every setting as plain values, as a model's record keeps it; not which other cohorts were run."""
    return params.model_dump(mode="json", by_alias=True, exclude={"cohorts"})


def flat(settings: Any, above: str = "") -> dict[str, str]:
    """Settings below each other as one level of names, ``train.trials``, and texts."""
    if not isinstance(settings, dict):
        return {above: str(settings)}
    found: dict[str, str] = {}
    for key, item in settings.items():
        found |= flat(item, f"{above}.{key}" if above else str(key))
    return found


def choose(cohorts: Sequence[str], budget: str | None, path: Path = Path("params.yaml")) -> Params:
    """Write into ``params.yaml`` which cohorts are run, and with which budget where one is given; the rest stays.

    Raises
    ------
    DeclarationError
        What would come out is not allowed; the file is then as it was.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedSeq

    read_params(path)
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 200
    content = yaml.load(path)
    chosen = CommentedSeq(cohorts)
    chosen.fa.set_flow_style()
    content["cohorts"] = chosen
    if budget is not None:
        content["budget"] = budget
    text = io.StringIO()
    yaml.dump(content, text)
    # Looked at before it takes the place of the other.
    draft = path.with_name(f".{path.name}")
    try:
        write_text(draft, text.getvalue())
        found = read_params(draft)
    except DeclarationError as error:
        raise DeclarationError(str(error).replace(draft.name, path.name)) from None
    finally:
        draft.unlink(missing_ok=True)
    write_text(path, text.getvalue())
    return found
