"""The report: complete, self-contained, equal to its evidence, and safe against what a declaration may hold."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from relapse.cohorts.checklist import ITEMS
from relapse.documents import markdown
from relapse.evaluation.evidence import Comparison
from relapse.figures.evaluation.flow import patient_flow
from relapse.ground.finding import Finding
from relapse.report.model_card import model_card
from relapse.report.tripod.checklist import checklist_document
from relapse.wording import interval, number
from tests.report.conftest import HOSTILE, Made


class Page(HTMLParser):
    """What of a page the tests look at: tags with attributes, table cells by table, all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self._rows: list[list[str]] = []
        self._in_cell = self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "table":
            self._rows = self.tables[found.get("id") or f"table {len(self.tables)}"] = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")
            self._in_cell = True
        if tag == "span" and self._in_cell:
            self._rows[-1][-1] += "|"
        self._in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False
        if tag == "style":
            self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self._rows[-1][-1] += data
        if not self._in_style:
            self.text += data


@pytest.fixture(params=["binary", "survival", "paired_rows"])
def made(request: pytest.FixtureRequest) -> Made:
    """Each kind of report."""
    return request.getfixturevalue(request.param)


def test_every_number_of_the_results_table_equals_the_evidence(made: Made) -> None:
    header, *rows = Page(made.page()).tables["results-table"]
    evidence = made.evidence
    headline = [metric for metric in evidence.endpoint.metrics if metric.headline]
    assert len(header) == len(headline) + 2
    assert len(rows) == len(evidence.candidates)
    for item, (name, *cells) in zip(evidence.candidates, rows, strict=True):
        assert name.split("|")[0] == made.titles[item.name]
        for metric, cell in zip(headline, cells, strict=False):
            estimate = item.metrics[metric.key]
            assert cell == f"{estimate.value:.3f}|{estimate.lower:.3f} to {estimate.upper:.3f}"
        folds = item.primary_by_fold
        assert cells[-1] == f"{item.mean_over_folds:.3f}|{min(folds):.3f} to {max(folds):.3f}"


def test_each_headline_metric_stands_as_mean_and_deviation_over_the_folds_as_well(made: Made) -> None:
    header, *rows = Page(made.page()).tables["folds-table"]
    evidence = made.evidence
    headline = [metric for metric in evidence.endpoint.metrics if metric.headline]
    assert len(header) == len(headline) + 1
    for item, (name, *cells) in zip(evidence.candidates, rows, strict=True):
        assert name == made.titles[item.name]
        primary = item.primary_by_fold
        assert cells[0] == f"{np.mean(primary):.3f} ± {np.std(primary, ddof=1):.3f}"
        for metric, cell in zip(headline[1:], cells[1:], strict=True):
            values = [value for value in item.headline_by_fold[metric.key] if np.isfinite(value)]
            assert cell == f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


def test_the_page_shows_the_one_put_forward_where_it_can_show_one_only(made: Made) -> None:
    evidence = replace(made.evidence, put_forward="forest")
    text = made.page(evidence=evidence)
    _, *rows = Page(text).tables["results-table"]
    label = evidence.primary_label
    assert [row[0] for row in rows] == [
        "Clinical reference",
        f"Elastic net|largest {label}",
        "Random forest|put forward",
    ]
    assert text.count('class="shown"') == 1
    assert "of Clinical reference and Random forest (put forward); the dotted lines" in text
    assert "those of Clinical reference and Random forest (put forward)." in text
    if evidence.endpoint.timed:
        assert "that Random forest (put forward) gave to patients it had not seen" in text
    assert "ranked first" not in text


def test_what_looks_wrong_in_the_predictions_stands_first_among_the_caveats(made: Made) -> None:
    finding = Finding("S001", "warning", "linear.score", "ranks rows against the outcome.")
    text = made.page(evidence=replace(made.evidence, findings=(finding,)))
    assert "warning S001 linear.score: ranks rows against the outcome." in text
    assert text.index("Something looks wrong in the predictions") < text.index("Internal validation only")
    assert "Something looks wrong" not in made.page()


