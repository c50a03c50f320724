"""Evidence as tables on a terminal."""

from typing import TYPE_CHECKING

from relapse.evaluation.evidence import Evidence
from relapse.evaluation.statistics.calibration.updating import Update
from relapse.evaluation.statistics.results import Estimate
from relapse.wording import number, p_value, people

if TYPE_CHECKING:
    from rich.table import Table


def show_evidence(evidence: Evidence) -> None:
    """Print what was found: what looks wrong in the predictions, metrics, calibration, paired tests and subgroups."""
    from rich.console import Console

    console = Console(width=None if Console().is_terminal else 160)
    console.print(f"{people(evidence.size)}; 95% intervals from {evidence.resamples} resamples of patients")
    for finding in evidence.findings:
        console.print(str(finding), markup=False, highlight=False, style="bold")
    for table in (_metrics(evidence), _calibration(evidence), _tests(evidence), _subgroups(evidence)):
        if table.row_count:
            console.print(table)


def show_update(update: Update) -> None:
    """Print which update the patients ask for, and the tests that it was chosen by."""
    from rich.console import Console

    table = _table(f"Closed test of updates, the largest: {update.largest}", "against", "χ²", "degrees of freedom", "p")
    for step in update.steps:
        table.add_row(step.against, number(step.statistic), str(step.freedom), p_value(step.p))
    console = Console(width=None if Console().is_terminal else 160)
    console.print(table)
    console.print(
        f"These patients ask for the model {update.chosen} (intercept {number(update.intercept)}, slope "
        f"{number(update.slope)}; 0 and 1 leave it as it is).",
        markup=False,
        highlight=False,
    )


def _table(title: str, *columns: str) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column)
    return table


def _metrics(evidence: Evidence) -> "Table":
    table = _table("Metrics (pooled out-of-fold)", "metric", *(item.name for item in evidence.candidates))
    for metric in evidence.endpoint.metrics:
        cells = [_cell(item.metrics[metric.key]) for item in evidence.candidates]
        table.add_row(metric.label + ("" if metric.higher_is_better else " ↓"), *cells)
    means = [number(item.mean_over_folds) for item in evidence.candidates]
    table.add_row(f"{evidence.primary_label}, mean over folds", *means)
    return table


def _calibration(evidence: Evidence) -> "Table":
    table = _table(
        "Calibration", "candidate", "risk", "slope (1)", "in the large (0)", "observed / expected (1)", "ICI (0)"
    )
    for item in evidence.candidates:
        for column, found in item.calibration.items():
            cells = [_cell(found.slope), _cell(found.in_the_large), _cell(found.observed_expected), number(found.ici)]
            table.add_row(item.name, column, *cells)
    return table


def _tests(evidence: Evidence) -> "Table":
    table = _table("Paired tests (first minus second)", "compared", "pair", "difference", "p", "p, Holm", "test")
    labels = {metric.key: metric.label for metric in evidence.endpoint.metrics}
    for item in evidence.comparisons:
        difference = _cell(Estimate(item.test.difference, item.test.lower, item.test.upper))
        pair = f"{item.first} - {item.second}"
        compared = labels.get(item.metric, item.metric)
        table.add_row(compared, pair, difference, p_value(item.test.p), p_value(item.p_holm), item.test.method)
    return table


def _subgroups(evidence: Evidence) -> "Table":
    columns = ("subgroup", "level", "patients", "with the event", *(item.name for item in evidence.candidates))
    table = _table(f"{evidence.primary_label} by subgroup", *columns)
    for same in zip(*(item.subgroups for item in evidence.candidates), strict=True):
        first = same[0]
        cells = [_cell(item.metrics[evidence.primary]) if item.metrics else item.note for item in same]
        table.add_row(first.column, first.level, str(first.patients), str(first.size.with_event), *cells)
    return table


def _cell(estimate: Estimate) -> str:
    text = number(estimate.value)
    if estimate.lower == estimate.lower and estimate.upper == estimate.upper:
        text += f" ({number(estimate.lower)} to {number(estimate.upper)})"
    return text
