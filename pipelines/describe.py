"""Stage *describe*: Table 1 and the figures of the table itself, before any model."""

from dataclasses import asdict

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import read_table
from relapse.description.frames import FRAMES
from relapse.description.table_one import table_one
from relapse.figures.description import description_figures
from relapse.figures.style import save
from relapse.ground.console import say, stage
from relapse.ground.files import write_csv, write_json
from relapse.ground.workspace import Workspace


def main(cohort: str) -> None:
    """Describe the table of a cohort."""
    at = Workspace(cohort)
    whole = read_cohort(at.resolved)
    table, declared = read_table(at.table, whole), whole.one_by_one
    frames = {name: frame(table, declared) for name, frame in FRAMES.items()}
    for name, frame in frames.items():
        write_csv(at.description / f"{name}.csv", frame)
    for name, figure in description_figures(frames, declared).items():
        save(figure, at.description_figures / name)
    write_json(at.table_one, [asdict(line) for line in table_one(table, declared)])
    together = "".join(f", {count} of {whole.block_title(name)} left out" for name, count in whole.wide_blocks.items())
    say(f"{cohort}: {len(declared.features)} features described{together}")


if __name__ == "__main__":
    stage(main)
