"""What images add is asked of families that see them, what features add of the others."""

from pathlib import Path

import pytest

from relapse.added_value.analysis import _learns
from relapse.added_value.questions import questions
from relapse.cohorts.blocked import IMAGE
from tests.pictured import declared, pictured_cohort, pictured_table, tiny_encoder

from .conftest import analysed, small_params

ASKED = {"blood": {"title": "Blood"}, "scan": {"title": "Scan"}}


def test_the_question_of_a_block_of_images_is_of_them() -> None:
    found = {question.name: question for question in questions(pictured_cohort())}
    assert list(found) == ["blood_over_reference", "scan_over_reference", "scan_over_blood"]
    assert found["scan_over_reference"].block_features == (IMAGE,)
    assert found["scan_over_blood"].features == ("grade", "bulk", "marker", IMAGE)
    assert found["scan_over_reference"].words == "Does “Scan” add to grade + bulk?"


def test_each_block_is_asked_of_the_families_that_learn_from_it(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_encoder(monkeypatch)
    cohort = pictured_cohort(blocks=ASKED)
    table = pictured_table(cohort, tmp_path, patients=60)
    found = analysed(table, cohort, small_params(request.config.rootpath, "linear", "densenet121"))
    assert found.failed == {}
    asked = {answer.name: [item.family for item in answer.families] for answer in found.answers}
    assert asked == {"blood_over_reference": ["linear"], "scan_over_reference": ["densenet121"]}
    (scan,) = (answer.families[0] for answer in found.answers if answer.block == "scan")
    assert scan.title == "DenseNet121 (not pretrained)"
    assert 0 <= scan.p <= 1


def test_where_no_family_learns_from_a_block_it_is_said_what_to_add(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    cohort = pictured_cohort(blocks=ASKED)
    table = pictured_table(cohort, tmp_path, patients=60)
    found = analysed(table, cohort, small_params(request.config.rootpath, "linear"))
    assert [answer.name for answer in found.answers] == ["blood_over_reference"]
    assert list(found.failed) == ["scan_over_reference"]
    assert "For images add densenet121 to them, for features one of the others" in found.failed["scan_over_reference"]


def test_a_block_of_features_and_images_is_asked_of_both_kinds() -> None:
    content = declared(blocks={"scan": {}})
    content["features"] = content["features"] | {"marker": {"type": "continuous", "range": [-9, 9], "block": "scan"}}
    (question,) = questions(type(pictured_cohort()).model_validate(content))
    assert question.block_features == ("marker", IMAGE)
    assert [_learns(name, question) for name in ("linear", "densenet121")] == [True, True]
