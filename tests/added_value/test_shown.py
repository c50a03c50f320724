"""What is made of the evidence: sentences and tables of the report, the forest plot, the rule of promotion."""

from dataclasses import replace
from pathlib import Path

import pytest
from jinja2 import Environment, PackageLoader, StrictUndefined

from relapse.added_value.evidence import AddedValue, Answer, FamilyEvidence
from relapse.added_value.frames import GROUP_WORDS, forest_frame
from relapse.added_value.questions import Role
from relapse.figures.added_value import forest
from relapse.figures.style import save
from relapse.promotion.rules import adds_value
from relapse.report.page.added import difference_columns, title, told
from relapse.wording import number
from tests.pictured import pictured_cohort

from .making import marked_cohort

COHORT = marked_cohort()


def with_p(found: AddedValue, p_holm: float) -> AddedValue:
    """The same evidence with another adjusted p-value of its one family."""
    (answer,) = found.answers
    family: FamilyEvidence = replace(answer.families[0], p_holm=p_holm)
    changed: Answer = replace(answer, families=(family,))
    return replace(found, answers=(changed,))


def test_the_section_answers_first_and_claims_only_what_was_shown(planted: AddedValue) -> None:
    (shown,) = told(planted, COHORT)
    assert shown.verdict == "“Serum markers” was shown to add to grade + Bulk, with the score of Elastic net."
    (not_shown,) = told(with_p(planted, 0.2), COHORT)
    assert not_shown.verdict == "“Serum markers” was not shown to add to grade + Bulk."
    assert "is no answer" in not_shown.behind[-1]
    assert title(planted, COHORT) == "What does “Serum markers” add?"
    assert told(None, COHORT) == []
    assert title(replace(planted, answers=()), COHORT) == ""


def test_every_figure_of_the_section_is_the_evidences(planted: AddedValue) -> None:
    (section,) = told(planted, COHORT)
    family = planted.answers[0].leading
    way = family.addition(Role.SCORE)
    _, cells, p, _ = section.differences[0]
    assert cells[0].value == number(way.test.difference)
    assert len(cells) == 2 + len(difference_columns(planted))
    assert p == "<0.001"
    assert [row[1] for row in section.models] == [
        "without the block", "the block alone", "block's score added", "one model of all",
    ]  # fmt: skip
    assert len(section.reclassified) == 2 * len(planted.endpoint.horizons)
    assert {row[0] for row in section.calibrations} >= {"without the block"}


def test_the_section_is_rendered_whole_with_nothing_undefined(planted: AddedValue) -> None:
    environment = Environment(
        loader=PackageLoader("relapse.report.page", "templates"), autoescape=True, undefined=StrictUndefined
    )
    section = (
        '{% from "macros.html.j2" import picture, cell, scrolls with context %}{% include "added_value.html.j2" %}'
    )
    text = environment.from_string(section).render(
        added=told(planted, COHORT),
        added_title=title(planted, COHORT),
        added_columns=difference_columns(planted),
        added_failed={"markers_over_reference, Forest": "too wide"},
        evidence=planted,
        metrics=[metric for metric in planted.endpoint.metrics if metric.headline],
        primary=planted.endpoint.metrics[0],
        pictures={},
    )
    assert "Not answered: markers_over_reference, Forest. too wide" in text
    assert "NRI" in text


def test_the_forest_plot_tells_its_figures_to_those_who_cannot_see_it(planted: AddedValue, tmp_path: Path) -> None:
    (answer,) = planted.answers
    frame = forest_frame(planted, answer, {"side": "Side"})
    frame.loc[frame["label"] == "Side: r", ["difference", "lower", "upper"]] = float("nan")
    figure = forest(frame, GROUP_WORDS, question=answer.words, label=planted.primary_label)
    assert number(answer.leading.addition(Role.SCORE).test.difference) in str(figure.get_label())
    assert "Side: r" not in str(figure.get_label())
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == [" too few to tell"]
    save(figure, tmp_path / "forest")
    assert (tmp_path / "forest.svg").read_bytes()


def test_a_costly_block_needs_to_be_shown_and_the_reference_needs_no_block(planted: AddedValue) -> None:
    (rule,) = adds_value(COHORT, "linear", planted)
    assert rule.passed
    assert "to reference: shown" in rule.figure
    (rule,) = adds_value(COHORT, "linear", with_p(planted, 0.06))
    assert not rule.passed
    assert "p = 0.06" in rule.figure
    (rule,) = adds_value(COHORT, "linear", None)
    assert (rule.passed, rule.figure) == (False, "it was not asked")
    assert adds_value(COHORT, "reference", None) == []
    cheap = marked_cohort(blocks={"markers": {"title": "Serum markers"}})
    assert adds_value(cheap, "linear", None) == []


def test_a_block_of_images_is_needed_by_families_that_see_them_alone() -> None:
    cohort = pictured_cohort(blocks={"blood": {"title": "Blood"}, "scan": {"title": "Scan", "costly": True}})
    assert [rule.name for rule in adds_value(cohort, "densenet121", None)] == ["adds value: scan"]
    assert adds_value(cohort, "mlp", None) == []


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({"markers": {}, "empty": {}}, "block 'empty' has no feature known at baseline"),
        ({}, "block 'markers' is not declared"),
        ({"markers": {"over": ["scans"]}}, "over names scans. Allowed: reference"),
        ({"markers": {}, "reference": {}}, "is not 'reference'"),
    ],
)
def test_a_block_that_cannot_be_asked_about_is_refused(blocks: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        marked_cohort(blocks=blocks)
