"""Stage *evaluate*: metrics with intervals, paired tests and all figures, from predictions tables alone."""

from dataclasses import replace

import pandas as pd

from relapse.added_value.evidence import read_added_value
from relapse.cohorts.catalogue import read_cohort
from relapse.cohorts.declared.silence import silenced
from relapse.evaluation.evidence import endpoint_of, gather
from relapse.figures.evaluation.files import write_evaluation
from relapse.ground.console import say, stage
from relapse.ground.files import read_json, write_json
from relapse.ground.workspace import Workspace
from relapse.params import read_params
from relapse.predictions import read_predictions
from relapse.promotion.policy import put_forward


def main(cohort: str) -> None:
    """Evaluate and compare the candidates of a cohort."""
    at, params = Workspace(cohort), read_params()
    declared = read_cohort(at.resolved)
    endpoint = endpoint_of(declared)
    tables = {
        name: read_predictions(at.predictions(name), risks=endpoint.risk_columns, timed=endpoint.timed)
        for name in at.succeeded(params.candidates)
    }
    evidence = gather(tables, endpoint, cohort=cohort, resamples=params.evaluate.resamples, seed=params.seed)
    # Figures that can show one candidate show the one that the policy will put forward, whoever is champion by then.
    added = read_added_value(at.added_value)
    chosen = put_forward(evidence, tables, cohort=declared, params=params.register_, seed=params.seed, added=added)
    evidence = replace(evidence, put_forward=chosen, findings=silenced(evidence.findings, declared.silence))
    write_evaluation(
        tables,
        evidence,
        to_evidence=at.evidence,
        to_plots=at.curves,
        to_figures=at.figures,
        titles={name: read_json(at.record(name))["title"] for name in tables},
        flow=read_json(at.flow),
        columns={name: declared.features[name].label or name for name in declared.subgroups},
        trials={name: pd.read_parquet(at.trials(name)) for name in tables},
    )
    for name, numbers in evidence.headline().items():
        write_json(at.metrics / f"{name}.json", numbers)
    for finding in evidence.findings:
        say(f"{cohort}: {finding}")
    best = evidence.best.metrics[evidence.primary]
    label = evidence.primary_label
    say(f"{cohort}: best {label} {best.value:.3f} ({best.lower:.3f} to {best.upper:.3f}), {evidence.best.name}")
    say(f"{cohort}: {chosen} is put forward")


if __name__ == "__main__":
    stage(main)
