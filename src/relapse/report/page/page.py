"""The report of a cohort: one self-contained HTML page, for a clinician first."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from relapse.cohorts.schema import Cohort
from relapse.description.frames import DRAWN, PAIRED
from relapse.documents import html
from relapse.evaluation.evidence import Evidence
from relapse.figures.shown import compared_words, labels, roles
from relapse.report.caveats import caveats, failures, omissions
from relapse.report.material import Material
from relapse.report.missing import missing_table
from relapse.report.model_card import model_card
from relapse.report.page import answer
from relapse.report.page.added import difference_columns, title, told
from relapse.report.page.regression import equation_table, hazard_rows, ratio_tables
from relapse.report.page.tables import (
    agreement_rows,
    calibration_table,
    data_dictionary,
    folds_table,
    further_table,
    importance_table,
    optimism_table,
    results_table,
    spaces_table,
    subgroup_table,
    table_one_rows,
    tests_tables,
)
from relapse.report.tripod.checklist import checklist, tally
from relapse.wording import count, horizon_words, number

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of the page: the address that holds its whole content, and the text that stands for it."""

    address: str
    alt: str


def build_report(material: Material) -> str:
    """Write the whole page, as HTML text; a figure or a stage's file that is not there is left out."""
    page = environment().get_template("page.html.j2")
    return page.render(
        **_said(material), **_tables(material), **_shown(material), number=number, params_text=_params_text
    )


def environment() -> "Environment":
    """The templates of the pages: all that is put into them is escaped, and nothing may be lacking."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("relapse.report.page", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _said(m: Material) -> dict[str, Any]:
    """What the page says in sentences, and what it names."""
    evidence = m.evidence
    return {
        "cohort": m.cohort,
        "flow": m.flow,
        "gate": m.gate,
        "evidence": evidence,
        "decision": m.decision,
        "records": m.records,
        "titles": m.titles,
        "roles": roles(evidence),
        "shown": labels(evidence, m.titles)[evidence.shown.name],
        "compared": compared_words(evidence, m.titles),
        "verdict": answer.verdict(evidence, m.titles),
        "behind": answer.figures_behind(evidence, m.titles),
        "setting": answer.setting(m.cohort, evidence),
        "decided": answer.decided(m.decision, m.titles),
        "carried_out": answer.carried_out(m.decision),
        "reservation": answer.reservation(evidence),
        "caveats": [*caveats(m.cohort, evidence, m.records), *failures(m.failed), *omissions(m.left_out)],
        "protocol": protocol(m.records),
        "versions": versions(m.records),
        "last_horizon": horizon_words(evidence.endpoint.horizons[-1].label) if evidence.endpoint.timed else "",
        "groups_apart": answer.groups_apart(evidence),
        "checklist": checklist(m),
        "tally": tally(checklist(m)),
        # The structure escapes all text itself.
        "card": Markup(html(model_card(m), level=3)),
    }


def _tables(m: Material) -> dict[str, Any]:
    """The page's tables."""
    headline = [metric for metric in m.evidence.endpoint.metrics if metric.headline]
    further = [metric for metric in m.evidence.endpoint.metrics if not metric.headline]
    return {
        "metrics": headline,
        "further": further,
        "primary": headline[0],
        "results": results_table(m.evidence, m.titles),
        "folds": folds_table(m.evidence, m.titles),
        "further_results": further_table(m.evidence, m.titles, further),
        "calibration_rows": calibration_table(m.evidence, m.titles),
        "subgroups": subgroup_table(m.evidence),
        "tests": tests_tables(m.evidence, m.titles),
        "dictionary": data_dictionary(m.cohort),
        "table_one": table_one_rows(m.table_one),
        "optimism": optimism_table(m.audit) if m.audit else [],
        "added": told(m.added, m.cohort),
        "added_title": title(m.added, m.cohort),
        "added_columns": difference_columns(m.added) if m.added else [],
        "added_failed": m.added.failed if m.added else {},
        "importance": importance_table(m.explained, m.cohort, m.titles),
        "agreement": agreement_rows(m.explained, m.titles),
        "ratios": ratio_tables(m),
        "hazards": hazard_rows(m),
        "equation": equation_table(m),
        "spaces": spaces_table(m.records),
        "missing": missing_table(m),
    }


def _shown(m: Material) -> dict[str, Any]:
    """The page's figures; those that explain the candidate put forward go under their plain names."""
    titles = labels(m.evidence, m.titles)
    return {
        "pictures": {name: picture for folder in m.folders for name, picture in pictures(folder).items()},
        "calibrations": _calibrations(m.evidence),
        "undrawn": _undrawn(m.cohort),
        "attended": [(titles[name], picture) for name, picture in _attended(m)],
        "explained": titles[m.put_forward] if m.put_forward in m.explained else "",
        "explained_of": _drawn(m.explained),
    }


def _drawn(explained: Mapping[str, Mapping[str, Any]]) -> str:
    """How many patients of a large table were explained."""
    for found in explained.values():
        if found["patients"] < found["of_patients"]:
            of, drawn = count(found["of_patients"], "patient"), count(found["patients"], "was", "were")
            return f"Of {of}, {drawn} drawn by chance; the figures and tables here are of them."
    return ""


def _undrawn(cohort: Cohort) -> str:
    """What the figures of the patients leave out of a wide table."""
    if len(cohort.one_by_one.features) <= PAIRED:
        return ""
    return (
        f"Each kind of figure shows the first {DRAWN} features, the correlations the first {PAIRED}; "
        "the files of the stage describe hold each feature's own distribution, and its correlation with the outcome."
    )


def _attended(m: Material) -> list[tuple[str, Picture]]:
    """What each candidate that sees pictures looks at."""
    folders = [(name, m.explanations / name) for name in m.explained] if m.explanations else []
    found = [(name, pictures(folder, f"attention_{name}")) for name, folder in folders]
    return [(name, picture) for name, one in found for picture in one.values()]


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


def pictures(folder: Path, name: str = "*") -> dict[str, Picture]:
    """Every SVG of a folder by name, its content held in the address so that the page loads nothing."""
    from xml.etree import ElementTree

    found = {}
    for path in sorted(folder.glob(f"{name}.svg")):
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
