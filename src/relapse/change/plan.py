"""The predetermined change control plan: ``change_plan.yaml``, what may change without review and what may not.

Sources: FDA, Health Canada and MHRA (October 2023), *Predetermined change control plans for machine learning-enabled
medical devices: guiding principles*; FDA (December 2024), *Marketing submission recommendations for a predetermined
change control plan for artificial intelligence-enabled device software functions*.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from relapse.ground.declarations import Declared, parse, read_yaml
from relapse.ground.files import sha256_of_file

#: Name of the plan's file, at the root of the project.
PLAN = "change_plan.yaml"

ALLOWED: Literal["allowed"] = "allowed"
REVIEW: Literal["review"] = "review"


class Kind(StrEnum):
    """What can differ between the champion and what would follow it; each is named in the plan, but the plan itself."""

    DATA_APPENDED = "data_appended"
    RETUNING = "retuning"
    RECALIBRATION = "recalibration"
    DESCRIPTION = "description_changed"
    DATA = "data_changed"
    SOURCE = "source_changed"
    POPULATION = "population_changed"
    DATA_RULES = "data_rules_changed"
    FEATURES = "features_changed"
    ENDPOINT = "endpoint_changed"
    FAMILY = "family_changed"
    PROTOCOL = "protocol_changed"
    POLICY = "policy_changed"
    CODE = "code_changed"
    PACKAGES = "packages_changed"
    PLAN = "plan_changed"


#: Kinds on which the plan has no say: who changes the plan has it reviewed.
ALWAYS_REVIEWED = (Kind.PLAN,)


class Verdict(Declared):
    """Whether a kind of change passes without review, and why.

    ``at_most`` is for appended data: by what share of the champion's patients they may grow without review.
    """

    verdict: Literal["allowed", "review"]
    because: Annotated[str, Field(min_length=1)]
    at_most: Annotated[float, Field(gt=0, le=10)] | None = None


class Step(Declared):
    """When a step of a roll-out has been seen enough: after so many requests, or so many seconds, what comes first.

    ``share`` is, of the step *part*, the share of patients whom the new model answers.
    """

    requests: Annotated[int, Field(ge=1)]
    seconds: Annotated[float, Field(gt=0, le=30 * 24 * 3600)]
    share: Annotated[float, Field(gt=0, lt=1)] | None = None


class Rollout(Declared):
    """How a new model takes over, and what sends it back.

    ``errors`` is the largest share of requests that it may fail in a step; ``milliseconds`` what the known example may
    take at most; ``ready_seconds`` what it may take to be ready.
    """

    shadow: Step
    part: Step
    all: Step
    errors: Annotated[float, Field(ge=0, lt=1)]
    milliseconds: Annotated[float, Field(gt=0)]
    ready_seconds: Annotated[float, Field(gt=0, le=3600)] = 120.0

    @model_validator(mode="after")
    def _share_of_the_part(self) -> "Rollout":
        if self.part.share is None or self.shadow.share is not None or self.all.share is not None:
            raise ValueError("share belongs to the step part, and to it alone: part: {share: 0.2, …}.")
        return self


class Plan(Declared):
    """The plan: a verdict for every kind of change, and how what may pass takes over."""

    title: str
    changes: dict[Kind, Verdict]
    rollout: Rollout

    @field_validator("changes")
    @classmethod
    def _every_kind_once(cls, value: dict[Kind, Verdict]) -> dict[Kind, Verdict]:
        expected = [kind for kind in Kind if kind not in ALWAYS_REVIEWED]
        if missing := [kind for kind in expected if kind not in value]:
            raise ValueError(f"no verdict for {', '.join(missing)}: say allowed or review of each.")
        if idle := [kind for kind in value if kind in ALWAYS_REVIEWED]:
            raise ValueError(f"{', '.join(idle)} is always reviewed and has no place here.")
        return value

    @model_validator(mode="after")
    def _share_of_what_is_appended(self) -> "Plan":
        given = [kind for kind, item in self.changes.items() if item.at_most is not None]
        if wrong := [kind for kind in given if kind is not Kind.DATA_APPENDED]:
            raise ValueError(f"changes.{wrong[0]}: at_most is a share of patients, for data_appended alone.")
        return self

    def of(self, kind: Kind) -> Verdict:
        """What the plan says of a kind of change."""
        if kind in ALWAYS_REVIEWED:
            return Verdict(verdict=REVIEW, because="the plan does not decide on changes of itself")
        return self.changes[kind]


def plan_file(root: Path = Path()) -> Path:
    """Where the plan of a project lies."""
    return root / PLAN


def read_plan(root: Path = Path()) -> Plan | None:
    """The plan of the project at ``root``, None where it has none.

    Raises
    ------
    DeclarationError
        It is not as the schema has it; the message names file, key and what is allowed.
    """
    path = plan_file(root)
    return parse(Plan, read_yaml(path), origin=path) if path.is_file() else None


def plan_digest(root: Path = Path()) -> str | None:
    """SHA-256 of the plan's file, None where there is none."""
    path = plan_file(root)
    return sha256_of_file(path) if path.is_file() else None
