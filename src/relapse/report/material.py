"""What the documents on a cohort are written from: the files of the stages before, read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from relapse.added_value.evidence import AddedValue, read_added_value
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.schema import Cohort
from relapse.evaluation.evidence import Evidence, read_evidence
from relapse.ground.files import read_json
from relapse.ground.workspace import Workspace

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Material:
    """All that is known of a cohort and its models once the decision has been made.

    ``flow``, ``gate``, ``decision`` are the content of their JSON files; ``records`` are training records by candidate,
    ``failed`` the errors of candidates that could not be trained, by title; ``left_out`` those that the budget leaves
    out; ``table_one`` are the lines of Table 1; ``audit`` is what the leakage audit found and ``added`` what blocks
    add, None where that was not run; ``explained`` are the summaries of explained candidates, below the folder
    ``explanations``; ``regression`` are ratios and equation of the linear ones, None where that was not run;
    ``pictures`` are folders of figures.
    """

    cohort: Cohort
    flow: Json
    gate: Json
    evidence: Evidence
    decision: Json
    records: Mapping[str, Json]
    failed: Mapping[str, str]
    left_out: tuple[str, ...] = ()
    table_one: Sequence[Json] = ()
    audit: Json | None = None
    added: AddedValue | None = None
    explained: Mapping[str, Json] = field(default_factory=dict)
    explanations: Path | None = None
    regression: Json | None = None
    pictures: tuple[Path, ...] = ()

    @classmethod
    def read(cls, at: Workspace, candidates: tuple[str, ...], *, decision: Json) -> "Material":
        """Read the files of a cohort's stages."""
        every: dict[str, Json] = {name: read_json(at.record(name)) for name in candidates}
        records = {name: record for name, record in every.items() if not record.keys() & {"not_for", "left_out"}}
        return cls(
            cohort=read_cohort(at.resolved),
            flow=read_json(at.flow),
            gate=read_json(at.gate),
            evidence=read_evidence(at.evidence),
            decision=decision,
            records={name: record for name, record in records.items() if "failed" not in record},
            left_out=tuple(name for name, record in every.items() if "left_out" in record),
            failed={record["title"]: record["failed"] for record in records.values() if "failed" in record},
            table_one=read_json(at.table_one),
            audit=read_json(at.audit),
            added=read_added_value(at.added_value),
            explained={
                name: read_json(at.explanation(name)) for name, record in records.items() if "failed" not in record
            },
            explanations=at.of("explain"),
            regression=read_json(at.regression),
            pictures=(at.figures, at.description_figures, at.of("explain"), at.of("audit"), at.added_value_figures),
        )

    def after(self, decision: Json) -> "Material":
        """The same once ``decision`` was carried out."""
        return replace(self, decision=decision)

    @property
    def titles(self) -> dict[str, str]:
        """Candidate names for people."""
        return {item.name: self.records.get(item.name, {}).get("title", item.name) for item in self.evidence.candidates}

    @property
    def folders(self) -> list[Path]:
        """Folders of the report's figures, those that explain the candidate put forward last."""
        return [*self.pictures, *([self.explanations / self.put_forward] if self.explanations else [])]

    @property
    def put_forward(self) -> str:
        """The candidate that stands for the model of this run, whoever is champion."""
        return str(self.evidence.put_forward or self.decision["challenger"])
