"""The report of a cohort: one self-contained HTML page, for a clinician first."""

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relapse.cohorts.schema import Categorical, Cohort, Known
from relapse.evaluation.evidence import Comparison, Evidence
from relapse.evaluation.metrics import Metric
from relapse.evaluation.statistics.results import Estimate
from relapse.report import answer
from relapse.report.caveats import caveats, failures
from relapse.report.wording import horizon_words, interval, number, p_value

_TEMPLATE = "template.html.j2"


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the page: the address that holds its whole content, and the text that stands for it."""

    address: str
    alt: str


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


def build_report(
    cohort: Cohort,
    *,
    flow: Mapping[str, Any],
    gate: Mapping[str, Any],
    evidence: Evidence,
    decision: Mapping[str, Any],
    records: Mapping[str, Mapping[str, Any]],
    figures: Path,
    failed: Mapping[str, str] | None = None,
) -> str:
    """Write the whole page, as HTML text.

    Parameters
    ----------
    flow, gate, decision
        The content of ``flow.json``, ``gate.json`` and ``decision.json``.
    records
        Candidate name to training record, ``record.json``.
    figures
        Folder that :func:`relapse.report.figures.draw` wrote; a figure that is not there is left out.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("relapse.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    titles = {item.name: records.get(item.name, {}).get("title", item.name) for item in evidence.candidates}
    headline = [metric for metric in evidence.endpoint.metrics if metric.headline]
    further = [metric for metric in evidence.endpoint.metrics if not metric.headline]
    return environment.get_template(_TEMPLATE).render(
        cohort=cohort,
        flow=flow,
        gate=gate,
        evidence=evidence,
        decision=decision,
        records=records,
        titles=titles,
        metrics=headline,
        further=further,
        primary=headline[0],
        verdict=answer.verdict(evidence, titles),
        behind=answer.figures_behind(evidence, titles),
        setting=answer.setting(cohort, evidence),
        decided=answer.decided(decision, titles),
        reservation=answer.reservation(evidence),
        results=results_table(evidence, titles),
        further_results=further_table(evidence, titles, further),
        calibration_rows=calibration_table(evidence, titles),
        subgroups=subgroup_table(evidence),
        tests=tests_tables(evidence, titles),
        dictionary=data_dictionary(cohort),
        caveats=[*caveats(cohort, evidence, records), *failures(failed or {})],
        protocol=protocol(records),
        versions=versions(records),
        pictures=pictures(figures),
        calibrations=_calibrations(evidence),
        last_horizon=horizon_words(evidence.endpoint.horizons[-1].label) if evidence.endpoint.timed else "",
        params_text=_params_text,
        number=number,
    )


def results_table(evidence: Evidence, titles: Mapping[str, str]) -> list[tuple[str, list[Cell]]]:
    """Give a row a candidate: its title, every metric with its interval, the mean over the folds with its range."""
    rows = []
    for item in evidence.candidates:
        cells = [estimate_cell(item.metrics[metric.key]) for metric in evidence.endpoint.metrics if metric.headline]
        known = [value for value in item.primary_by_fold if math.isfinite(value)]
        span = f"{number(min(known))} to {number(max(known))}" if known else ""
        rows.append((titles[item.name], [*cells, Cell(number(item.mean_over_folds), span)]))
    return rows


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
    """Give a row a subgroup: column, level, rows, events, and each candidate's ranking metric or why there is none."""
    rows = []
    for same in zip(*(item.subgroups for item in evidence.candidates), strict=True):
        cells = [
            estimate_cell(item.metrics[evidence.primary]) if item.metrics else Cell("not given", item.note)
            for item in same
        ]
        rows.append((same[0].column, same[0].level, same[0].rows, same[0].events, cells))
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
    """Give a row a feature, from the declaration."""
    rows = []
    for name, feature in cohort.features.items():
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
    return rows


def protocol(records: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Find what all candidates share, in their training records; several values are all named."""
    folds = {len({fold["fold"] for fold in record["folds"]}) for record in records.values()}
    repeats = {len({fold["repeat"] for fold in record["folds"]}) for record in records.values()}
    inner = {record["settings"]["inner_folds"] for record in records.values()}
    seeds = {record["seed"] for record in records.values()}
    shared = {"folds": folds, "repeats": repeats, "inner": inner, "seed": seeds}
    return {key: ", ".join(map(str, sorted(values))) for key, values in shared.items()}


def versions(records: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Each package with the version, or all versions, that the candidates were trained with."""
    found: dict[str, list[str]] = {}
    for record in records.values():
        for package, version in record["versions"].items():
            seen = found.setdefault(package, [])
            if version not in seen:
                seen.append(version)
    return [(package, " and ".join(seen)) for package, seen in found.items()]


def pictures(folder: Path) -> dict[str, Picture]:
    """Every SVG of a folder by name, its content held in the address so that the page loads nothing."""
    from xml.etree import ElementTree

    found = {}
    for path in sorted(folder.glob("*.svg")):
        content = path.read_bytes()
        description = ElementTree.fromstring(content).find(".//{http://purl.org/dc/elements/1.1/}description")
        alt = (description.text or "") if description is not None else ""
        address = "data:image/svg+xml;base64," + base64.b64encode(content).decode()
        found[path.stem] = Picture(address, alt)
    return found


def _calibrations(evidence: Evidence) -> list[tuple[str, str]]:
    if not evidence.endpoint.timed:
        return [("calibration", "")]
    return [
        ("calibration" + horizon.column.removeprefix("risk"), f" at {horizon_words(horizon.label)}")
        for horizon in evidence.endpoint.horizons
    ]


def _params_text(params: Mapping[str, Any]) -> str:
    """Hyperparameters as "C 0.12, scaling standard"."""
    shown = [f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in params.items()]
    return ", ".join(shown) or "nothing to choose"
