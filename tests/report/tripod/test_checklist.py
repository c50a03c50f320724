"""The checklist is whole, quotes what people declared, and claims no more than the evidence shows."""

import re
from dataclasses import replace

import pytest

from relapse.cohorts.checklist import ITEMS
from relapse.documents import markdown
from relapse.report.material import Material
from relapse.report.model_card import model_card
from relapse.report.page.page import build_report
from relapse.report.tripod.checklist import Status, checklist, checklist_document, tally
from relapse.wording import number
from tests.report.conftest import Made


@pytest.fixture(params=["binary", "survival"])
def material(request: pytest.FixtureRequest) -> Material:
    made: Made = request.getfixturevalue(request.param)
    return made.material


def test_all_27_items_are_there_once_in_order() -> None:
    numbers = [item.number for item in ITEMS]
    assert len(set(numbers)) == len(numbers) == 52
    assert sorted({int(re.match(r"\d+", number)[0]) for number in numbers}) == list(range(1, 28))


def test_every_item_is_answered_or_says_that_it_needs_you(material: Material) -> None:
    answers = checklist(material)
    assert [answer.item for answer in answers] == list(ITEMS)
    assert all(answer.text.strip() for answer in answers)
    for answer in answers:
        if answer.status is Status.NEEDS_YOU:
            assert "Not known to the pipeline" in answer.text
    counted = tally(answers)
    assert counted[Status.NEEDS_YOU] >= 10
    assert counted[Status.SHOWN] >= 10


def test_where_an_item_is_shown_is_a_section_of_the_report(material: Material) -> None:
    template = build_report(material)
    named = {anchor for answer in checklist(material) for anchor in answer.where}
    assert named
    for anchor in named:
        assert f'id="{anchor}"' in template


def test_what_people_declared_is_quoted_and_counts(material: Material) -> None:
    declared = {"17": "Approved by the ethics committee of X.", "6a": "Two hospitals."}
    told = replace(material, cohort=material.cohort.model_copy(update={"tripod": declared}))
    before = {answer.item.number: answer for answer in checklist(material)}
    after = {answer.item.number: answer for answer in checklist(told)}
    assert before["17"].status is Status.NEEDS_YOU
    assert after["17"].status is Status.DECLARED
    assert after["17"].text == declared["17"]
    assert before["6a"].status is Status.PARTLY
    assert after["6a"].status is Status.SHOWN
    assert after["6a"].text.startswith(declared["6a"])
    assert "Approved by the ethics committee" in markdown(checklist_document(told))


def test_the_card_s_figures_are_the_evidence_s(material: Material) -> None:
    name = material.decision["challenger"]
    card = model_card(material)
    performance = next(section for section in card.sections if section.heading == "Performance")
    metrics = material.evidence.candidate(name).metrics
    for metric, (label, value, _) in zip(material.evidence.endpoint.metrics, performance.table.rows, strict=True):
        assert label == metric.label
        assert value == number(metrics[metric.key].value)
    text = markdown(card)
    assert material.decision["content_hash"] in text
    assert "Not a medical device" in text
    for rule in material.decision["rules"]:
        assert rule["figure"] in text


def test_a_reference_left_alone_is_documented_without_pairs(material: Material) -> None:
    alone = replace(material.evidence, candidates=(material.evidence.candidate("reference"),), comparisons=())
    decision = dict(material.decision) | {"challenger": "reference", "champion": None}
    left = replace(material, evidence=alone, decision=decision)
    answers = {answer.item.number: answer for answer in checklist(left)}
    assert "no second model to compare with" in answers["12e"].text
