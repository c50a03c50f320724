"""Stage *audit*: what naive protocols would report of the candidates, beside what the honest one finds."""

from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.table import read_table
from relapse.figures.audit import optimism_figure
from relapse.figures.style import save
from relapse.ground.console import say, stage
from relapse.ground.files import write_csv, write_json
from relapse.ground.workspace import Workspace
from relapse.machinery import machinery
from relapse.params import read_params
from relapse.training.audit import audit


def main(cohort: str) -> None:
    """Audit the protocols of a cohort."""
    at, params = Workspace(cohort), read_params()
    declared = read_cohort(at.resolved)
    found = audit(
        read_table(at.table, declared), declared, params=params.audit, seed=params.seed, machinery=machinery()
    )
    write_csv(at.optimism, found.optimism)
    figure = optimism_figure(found.optimism, found.protocols, metric=found.metric, title=declared.title)
    save(figure, at.of("audit") / "optimism")
    write_json(at.audit, found.to_json())
    say(f"{cohort}: largest optimism {found.optimism['optimism'].max():.3f} {found.metric}")


if __name__ == "__main__":
    stage(main)
