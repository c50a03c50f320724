"""Two small cohorts with seeded predictions of three candidates, and everything that a report is made from."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relapse.cohorts.schema import Cohort
from relapse.evaluation.curves import curves
from relapse.evaluation.evidence import Evidence, endpoint_of, gather
from relapse.figures.evaluation.catalogue import Curves, draw, read_curves
from relapse.ground.files import write_csv
from relapse.report.material import Material
from relapse.report.page.page import build_report

#: Text that would break a page, or be read as mathematics, if it were taken for anything but text.
HOSTILE = "<script>alert('x')</script> & \"quoted\" $x^{2$ </figcaption> {{ 7 * 7 }}"

STRENGTH = {"reference": 0.5, "linear": 1.5, "forest": 0.7}


@dataclass(frozen=True)
class Made:
    """The inputs of a report, and the folder with its frames and figures."""

    cohort: Cohort
    evidence: Evidence
    flow: dict[str, Any]
    gate: dict[str, Any]
    decision: dict[str, Any]
    records: dict[str, dict[str, Any]]
    frames: Curves
    folder: Path

    @property
    def titles(self) -> dict[str, str]:
        """Candidate name to title."""
        return {name: record["title"] for name, record in self.records.items()}

    def draw(self, folder: Path) -> list[str]:
        """Draw all figures into a folder."""
        return draw(folder, self.frames, self.evidence, flow=self.flow, titles=self.titles)

    @property
    def material(self) -> Material:
        """What documents are written from."""
        return Material(
            cohort=self.cohort,
            flow=self.flow,
            gate=self.gate,
            evidence=self.evidence,
            decision=self.decision,
            records=self.records,
            failed={},
            pictures=(self.folder,),
        )

    def page(self, **changed: Any) -> str:
        """Build the report."""
        return build_report(replace(self.material, **changed))


def make(cohort: Cohort, folder: Path, *, rows: int = 150, rows_per_patient: int = 1) -> Made:
    """Everything that a report of a cohort needs, from seeded predictions."""
    endpoint = endpoint_of(cohort)
    tables = _tables(cohort, rows=rows, rows_per_patient=rows_per_patient)
    evidence = gather(tables, endpoint, cohort=cohort.name, resamples=100, seed=1)
    for name, table in tables.items():
        for figure, frame in curves(table, endpoint).items():
            write_csv(folder / "plots" / figure / f"{name}.csv", frame)
    excluded = [{"reason": HOSTILE, "rows": 4}, {"reason": "no outcome recorded (event)", "rows": 2}]
    made = Made(
        cohort=cohort,
        evidence=evidence,
        flow={
            "source": "mine.csv",
            "fingerprint": "sha256:00",
            "rows_read": rows + 6,
            "excluded": excluded,
            "rows_kept": rows,
            "patients_kept": evidence.patients,
        },
        gate={
            "passed": True,
            "verdicts": [
                {"column": "size", "rule": "not missing", "passed": True, "violations": 0, "silenced": ""},
                {
                    "code": "D008",
                    "column": "size",
                    "rule": "between 1 and 9 mm",
                    "passed": False,
                    "violations": 2,
                    "silenced": HOSTILE,
                },
            ],
            "findings": [
                {"code": "L004", "severity": "warning", "column": "size", "message": HOSTILE, "silenced": HOSTILE}
            ],
        },
        decision={
            "cohort": cohort.name,
            "challenger": evidence.best.name,
            "challenger_title": "Elastic net",
            "champion_before": {"version": "1", "candidate": "svm"},
            "champion": {"version": "2", "candidate": "linear"},
            "promoted": True,
            "summary": "it keeps every rule",
            "rules": [
                {"name": "beats chance", "requirement": HOSTILE, "figure": "0.61", "passed": True},
                {"name": "beats champion", "requirement": "p < 0.05", "figure": "p = 0.2", "passed": False},
            ],
            "content_hash": "ab" * 32,
        },
        records={name: _record(name) for name in tables},
        frames=read_curves(folder / "plots"),
        folder=folder / "figures",
    )
    made.draw(made.folder)
    return made


def _tables(cohort: Cohort, *, rows: int, rows_per_patient: int) -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(7)
    hidden = rng.normal(size=rows)
    known = pd.DataFrame({"row": np.arange(1, rows + 1), "site": "", "repeat": 0, "fold": np.arange(rows) % 5})
    known["subgroup_grade"] = np.where(np.arange(rows) % 10, np.where(np.arange(rows) % 2, "I", "II"), "III")
    known["patient"] = (np.arange(rows) // rows_per_patient).astype(str)
    if cohort.survival:
        time = rng.exponential(5 * np.exp(-hidden))
        end = rng.uniform(1, 9, rows)
        known["time"], known["event"] = np.minimum(time, end), (time <= end).astype(int)
    else:
        known["event"] = (rng.random(rows) < 1 / (1 + np.exp(1 - 1.5 * hidden))).astype(int)
    tables = {}
    for name, strength in STRENGTH.items():
        score = strength * hidden + rng.normal(size=rows)
        risk = 1 / (1 + np.exp(1 - score))
        table = known.assign(score=score)
        for place, column in enumerate(cohort.endpoint.risk_columns):
            table[column] = 1 - (1 - risk) ** (1 + place)
        tables[name] = table if cohort.survival else table.assign(threshold=0.3)
    return tables


def _record(name: str) -> dict[str, Any]:
    return {
        "candidate": name,
        "title": {"reference": "Clinical reference", "linear": "Elastic net", "forest": "Random forest"}[name],
        "description": "A model.",
        "seed": 11,
        "settings": {"inner_folds": 3, "trials": 5},
        "params": {} if name == "reference" else {"C": 0.123456, "scaling": "standard"},
        "threshold": 0.3,
        "trials": 30,
        "failed_trials": 0,
        "folds": [{"repeat": 0, "fold": fold, "params": {}} for fold in range(5)],
        "seconds": 1.0,
        "versions": {"python": "3.11.7", "numpy": "2.4.6"},
    }


def _declared(**changed: Any) -> Cohort:
    content = {
        "name": "mine",
        "title": HOSTILE,
        "source": {"csv": "mine.csv"},
        "licence": "CC BY 4.0",
        "citation": "Someone. doi:10.1000/1. See https://example.org/paper",
        "endpoint": {"kind": "binary", "event": "event", "label": HOSTILE},
        "features": {
            "size": {"type": "continuous", "unit": "mm", "range": [1, 100], "label": HOSTILE},
            "grade": {"type": "ordinal", "levels": ["I", "II", "III"], "description": HOSTILE},
            "response": {"type": "nominal", "levels": ["no", "yes"], "known": "after"},
        },
        "reference": ["size"],
    }
    return Cohort.model_validate(content | changed)


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make a cohort with a yes-or-no endpoint."""
    return make(_declared(), tmp_path_factory.mktemp("binary"))


@pytest.fixture(scope="session")
def survival(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make a cohort with a time to the event, in years."""
    endpoint = {"kind": "survival", "time": "t", "event": "event", "unit": "year", "horizons": ["3 y", "5 y"]}
    return make(_declared(endpoint=endpoint), tmp_path_factory.mktemp("survival"))


@pytest.fixture(scope="session")
def paired_rows(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make a cohort with a yes-or-no endpoint and two rows a patient."""
    return make(_declared(patient="id"), tmp_path_factory.mktemp("paired"), rows_per_patient=2)
