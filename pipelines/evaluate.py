"""Stage *evaluate*: metrics with intervals, paired tests and all figures, from predictions tables alone."""

from relapse.cohorts.catalogue import read_cohort
from relapse.console import say, stage
from relapse.evaluation.curves import curves
from relapse.evaluation.evidence import endpoint_of, gather, write_evidence
from relapse.files import read_json, write_csv, write_json
from relapse.predictions import read_predictions
from relapse.report.figures import draw, read_curves
from relapse.settings import Workspace, read_params


def main(cohort: str) -> None:
    """Evaluate and compare the candidates of a cohort."""
    at, params = Workspace(cohort), read_params()
    endpoint = endpoint_of(read_cohort(at.declaration))
    tables = {
        name: read_predictions(at.predictions(name), risks=endpoint.risk_columns, timed=endpoint.timed)
        for name in at.succeeded(params.candidates)
    }
    evidence = gather(tables, endpoint, cohort=cohort, resamples=params.evaluate.resamples, seed=params.seed)
    for name, table in tables.items():
        for figure, frame in curves(table, endpoint).items():
            write_csv(at.curves / figure / f"{name}.csv", frame)
    titles = {name: read_json(at.record(name))["title"] for name in tables}
    draw(at.figures, read_curves(at.curves), evidence, flow=read_json(at.flow), titles=titles)
    write_evidence(at.evidence, evidence)
    for name, numbers in evidence.headline().items():
        write_json(at.metrics / f"{name}.json", numbers)
    best = evidence.best.metrics[evidence.primary]
    label = evidence.primary_label
    say(f"{cohort}: best {label} {best.value:.3f} ({best.lower:.3f} to {best.upper:.3f}), {evidence.best.name}")


if __name__ == "__main__":
    stage(main)
