"""Stage *ingest*: the declared sources become the canonical table, with a record of every row left out."""

from relapse.cohorts.catalogue import read_cohort, to_yaml
from relapse.cohorts.table import ingest
from relapse.ground.console import say, stage
from relapse.ground.files import write_json, write_parquet, write_text
from relapse.ground.workspace import Workspace


def main(cohort: str) -> None:
    """Read the sources of a cohort into its canonical table, and write its declaration with their columns known."""
    at = Workspace(cohort)
    table, flow, resolved = ingest(read_cohort(at.declaration), root=at.root)
    write_parquet(at.table, table)
    write_text(at.resolved, to_yaml(resolved))
    write_json(at.flow, flow.to_json())
    say(f"{cohort}: {flow.rows_read} rows read, {flow.rows_kept} kept, {flow.patients_kept} patients")


if __name__ == "__main__":
    stage(main)