def test_every_number_of_the_pairwise_tables_equals_the_evidence(made: Made) -> None:
    found = [row for rows in Page(made.page()).tables.values() for row in rows if " \N{MINUS SIGN} " in row[0]]
    assert len(found) == len(made.evidence.comparisons)
    for row, item in zip(found, made.evidence.comparisons, strict=True):
        assert row[0] == f"{made.titles[item.first]} \N{MINUS SIGN} {made.titles[item.second]}"
        shown = [float(text.replace("\N{MINUS SIGN}", "-")) for text in (row[1], *row[2].split(" to "))]
        assert shown == pytest.approx([item.test.difference, item.test.lower, item.test.upper], abs=5.001e-4)
        for text, p in zip(row[3:], (item.test.p, item.p_holm), strict=True):
            assert p < 0.001 if text == "<0.001" else float(text) == pytest.approx(p, abs=5.001e-3)


def test_every_number_of_the_calibration_table_equals_the_evidence(made: Made) -> None:
    _, *rows = Page(made.page()).tables["calibration-table"]
    found = [item for candidate in made.evidence.candidates for item in candidate.calibration.values()]
    assert len(rows) == len(found)
    for row, item in zip(rows, found, strict=True):
        for cell, estimate in zip(row[-4:-1], (item.slope, item.in_the_large, item.observed_expected), strict=True):
            assert cell == f"{number(estimate.value)}|{interval(estimate.lower, estimate.upper)}"
        assert row[-1] == number(item.ici)


def test_every_number_of_the_subgroup_table_equals_the_evidence(made: Made) -> None:
    _, *rows = Page(made.page()).tables["subgroup-table"]
    first = made.evidence.candidates[0]
    assert [row[0].endswith(f": {group.level}") for row, group in zip(rows, first.subgroups, strict=True)]
    for place, row in enumerate(rows):
        for cell, candidate in zip(row[3:], made.evidence.candidates, strict=True):
            group = candidate.subgroups[place]
            assert row[1:3] == [str(group.patients), str(group.size.with_event)]
            if group.metrics:
                estimate = group.metrics[made.evidence.primary]
                assert cell == f"{number(estimate.value)}|{interval(estimate.lower, estimate.upper)}"
            else:
                assert cell == f"not given|{group.note}"


AUDIT = {
    "protocols": [
        {"name": "smote", "title": "SMOTE before the split", "what": HOSTILE, "not_applicable": None},
        {
            "name": "rows",
            "title": "Rows split, not patients",
            "what": "",
            "not_applicable": "every patient has one row",
        },
    ],
    "optimism": [
        {
            "candidate": "linear",
            "title": "Elastic net",
            "protocol": "smote",
            "honest": 0.61,
            "naive": 0.9104,
            "optimism": 0.3004,
        }
    ],
}


def test_the_audit_is_shown_protocol_by_protocol(made: Made) -> None:
    page = Page(made.page(audit=AUDIT))
    _, group, row = page.tables["audit-table"]
    assert group[0].startswith("SMOTE before the split")
    assert row == ["Elastic net", "0.610", "0.910", "0.300"]
    assert "audit-table" not in Page(made.page()).tables


def test_explanations_are_those_of_the_one_put_forward_with_everybody_s_ranks(made: Made, tmp_path: Path) -> None:
    (tmp_path / "linear").mkdir()
    picture = next(made.folder.glob("ranking.svg")).read_text()
    (tmp_path / "linear" / "beeswarm.svg").write_text(picture)
    names = made.cohort.predictors
    stable = {"agreement": 0.876, "best": [1.0] * len(names), "worst": [2.0] * len(names)}
    found = {
        "features": names,
        "patients": 150,
        "of_patients": 150,
        "importance": [{"features": [name], "shap": float(place)} for place, name in enumerate(names)],
        "shap_stability": stable,
        "loss_stability": stable | {"agreement": 0.25},
    }
    page = Page(made.page(explained={"linear": found}, explanations=tmp_path))
    header, *rows = page.tables["importance-table"]
    assert header == ["Feature", "Elastic net"]
    assert rows[0][1] == "1 (1 to 2)", "the most important feature first"
    assert rows[-1][1] == "\N{EN DASH}", "a feature that moves nothing"
    assert page.tables["agreement-table"][1] == ["Elastic net", "0.88", "0.25"]
    assert "drawn by chance" not in page.text
    of_many = {"linear": found | {"of_patients": 20_000}}
    assert "150 were drawn by chance" in Page(made.page(explained=of_many, explanations=tmp_path)).text
    assert 'id="explanations"' not in made.page()


