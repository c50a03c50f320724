"""The tables of the report's page, as text cells; every number is the evidence's, written by one rule."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from relapse.cohorts.declared.features import Categorical, Known
from relapse.cohorts.schema import Cohort
from relapse.evaluation.evidence import Comparison, Evidence
from relapse.evaluation.metrics import Metric
from relapse.evaluation.statistics.results import Estimate
from relapse.wording import horizon_words, interval, number, p_value

#: Features of the table of importance.
MOST = 12


@dataclass(frozen=True, slots=True)
class Cell:
    """A number of a table with its interval, as text; ``interval`` is empty where there is none."""

    value: str
    interval: str = ""


@dataclass(frozen=True, slots=True)
class Tests:
    """A table of paired tests of one kind."""

    title: str
    measure: str
    rows: list[tuple[str, Cell, str, str]]


def results_table(evidence: Evidence, titles: Mapping[str, str]) -> list[tuple[str, list[Cell]]]:
    """Give a row a candidate: its title, every metric with its interval, the mean over the folds with its range."""
    rows = []
    for item in evidence.candidates:
        cells = [estimate_cell(item.metrics[metric.key]) for metric in evidence.endpoint.metrics if metric.headline]
        known = [value for value in item.primary_by_fold if math.isfinite(value)]
        span = f"{number(min(known))} to {number(max(known))}" if known else ""
        rows.append((titles[item.name], [*cells, Cell(number(item.mean_over_folds), span)]))
    return rows


def folds_table(evidence: Evidence, titles: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Give a row a candidate: each headline metric as studies print it, mean ± standard deviation over the folds."""
    rows = []
    for item in evidence.candidates:
        folds = {evidence.primary: item.primary_by_fold, **item.headline_by_fold}
        headline = [metric.key for metric in evidence.endpoint.metrics if metric.headline]
        rows.append((titles[item.name], [_mean_and_spread(folds.get(key, ())) for key in headline]))
    return rows


def _mean_and_spread(values: Sequence[float]) -> str:
    known = [value for value in values if math.isfinite(value)]
    return f"{number(fmean(known))} ± {number(stdev(known))}" if len(known) > 1 else "–"


def further_table(evidence: Evidence, titles: Mapping[str, str], metrics: list[Metric]) -> list[tuple[str, list[Cell]]]:
    """Give a row a candidate with the metrics that do not lead the results table."""
    return [
        (titles[item.name], [estimate_cell(item.metrics[metric.key]) for metric in metrics])
        for item in evidence.candidates
    ]


def calibration_table(evidence: Evidence, titles: Mapping[str, str]) -> list[tuple[str, str, list[Cell]]]:
    """Give a row a candidate and horizon: slope, in the large, observed over expected, integrated calibration index."""
    rows = []
    for item in evidence.candidates:
        for found in item.calibration.values():
            estimates = (found.slope, found.in_the_large, found.observed_expected)
            cells = [*(estimate_cell(estimate) for estimate in estimates), Cell(number(found.ici))]
            rows.append(
                (titles[item.name], horizon_words(found.label.removeprefix("at ")) if found.label else "", cells)
            )
    return rows


def subgroup_table(evidence: Evidence) -> list[tuple[str, str, int, int, list[Cell]]]:
    """Give a row a subgroup: column, level, patients, those with the event, and each candidate's ranking metric.

    Where there is none, the cell says why.
    """
    rows = []
    for same in zip(*(item.subgroups for item in evidence.candidates), strict=True):
        cells = [
            estimate_cell(item.metrics[evidence.primary]) if item.metrics else Cell("not given", item.note)
            for item in same
        ]
        rows.append((same[0].column, same[0].level, same[0].patients, same[0].size.with_event, cells))
    return rows


def estimate_cell(estimate: Estimate) -> Cell:
    """Make a cell of an estimate."""
    return Cell(number(estimate.value), interval(estimate.lower, estimate.upper))


def tests_tables(evidence: Evidence, titles: Mapping[str, str]) -> list[Tests]:
    """The paired tests, one table a kind: of the ranking metric, and of decisions where there are any."""
    labels = {metric.key: metric.label for metric in evidence.endpoint.metrics}
    tables = []
    for key in dict.fromkeys(item.metric for item in evidence.comparisons):
        found = [item for item in evidence.comparisons if item.metric == key]
        methods = ", ".join(sorted({item.test.method for item in found}))
        tables.append(Tests(methods, labels.get(key, key), [_test_row(item, titles) for item in found]))
    return tables


