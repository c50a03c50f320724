"""The declaration of a cohort: the single source of truth about a data set."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from relapse.cohorts.blocked import IMAGE, Blocked
from relapse.cohorts.checklist import ITEMS, NUMBERS
from relapse.cohorts.declared.blocks import REFERENCE, Block
from relapse.cohorts.declared.endpoint import BinaryEndpoint, SurvivalEndpoint
from relapse.cohorts.declared.exclusion import Exclusion
from relapse.cohorts.declared.features import Categorical, Feature, Known, Missing, Numeric
from relapse.cohorts.declared.groups import Group, is_group
from relapse.cohorts.declared.images import CODES, DceMri, Images, Mammogram
from relapse.cohorts.declared.silence import Silence
from relapse.cohorts.declared.source import NamedSource, SimulatedSource, Source
from relapse.cohorts.declared.translation import Translation
from relapse.cohorts.missing import check_default
from relapse.ground.declarations import Declared

#: Columns that stand beside the features in canonical tables and in tables of Shapley values; no feature is called so.
RESERVED_COLUMNS = ("row", "patient", "site", "event", "time", "fold", "base", "output", IMAGE)

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class Cohort(Blocked, Declared):
    """A cohort as its YAML file declares it. Everything else about the data set is derived from this.

    ``tripod`` answers items of the TRIPOD+AI checklist, by number, that only the study's people can answer.
    ``validates`` says, by the cohort that a model was trained on, how its features are made from the ones here, where
    they are not of the same name, unit and levels. ``view`` names the column that tells the rows of one patient apart
    (projection, breast, slice), or the columns that do so together: no patient has a view twice.

    ``source`` is the table, or ``sources`` several by name: the first holds patients and outcome, the others are joined
    to it by patient. ``groups`` are the wide groups among the declared ``features``; a resolved cohort, which ingest
    makes once it has read the columns, has none of them left. ``images`` are what a patient has beside the table:
    of ``volumes`` the preprocessed picture stands in it as the column :data:`IMAGE`; ``films`` are read into features.
    ``silence`` names findings of the gate that somebody has looked at and that do not count, each with the reason.
    ``missing`` is the rule for missing values of features that have none of their own (:mod:`relapse.cohorts.missing`).
    """

    name: str
    title: str
    source: Source | None = None
    sources: Annotated[dict[str, NamedSource], Field(default_factory=dict)]
    licence: str
    citation: str
    simulated: bool = False
    patient: str | None = None
    view: tuple[str, ...] = ()
    site: str | None = None
    endpoint: Annotated[BinaryEndpoint | SurvivalEndpoint, Field(discriminator="kind")]
    exclusions: tuple[Exclusion, ...] = ()
    features: Annotated[dict[str, Feature], Field(min_length=1)]
    groups: Annotated[dict[str, Group], Field(validation_alias="features", exclude=True, default_factory=dict)]
    reference: Annotated[tuple[str, ...], Field(min_length=1)]
    blocks: Annotated[dict[str, Block], Field(default_factory=dict)]
    images: Images | None = None
    subgroups: tuple[str, ...] = ()
    imbalance: Literal["none", "smotenc"] = "none"
    silence: tuple[Silence, ...] = ()
    missing: Missing | None = None
    tripod: Annotated[dict[str, str], Field(default_factory=dict)]
    validates: Annotated[dict[str, dict[str, Translation]], Field(default_factory=dict)]

    @field_validator("features", mode="before")
    @classmethod
    def _single(cls, value: Any) -> Any:
        return _split(value, groups=False)

    @field_validator("groups", mode="before")
    @classmethod
    def _wide(cls, value: Any) -> Any:
        return _split(value, groups=True)

    @field_validator("view", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return () if value is None else (value,) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _patient_is_the_key(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("sources"), dict) or not value["sources"]:
            return value
        first = next(iter(value["sources"].values()))
        key = first.get("key") if isinstance(first, dict) else getattr(first, "key", None)
        if value.get("patient") not in (None, key):
            raise ValueError(f"patient: sources are joined by patient, and the first one's key is {key!r}: name one.")
        return {**value, "patient": key}

    @field_validator("tripod", mode="before")
    @classmethod
    def _known_items(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        answers = {str(number): text for number, text in value.items()}
        unknown = sorted(answers.keys() - NUMBERS)
        if unknown:
            raise ValueError(
                f"{', '.join(unknown)}: no item of the TRIPOD+AI checklist. There are: "
                f"{', '.join(item.number for item in ITEMS)}."
            )
        return answers

    @field_validator("name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", value):
            raise ValueError(f"{value!r} is no cohort name: lower-case letters, digits and _, starting with a letter.")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Cohort":
        if self.view and not self.patient:
            raise ValueError("view tells the rows of one patient apart: name the patient's column under patient, too.")
        if self.patient in self.view:
            raise ValueError(
                "view and patient name the same column: name the one that differs between rows of a patient."
            )
        if self.view and "view" in self.features:
            raise ValueError("feature 'view': where view is declared the table has a column of this name. Rename it.")
        for name in self.features:
            if name in RESERVED_COLUMNS or name.startswith("risk") or not _IDENTIFIER.fullmatch(name):
                raise ValueError(
                    f"feature {name!r}: a feature's name is letters, digits and _, starts with a letter (not 'risk'), "
                    f"and is none of {', '.join(RESERVED_COLUMNS)}. Give the source's name under 'column'."
                )
            column = self.source_column(name)
            if column in self.outcome_columns or column == self.patient:
                role = "names the patient" if column == self.patient else "belongs to the endpoint"
                raise ValueError(
                    f"feature {name!r}: its column {column!r} {role} and cannot be a feature as well, under any name. "
                    "Take the feature out."
                )
        for key in ("reference", "subgroups"):
            unknown = [name for name in getattr(self, key) if name not in self.features]
            if unknown:
                raise ValueError(f"{key} names {', '.join(unknown)}, which is no declared feature.")
        late = [name for name in self.reference if name not in self.predictors]
        if late:
            raise ValueError(f"reference names {', '.join(late)}, known only after baseline: not a predictor.")
        numeric = [name for name in self.subgroups if isinstance(self.features[name], Numeric)]
        if numeric:
            raise ValueError(f"subgroups names {', '.join(numeric)}: only ordinal and nominal features form subgroups.")
        if any(isinstance(item, SimulatedSource) for item in self.read_from.values()) and not self.simulated:
            raise ValueError("the source is a simulation: declare simulated: true, which marks every result.")
        if self.imbalance != "none" and self.endpoint.kind == "survival":
            raise ValueError("imbalance: smotenc makes synthetic patients for a binary endpoint; use none here.")
        check_default(self.missing, [*self.features.values(), *self.groups.values()])
        return self

    @model_validator(mode="after")
    def _sources_that_are_named(self) -> "Cohort":
        if (self.source is None) == (not self.sources):
            raise ValueError("give the table under source, or several under sources: exactly one of the two.")
        for name in self.sources:
            if not _IDENTIFIER.fullmatch(name):
                raise ValueError(f"source {name!r}: its name is letters, digits and _, and starts with a letter.")
        first = next(iter(self.sources.values()), None)
        if first is not None and (first.prefix or first.unmatched != "exclude"):
            raise ValueError("the first of the sources holds the patients: prefix and unmatched are for the others.")
        for key, item in {**self.features, **self.groups}.items():
            if item.source is not None and item.source not in self.sources:
                raise ValueError(
                    f"feature {key!r}: source {item.source!r} is not declared. "
                    f"There are: {', '.join(self.sources) or 'no sources, but one source'}."
                )
        return self

    @model_validator(mode="after")
    def _whole_blocks(self) -> "Cohort":
        for name, feature in {**self.features, **self.groups}.items():
            if feature.block is not None and feature.block not in self.blocks:
                raise ValueError(
                    f"feature {name!r}: block {feature.block!r} is not declared. "
                    f"Name it under blocks; there are: {', '.join(self.blocks) or 'none'}."
                )
            if feature.block is not None and name in self.reference:
                raise ValueError(f"feature {name!r} belongs to the reference and to block {feature.block!r}: to one.")
        if self.volumes and self.volumes.block not in self.blocks:
            raise ValueError(
                f"images: block {self.volumes.block!r} is not declared. Name it under blocks; "
                f"there are: {', '.join(self.blocks) or 'none'}."
            )
        for name, block in self.blocks.items():
            if name == REFERENCE or not _IDENTIFIER.fullmatch(name):
                raise ValueError(
                    f"block {name!r}: a block's name is letters, digits and _, starts with a letter, and is not "
                    f"{REFERENCE!r}, which is the block of the clinical reference."
                )
            if name in self.features or name in RESERVED_COLUMNS:
                raise ValueError(f"block {name!r}: a feature or a column of every table is called so, too. Rename it.")
            wide = any(group.block == name and group.known is Known.BASELINE for group in self.groups.values())
            if not wide and not self.block_inputs(name):
                raise ValueError(f"block {name!r} has no feature known at baseline: none names it under block.")
            bases = [REFERENCE, *(other for other in self.blocks if other != name)]
            if block.harmonise != "none" and self.site is None:
                raise ValueError(
                    f"block {name!r}: harmonise: {block.harmonise} takes out what differs between sites: name the "
                    "column of the hospital or scanner under site, too."
                )
            unknown = [base for base in block.over if base not in bases]
            if unknown:
                raise ValueError(f"block {name!r}: over names {', '.join(unknown)}. Allowed: {', '.join(bases)}.")
        asking = [name for name, block in self.blocks.items() if self.volumes and self.volumes.block in block.over]
        if asking:
            raise ValueError(
                f"block {asking[0]!r}: over names the block of the images, which a regression cannot hold fixed. Ask "
                "what the images add to it instead."
            )
        return self

    @model_validator(mode="after")
    def _readable_films(self) -> "Cohort":
        codes = [str(code) for code in CODES]
        for read, name in (self.films.proposed if self.films else {}).items():
            feature = self.features.get(name)
            if feature is None:
                raise ValueError(f"images: {read} names {name!r}, which is no declared feature.")
            if read == "size" and not (isinstance(feature, Numeric) and feature.unit == "mm"):
                raise ValueError(f"images: size is read in mm: declare feature {name!r} as continuous with unit: mm.")
            if read != "size" and not (isinstance(feature, Categorical) and set(feature.levels) <= set(codes)):
                raise ValueError(
                    f"images: {read} is read as codes: give the levels of {name!r} by their codes, {', '.join(codes)}."
                )
        return self

    @property
    def read_from(self) -> dict[str, Source]:
        """Every source by its name; the only one has none."""
        several = {name: item.source for name, item in self.sources.items()}
        return several if self.source is None else {"": self.source}

    def source_of(self, column: str) -> Source:
        """The source that a column of the canonical table comes from; all but features come from the first."""
        feature = self.features.get(column)
        known = self.read_from
        return known[feature.source] if feature and feature.source else next(iter(known.values()))

    @property
    def predictors(self) -> list[str]:
        """Names of the features known at baseline, in declared order: the only ones a model may use."""
        return [name for name, feature in self.features.items() if feature.known is Known.BASELINE]

    @property
    def survival(self) -> SurvivalEndpoint | None:
        """The endpoint where it has a time, else None."""
        return self.endpoint if isinstance(self.endpoint, SurvivalEndpoint) else None

    @property
    def volumes(self) -> DceMri | None:
        """Images that a candidate looks at."""
        return self.images if isinstance(self.images, DceMri) else None

    @property
    def films(self) -> Mammogram | None:
        """Images that a reader proposes values of features from."""
        return self.images if isinstance(self.images, Mammogram) else None

    @property
    def outcome_columns(self) -> list[str]:
        """The columns of the source that hold the outcome: events, and times where the endpoint has them."""
        return self.endpoint.columns

    @property
    def needed_columns(self) -> dict[str, str]:
        """The columns that the sources have to have, and what each is needed for."""
        needed = {
            **{self.source_column(name): f"feature {name}" for name in self.features},
            **{exclusion.column: "an exclusion" for exclusion in self.exclusions},
            self.endpoint.event: "the endpoint's event",
        }
        spans = [item for item in self.features.items() if isinstance(item[1], Numeric) and item[1].from_]
        needed |= {item.from_: f"feature {name}" for name, item in spans if isinstance(item, Numeric) and item.from_}
        needed |= {column: "the endpoint" for column in self.outcome_columns if column not in needed}
        if self.survival and self.survival.from_:
            needed[self.survival.from_] = "the endpoint's from"
        roles = [(self.patient, "patient"), *((column, "view") for column in self.view), (self.site, "site")]
        return needed | {column: f"the {role}" for column, role in roles if column}

    def numeric(self, names: list[str]) -> list[str]:
        """Those of ``names`` that are numbers."""
        return [name for name in names if isinstance(self.features[name], Numeric)]

    def categorical(self, names: list[str]) -> list[str]:
        """Those of ``names`` that are ordinal or nominal."""
        return [name for name in names if isinstance(self.features[name], Categorical)]

    def source_column(self, name: str) -> str:
        """The column of the source that holds feature ``name``; of a time between two dates, the last one's."""
        feature = self.features[name]
        return (isinstance(feature, Numeric) and feature.to) or feature.column or name

    def label(self, name: str) -> str:
        """A feature's name for people, with its unit."""
        feature = self.features[name]
        text = feature.label or name
        return f"{text} ({feature.unit})" if isinstance(feature, Numeric) and feature.unit else text


def _split(value: Any, *, groups: bool) -> Any:
    """The groups among the declared features, or the others."""
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if is_group(str(key), item) == groups}