def test_table_one_search_spaces_and_checklist_are_on_the_page(made: Made) -> None:
    lines = [
        {"feature": "", "label": "Number of patients", "level": "", "cells": {"all": "150", "with": "50"}},
        {
            "feature": "size",
            "label": HOSTILE,
            "level": "median (quartiles)",
            "cells": {"all": "20 (10 to 30)", "with": "<5"},
        },
    ]
    records = {name: dict(record) | {"space": {"C": "0.001 to 10, log scale"}} for name, record in made.records.items()}
    page = Page(made.page(table_one=lines, records=records))
    assert page.tables["table-one"][2] == [HOSTILE, "median (quartiles)", "20 (10 to 30)", "<5"]
    assert page.tables["spaces-table"][1] == ["Clinical reference", "C", "0.001 to 10, log scale"]
    assert len(page.tables["checklist-table"]) == 1 + len(ITEMS)
    assert "Model card" in page.text


def test_the_page_loads_nothing_from_outside(made: Made) -> None:
    page = Page(made.page())
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed")
        for name in ("src", "href", "srcset", "data", "action"):
            address = attributes.get(name)
            assert address is None or address.startswith(("#", "data:image/svg+xml;base64,")), (tag, address)
    style = re.findall(r"<style>(.*?)</style>", made.page(), flags=re.DOTALL)
    assert not re.search(r"url\(|@import", "".join(style))


def test_an_address_in_a_citation_is_plain_text(made: Made) -> None:
    assert "https://example.org/paper" in Page(made.page()).text


def test_hostile_text_stays_text(made: Made) -> None:
    text = made.page()
    assert "<script" not in text
    assert "{{ 7 * 7 }}" in text, "a declaration is no template"
    page = Page(text)
    # The title, the endpoint, a label, a description, a finding, a rule: each shown as it stands.
    assert page.text.count(HOSTILE) >= 5


def test_every_figure_is_in_the_page_with_its_description(made: Made) -> None:
    images = [attributes for tag, attributes in Page(made.page()).tags if tag == "img"]
    held = {base64.b64decode(str(image["src"]).partition(",")[2]) for image in images}
    assert held == {path.read_bytes() for path in made.folder.glob("*.svg")}
    assert all(image["alt"] for image in images)


def test_tables_and_headings_can_be_read_aloud(made: Made) -> None:
    page = Page(made.page())
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    assert ("html", {"lang": "en"}) in page.tags
    assert sum(tag == "h1" for tag, _ in page.tags) == 1
    identities = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identities) == len(set(identities))
    for tag, attributes in page.tags:
        if tag == "a":
            assert str(attributes["href"]).removeprefix("#") in identities


def test_the_decision_is_shown_rule_by_rule(made: Made) -> None:
    text = Page(made.page()).text
    assert "Promoted." in text
    assert "Champion is Elastic net, version 2. The decision: It keeps every rule." in text
    assert "Champion before: svm, version 1." in text
    assert "not passed" in text


def test_it_says_that_it_is_no_medical_device_and_what_it_cannot_know(made: Made) -> None:
    text = Page(made.page()).text
    assert "Not a medical device" in text
    assert "no external validation has been made" in text
    assert "Internal validation only" in text


def test_methods_say_what_was_run(made: Made) -> None:
    text = re.sub(r"\s+", " ", Page(made.page()).text)
    assert "5 outer folds, drawn once" in text
    assert "3 inner folds" in text
    assert "seed 11" in text
    assert "C 0.123, scaling standard; threshold 0.300" in text
    assert "python 3.11.7, numpy 2.4.6" in text