def _test_row(item: Comparison, titles: Mapping[str, str]) -> tuple[str, Cell, str, str]:
    difference = Cell(number(item.test.difference), interval(item.test.lower, item.test.upper))
    pair = f"{titles[item.first]} \N{MINUS SIGN} {titles[item.second]}"
    return pair, difference, p_value(item.test.p), p_value(item.p_holm)


def data_dictionary(cohort: Cohort) -> list[dict[str, str]]:
    """Give a row a feature, from the declaration, and one a wide block."""
    rows = []
    for name, feature in cohort.one_by_one.features.items():
        if isinstance(feature, Categorical):
            join = " < " if feature.type == "ordinal" else ", "
            allowed = join.join(feature.names)
        else:
            allowed = f"{feature.range[0]:g} to {feature.range[1]:g}"
        late = "described only: known after baseline" if feature.known is Known.AFTER else "predictor"
        rows.append(
            {
                "name": name,
                "label": cohort.label(name),
                "type": feature.type,
                "allowed": allowed,
                "role": "reference and predictor" if name in cohort.reference else late,
                "description": feature.description or "",
            }
        )
    for name, count in cohort.wide_blocks.items():
        rows.append(
            {
                "name": name,
                "label": cohort.block_title(name),
                "type": f"{count} numbers",
                "allowed": "each its own range",
                "role": "predictors, a block",
                "description": cohort.blocks[name].description or "",
            }
        )
    return rows


def optimism_table(audit: Mapping[str, Any]) -> list[tuple[str, str, list[tuple[str, str, str, str]]]]:
    """Give each naive protocol that applies its title, what it does, and a row a candidate: honest, naive, optimism."""
    found = []
    for item in audit["protocols"]:
        rows = [
            (row["title"], number(row["honest"]), number(row["naive"]), number(row["optimism"]))
            for row in audit["optimism"]
            if row["protocol"] == item["name"]
        ]
        if rows:
            found.append((item["title"], item["what"], rows))
    return found


def importance_table(
    explained: Mapping[str, Mapping[str, Any]], cohort: Cohort, titles: Mapping[str, str]
) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Ranks of the features by mean |Shapley value|: names of the candidates, and a row a feature.

    A rank stands with the ranks that the feature takes among the folds; a candidate that does not use it has a dash.
    """
    ranks: dict[str, dict[str, str]] = {}
    places: dict[str, list[float]] = {}
    for name, found in explained.items():
        singles = [item for item in found["importance"] if len(item["features"]) == 1]
        order = sorted(singles, key=lambda item: -item["shap"])
        for rank, item in enumerate(order, start=1):
            feature = item["features"][0]
            place = found["features"].index(feature)
            best, worst = (found["shap_stability"][key][place] for key in ("best", "worst"))
            span = f" ({best:g} to {worst:g})" if best != worst else ""
            ranks.setdefault(feature, {})[name] = f"{rank}{span}" if item["shap"] else "\N{EN DASH}"
            places.setdefault(feature, []).append(rank if item["shap"] else len(order))
    first = sorted(ranks, key=lambda feature: sum(places[feature]))[:MOST]
    rows = [(_part(cohort, feature), [ranks[feature].get(name, "") for name in explained]) for feature in first]
    return [titles[name] for name in explained], rows


def _part(cohort: Cohort, part: str) -> str:
    return cohort.block_title(part) if part in cohort.blocks else cohort.label(part)


def agreement_rows(explained: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Give each candidate Kendall's W over the folds, by Shapley values and by permutation."""
    return [
        (titles[name], number(found["shap_stability"]["agreement"], 2), number(found["loss_stability"]["agreement"], 2))
        for name, found in explained.items()
    ]


def spaces_table(records: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Give a row a hyperparameter: candidate (once), name, and what the search chose from."""
    rows = []
    for record in records.values():
        for place, (name, space) in enumerate(record.get("space", {}).items()):
            rows.append((record["title"] if not place else "", name, space))
    return rows


def table_one_rows(lines: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[tuple[str, str, list[str]]]]:
    """Names of the groups, and a row a line: label (once a feature), level, a cell a group."""
    groups = list(lines[0]["cells"]) if lines else []
    rows, before = [], None
    for line in lines:
        label = "" if line["feature"] and line["label"] == before else line["label"]
        rows.append((label, line["level"], [line["cells"][group] for group in groups]))
        before = line["label"]
    return groups, rows
