"""What was done with missing values is told as the training records have it: in the report, card and checklist."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from relapse.cohorts.declared.features import Missing
from relapse.documents import markdown
from relapse.preprocessing.treatment import handled
from relapse.report.material import Material
from relapse.report.missing import in_words, missing_table
from relapse.report.model_card import model_card
from relapse.report.page.page import build_report
from relapse.report.tripod.checklist import checklist
from tests.gaps import OPEN, gappy_cohort, gappy_model, gappy_table
from tests.report.conftest import Made
from tests.wide import wide_cohort, wide_table

RULES = dict(zip(OPEN, ("native", "indicator", "iterative", "median", "native"), strict=True))


def _with_gaps(material: Material, cohort: Any, table: Any, models: dict[str, Any]) -> Material:
    """The material of another cohort, whose records tell what these models do."""
    records = {
        name: {**record, "missing": [asdict(one) for one in handled(models[name], [models[name]], cohort, table)]}
        for name, record in material.records.items()
    }
    return replace(material, cohort=cohort, records=records)


@pytest.fixture
def gaps(survival: Made) -> Material:
    cohort = gappy_cohort(RULES, survival=True)
    table = gappy_table(cohort)
    models = {name: gappy_model(cohort, table, name).model for name in ("reference", "linear", "forest")}
    return _with_gaps(survival.material, cohort, table, models)


def test_the_report_tables_each_feature_by_candidate(gaps: Material) -> None:
    table = missing_table(gaps)
    assert table.candidates == ["Clinical reference", "Elastic net", "Random forest"]
    assert [(label, declared) for label, _, declared, _ in table.rows] == [
        ("size (mm)", "native"),
        ("nodes", "indicator"),
        ("grade", "iterative"),
        ("receptor", "median"),
        ("subtype", "native"),
    ]
    fallen = "filled with the median, with an indicator (takes no missing values)"
    assert table.rows[0][3] == [fallen, fallen, "left missing"]
    assert table.rows[1][3][0] == "not used"
    assert table.rows[2][3][1:] == ["imputed from the others"] * 2
    page = build_report(gaps)
    assert fallen in page
    assert 'id="missing-table"' in page
    assert page.count("imputed from the others") >= 2


def test_folds_that_did_otherwise_are_counted(gaps: Material) -> None:
    record = dict(gaps.records["forest"])
    record["missing"] = [item | {"folds": 2, "of": 5} for item in record["missing"]]
    table = missing_table(replace(gaps, records={**gaps.records, "forest": record}))
    assert table.rows[0][3][2] == "left missing; so in 2 of 5 folds"


def test_the_checklist_and_the_card_name_the_rules(gaps: Material) -> None:
    (answer,) = [item for item in checklist(gaps) if item.item.number == "11"]
    for part in (
        "2 predictors left missing for trees",
        "1 predictor imputed from the other predictors by chained Bayesian ridge regressions, the outcome left out",
        " 1 predictor may not be missing.",
        "What each candidate did is tabled.",
    ):
        assert part in answer.text
    card = markdown(model_card(gaps))
    assert "| nodes | count | 0 to 80 | may be left out: filled with the median, with an indicator |" in card
    assert "| age (years) | continuous | 18 to 110 | needed |" in card
    assert "Missing values. By a rule declared for each feature" in card


def test_where_nothing_may_be_missing_that_is_said_and_nothing_tabled(survival: Made) -> None:
    assert in_words(survival.cohort).startswith("By declaration no value of a predictor may be missing")
    assert 'id="missing-table"' not in build_report(survival.material)


def test_features_of_a_wide_block_treated_alike_share_a_row(survival: Made) -> None:
    cohort = wide_cohort(survival=True).model_copy(update={"missing": Missing.INDICATOR})
    table = wide_table(cohort)
    models = {name: gappy_model(cohort, table, name).model for name in ("reference", "linear", "forest")}
    found = missing_table(_with_gaps(survival.material, cohort, table, models))
    (row,) = found.rows
    assert row[0] == "MRI: 40 features"
    assert row[1].startswith("0.0% to ")
    assert row[3] == ["not used", *["filled with the median, with an indicator"] * 2]