def test_a_column_known_only_later_is_no_predictor(made: Made) -> None:
    rows = {row[1]: row for rows in Page(made.page()).tables.values() for row in rows if len(row) == 5}
    assert rows["response"][4] == "described only: known after baseline"
    assert rows["grade"][3:] == ["I < II < III", "predictor"]


def test_simulated_data_are_called_so(binary: Made) -> None:
    simulated = binary.cohort.model_copy(update={"simulated": True})
    assert "The data are simulated" in binary.page(cohort=simulated)
    assert "The data are simulated" not in binary.page()


def test_several_rows_a_patient_are_said(paired_rows: Made, binary: Made) -> None:
    assert "150 rows of 75 patients" in Page(paired_rows.page()).text
    assert "Several rows a patient" in paired_rows.page()
    assert "Several rows a patient" not in binary.page()


def test_patients_with_the_event_are_counted_as_patients_wherever_they_are_counted(paired_rows: Made) -> None:
    """Two rows of each patient with the event must not make two patients of her."""
    size = paired_rows.evidence.size
    assert size.with_event < size.rows_with_event
    said = f"{size.patients} patients, {size.with_event} of whom had the event ({size.rows_with_event} rows)"
    material = paired_rows.material
    documents = [model_card(material), checklist_document(material)]
    texts = [Page(paired_rows.page()).text, *(markdown(document) for document in documents)]
    for text in texts:
        assert said in text
    fewer = min(size.with_event, size.without_event)
    assert f"There are {fewer} patients" in texts[0]
    assert f"There are {fewer} patients of the rarer outcome" in texts[2]
    description = patient_flow(paired_rows.flow, paired_rows.evidence).get_label()
    assert f"{size.with_event} patients with the event ({size.rows_with_event} rows)" in description


def test_a_figure_that_is_not_there_is_left_out(binary: Made, tmp_path: Path) -> None:
    assert "<img" not in binary.page(pictures=(tmp_path,))


def test_a_metric_without_interval_is_said(binary: Made) -> None:
    first, *others = binary.evidence.candidates
    nan = float("nan")
    bare = replace(first, metrics=first.metrics | {"f1": replace(first.metrics["f1"], value=nan, lower=nan, upper=nan)})
    page = Page(binary.page(evidence=replace(binary.evidence, candidates=(bare, *others))))
    assert "\N{EN DASH}|no interval" in page.tables["results-table"][1]


def test_an_untested_pair_is_not_called_different(binary: Made) -> None:
    nan = float("nan")
    untested = tuple(
        Comparison(item.metric, item.first, item.second, replace(item.test, p=nan), nan)
        for item in binary.evidence.comparisons
    )
    text = Page(binary.page(evidence=replace(binary.evidence, comparisons=untested))).text
    assert "No candidate was shown to rank patients better than the clinical reference." in text
    assert "p not available" in text


def test_the_patient_flow_says_who_stands_in_a_joined_source(paired_rows: Made) -> None:
    joined = {"source": "mri", "matched": 9, "without": 2, "not_ours": 3, "unmatched": "keep"}
    described = patient_flow(paired_rows.flow | {"joined": [joined]}, paired_rows.evidence).get_label()
    assert "in the first source mri joined: 9 patients matched, 2 not in it (kept), 3 only in it" in described


@pytest.mark.parametrize(("features", "tall"), [(100, False), (101, True)])
def test_a_table_of_hundreds_of_features_does_not_push_what_follows_out_of_reach(
    features: int, tall: bool, binary: Made
) -> None:
    lines = [
        {"feature": f"f{place}", "label": f"feature {place}", "level": "", "cells": {"all": "1"}}
        for place in range(features)
    ]
    page = Page(binary.page(table_one=lines))
    assert len(page.tables["table-one"]) == features + 1
    assert ("scroll tall" in {attrs.get("class") for _, attrs in page.tags}) is tall
