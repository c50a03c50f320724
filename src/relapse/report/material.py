"""What the documents on a cohort are written from: the files of the stages before, read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.schema import Cohort
from relapse.evaluation.evidence import Evidence, read_evidence
from relapse.files import read_json
from relapse.settings import Workspace

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Material:
    """All that is known of a cohort and its models once the decision has been made.

    ``flow``, ``gate``, ``decision`` are the content of their JSON files; ``records`` are training records by candidate,
    ``failed`` the errors of candidates that could not be trained, by title; ``figures`` is a folder of pictures.
    """

    cohort: Cohort
    flow: Json
    gate: Json
    evidence: Evidence
    decision: Json
    records: Mapping[str, Json]
    failed: Mapping[str, str]
    figures: Path

    @classmethod
    def read(cls, at: Workspace, candidates: tuple[str, ...], *, decision: Json) -> "Material":
        """Read the files of a cohort's stages."""
        records: dict[str, Json] = {name: read_json(at.record(name)) for name in candidates}
        return cls(
            cohort=read_cohort(at.declaration),
            flow=read_json(at.flow),
            gate=read_json(at.gate),
            evidence=read_evidence(at.evidence),
            decision=decision,
            records={name: record for name, record in records.items() if "failed" not in record},
            failed={record["title"]: record["failed"] for record in records.values() if "failed" in record},
            figures=at.figures,
        )

    @property
    def titles(self) -> dict[str, str]:
        """Candidate names for people."""
        return {item.name: self.records.get(item.name, {}).get("title", item.name) for item in self.evidence.candidates}

    @property
    def champion(self) -> str:
        """The candidate that the champion is, or the one put forward where the champion is none of this run's."""
        found = self.decision.get("champion")
        return str(found["candidate"] if found and found["candidate"] in self.records else self.decision["challenger"])
