"""Stage *report*: one page a cohort, from the files of the stages before."""

from relapse.cohorts.catalogue import read_cohort
from relapse.console import say, stage
from relapse.evaluation.evidence import read_evidence
from relapse.files import read_json, write_text
from relapse.report.document import build_report
from relapse.settings import Workspace, read_params


def main(cohort: str) -> None:
    """Write the report of a cohort."""
    at = Workspace(cohort)
    records = {name: read_json(at.record(name)) for name in read_params().candidates}
    page = build_report(
        read_cohort(at.declaration),
        flow=read_json(at.flow),
        gate=read_json(at.gate),
        evidence=read_evidence(at.evidence),
        decision=read_json(at.decision),
        records={name: record for name, record in records.items() if "failed" not in record},
        failed={record["title"]: record["failed"] for record in records.values() if "failed" in record},
        figures=at.figures,
    )
    write_text(at.report, page)
    say(f"{cohort}: {at.report}")


if __name__ == "__main__":
    stage(main)
