"""The result of a look: everything watched, what was found, and how it came about; as JSON and for Prometheus."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from relapse.ground.finding import Finding
from relapse.monitoring.monitored import Monitored
from relapse.monitoring.over_time import shown_features, shown_performance, shown_risks
from relapse.monitoring.performance import Known
from relapse.monitoring.served import ENOUGH, Served
from relapse.monitoring.streams import LEVEL, Judged
from relapse.monitoring.told import told
from relapse.monitoring.watching import watch


@dataclass(frozen=True, slots=True)
class Subject:
    """What is monitored, for people: model and version, the cohort's title, names of features, which may be missing."""

    model: str
    version: str
    title: str
    cohort: str
    labels: Mapping[str, str]
    may_lack: Collection[str]


@dataclass(frozen=True, slots=True)
class Looked:
    """The result of a look.

    ``answers`` are those read, of which ``served`` has each patient once; ``others`` are answers of other models in the
    same store, ``left_out`` rows of a table that no service would have answered. ``until`` is the day of the look.
    """

    subject: Subject
    training: Monitored
    served: Served
    known: Known | None
    until: str
    level: float
    answers: int
    others: Mapping[str, int]
    left_out: int
    judged: tuple[Judged, ...]
    findings: tuple[Finding, ...]
    features: pd.DataFrame = field(repr=False)
    risks: pd.DataFrame = field(repr=False)
    performance: pd.DataFrame = field(repr=False)

    @property
    def verdict(self) -> str:
        """The answer in one sentence."""
        patients = f"{len(self.served)} patients"
        if len(self.served) < ENOUGH:
            return f"Too few to say anything: {patients}, and {ENOUGH} are needed. No alarm."
        alarmed = len(self.findings)
        if not alarmed:
            return f"No alarm: nothing found among {patients} that is not as in the training."
        return f"{alarmed} {'alarm' if alarmed == 1 else 'alarms'} among {patients}."

    @property
    def of_outcomes(self) -> str:
        """What is said of outcomes, in a sentence or two."""
        if self.training.outcomes is None:
            return "The training had too few patients of either outcome by this horizon to watch outcomes."
        if self.known is None:
            return "No outcomes were given."
        events = int(self.known.event.sum())
        said = f"{len(self.known.rows)} patients have an outcome that counts, {events} of them the event."
        if len(self.known.rows) < ENOUGH:
            said += f" Too few to say anything: {ENOUGH} are needed."
        said += f" {self.known.without} of their time have none in the table." if self.known.without else ""
        if self.known.lost:
            said += (
                f" {self.known.lost} were lost before the horizon; {self.known.left_out} events are left out so that "
                "both are lost alike."
            )
        return said

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a JSON file."""
        return {
            "model": self.subject.model,
            "version": self.subject.version,
            "cohort": self.subject.cohort,
            "until": self.until,
            "alarm": bool(self.findings),
            "verdict": self.verdict,
            "outcomes": self.of_outcomes,
            "false_alarm": self.level,
            "answers": self.answers,
            "patients": len(self.served),
            "first_day": str(self.served.day[0]) if len(self.served) else None,
            "last_day": str(self.served.day[-1]) if len(self.served) else None,
            "of_other_models": dict(self.others),
            "left_out": self.left_out,
            "findings": [{"code": item.code, "column": item.column, "message": item.message} for item in self.findings],
            "streams": [
                {
                    "code": item.stream.code.code,
                    "column": item.stream.column,
                    "watched": item.stream.title,
                    "kind": item.stream.kind.value,
                    "patients": len(item.stream.rows),
                    "log10_evidence": evidence(item),
                    "p_adjusted": item.adjusted,
                    "alarm": str(item.alarm.day) if item.alarm else None,
                    "since": str(item.alarm.since) if item.alarm else None,
                }
                for item in self.judged
            ],
            "features": self.features.to_dict(orient="records"),
            "risks": self.risks.to_dict(orient="records"),
            "performance": self.performance.to_dict(orient="records"),
        }

    def exposition(self) -> str:
        """The look as Prometheus reads it, for the textfile collector of its node exporter."""
        # A version is named by people.
        version = self.subject.version.replace("\\", "\\\\").replace('"', '\\"')
        same = f'cohort="{self.subject.cohort}",version="{version}"'
        lines = [
            "# HELP relapse_monitor_alarm Whether a stream raised an alarm.",
            "# TYPE relapse_monitor_alarm gauge",
            *(f"relapse_monitor_alarm{{{_labels(item, same)}}} {int(item.alarm is not None)}" for item in self.judged),
            "# HELP relapse_monitor_evidence_log10 Largest capital won by betting on drift, as a power of ten.",
            "# TYPE relapse_monitor_evidence_log10 gauge",
            *(f"relapse_monitor_evidence_log10{{{_labels(item, same)}}} {evidence(item):.4f}" for item in self.judged),
            "# HELP relapse_monitor_patients Patients looked at; with an outcome that counts.",
            "# TYPE relapse_monitor_patients gauge",
            f'relapse_monitor_patients{{{same},outcome="any"}} {len(self.served)}',
            f'relapse_monitor_patients{{{same},outcome="known"}} {len(self.known.rows) if self.known else 0}',
            "# HELP relapse_monitor_last_day_timestamp_seconds Last day on which somebody was answered.",
            "# TYPE relapse_monitor_last_day_timestamp_seconds gauge",
        ]
        if len(self.served):
            seconds = int(self.served.day[-1].astype("datetime64[s]").astype(np.int64))
            lines.append(f"relapse_monitor_last_day_timestamp_seconds{{{same}}} {seconds}")
        return "\n".join(lines) + "\n"


def look(
    subject: Subject,
    training: Monitored,
    answers: Served,
    known: Known | None,
    *,
    until: str,
    others: Mapping[str, int],
    left_out: int,
    count: int,
    level: float = LEVEL,
) -> Looked:
    """Look at ``answers``, each patient once; ``count`` is how many answers there were with those asked again."""
    judged = watch(answers, training, known, labels=dict(subject.labels), may_lack=subject.may_lack, level=level)
    findings = tuple(
        item.stream.code.found(item.stream.column, told(item, answers, training, known))
        for item in judged
        if item.alarm
    )
    enough = len(answers) >= ENOUGH
    outcomes = training.outcomes if enough and known is not None and len(known.rows) >= ENOUGH else None
    return Looked(
        subject=subject,
        training=training,
        served=answers,
        known=known,
        until=until,
        level=level,
        answers=count,
        others=others,
        left_out=left_out,
        judged=tuple(judged),
        findings=findings,
        features=shown_features(answers, training) if enough else pd.DataFrame(),
        risks=shown_risks(answers) if enough else pd.DataFrame(),
        performance=shown_performance(known, outcomes) if outcomes and known is not None else pd.DataFrame(),
    )


def evidence(item: Judged) -> float:
    """The largest capital so far, as a power of ten."""
    return float(np.max(item.stream.logs, initial=0.0) / np.log(10))


def _labels(item: Judged, same: str) -> str:
    return f'{same},code="{item.stream.code.code}",feature="{item.stream.column}"'
