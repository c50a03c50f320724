"""Stage *ingest*: the declared source becomes the canonical table, with a record of every row left out."""

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import ingest
from relapse.ground.console import say, stage
from relapse.ground.files import write_json, write_parquet
from relapse.ground.workspace import Workspace


def main(cohort: str) -> None:
    """Read the source of a cohort into its canonical table."""
    at = Workspace(cohort)
    table, flow = ingest(read_cohort(at.declaration), root=at.root)
    write_parquet(at.table, table)
    write_json(at.flow, flow.to_json())
    say(f"{cohort}: {flow.rows_read} rows read, {flow.rows_kept} kept, {flow.patients_kept} patients")


if __name__ == "__main__":
    stage(main)
