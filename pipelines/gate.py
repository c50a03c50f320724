"""Stage *gate*: the table has to keep every rule of its declaration, or the pipeline ends here."""

import pandas as pd

from relapse.cohorts.catalogue import read_cohort
from relapse.ground.console import say, stage
from relapse.ground.files import write_json
from relapse.ground.workspace import Workspace
from relapse.params import read_params
from relapse.quality.accepted import read_accepted
from relapse.quality.checks.context import Context
from relapse.quality.gate import check


def main(cohort: str) -> None:
    """Hold the canonical table of a cohort against its declaration, and write the Data Docs."""
    at = Workspace(cohort)
    declared = read_cohort(at.resolved)
    context = Context.of(read_params(), read_accepted(at.accepted))
    result = check(pd.read_parquet(at.table), declared, docs=at.data_docs, context=context)
    write_json(at.gate, result.to_json())
    result.require(source=f"{at.declaration}: the table")
    for finding in result.told:
        say(f"{cohort}: {finding}")
    say(f"{cohort}: {sum(verdict.passed for verdict in result.verdicts)} rules kept")


if __name__ == "__main__":
    stage(main)
