"""The answer claims what was shown and nothing more."""

from dataclasses import replace

import pytest

from relapse.evaluation.evidence import CandidateEvidence, Comparison, Evidence
from relapse.evaluation.metrics import Endpoint
from relapse.evaluation.selection import Selection
from relapse.evaluation.statistics.results import Estimate, PairedTest
from relapse.report.page.answer import carried_out, figures_behind, groups_apart, reservation, shown_different, verdict
from relapse.wording import number, p_equals
from tests.report.conftest import Made

TITLES = {"reference": "Clinical reference", "linear": "Elastic net", "forest": "Random forest"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Promoted."),
        ({"promoted": False}, "Kept."),
        ({"challenger_version": "3"}, "May be promoted"),
        ({"champion": None, "challenger_version": "1"}, "May be promoted"),
        ({"challenger_version": "2"}, "Promoted."),
    ],
)
def test_a_decision_is_called_carried_out_only_when_it_was(binary: Made, changes: dict[str, object], said: str) -> None:
    assert carried_out(binary.decision | changes).startswith(said)


def candidate(name: str, value: float, lower: float = 0.55) -> CandidateEvidence:
    return CandidateEvidence(name, {"auc": Estimate(value, lower, value + 0.05)}, (value, value))


def comparison(first: str, second: str, difference: float, p: float, p_holm: float) -> Comparison:
    test = PairedTest(difference, difference - 0.02, difference + 0.02, 1.0, p, "DeLong")
    return Comparison("auc", first, second, test, p_holm)


def evidence(linear: float, *, p: float, p_holm: float, lower: float = 0.55) -> Evidence:
    """Make a reference with AUC 0.65, the given elastic net, and a forest that is no different."""
    candidates = (candidate("reference", 0.65), candidate("linear", linear, lower), candidate("forest", 0.64))
    pairs = (
        comparison("reference", "linear", 0.65 - linear, p, p_holm),
        comparison("reference", "forest", 0.01, 0.7, 0.7),
        comparison("linear", "forest", linear - 0.64, 0.5, 0.7),
    )
    return Evidence("mine", Endpoint(), 100, 100, 40, 100, candidates, pairs)


def test_a_lead_that_is_not_significant_is_not_claimed() -> None:
    found = evidence(0.70, p=0.2, p_holm=0.6)
    assert verdict(found, TITLES) == "No candidate was shown to rank patients better than the clinical reference."
    behind = " ".join(figures_behind(found, TITLES))
    assert "The highest ROC AUC was that of Elastic net, 0.700 (95% interval 0.550 to 0.750)" in behind
    assert "differs from the reference by 0.050 (95% interval 0.030 to 0.070; p = 0.20, p = 0.60 after Holm's" in behind
    assert behind.endswith("this may be chance.")


def test_a_lead_that_does_not_survive_the_adjustment_is_not_claimed() -> None:
    found = evidence(0.70, p=0.03, p_holm=0.09)
    assert shown_different(found, better=True) == []
    assert "once the number of comparisons is allowed for, this may be chance" in " ".join(
        figures_behind(found, TITLES)
    )


def test_a_lead_that_was_shown_is_said_with_its_scope() -> None:
    found = evidence(0.75, p=0.0002, p_holm=0.0006)
    assert (
        verdict(found, TITLES) == "In cross-validation, Elastic net ranked patients better than the clinical reference."
    )
    assert "p < 0.001, p < 0.001 after Holm's adjustment for 3 comparisons" in " ".join(figures_behind(found, TITLES))


def test_a_candidate_shown_to_be_worse_is_said() -> None:
    found = evidence(0.55, p=0.001, p_holm=0.003)
    assert verdict(found, TITLES).endswith("better than the clinical reference; Elastic net ranked them worse.")


def test_a_reference_that_leads_is_said() -> None:
    found = evidence(0.60, p=0.4, p_holm=0.8)
    said = figures_behind(found, TITLES)
    assert said[0].startswith("The reference itself had the highest ROC AUC: 0.650")
    assert said[1].startswith("Next came Random forest with 0.640")


def test_one_put_forward_that_does_not_lead_is_given_with_its_figure_and_difference() -> None:
    found = replace(evidence(0.70, p=0.2, p_holm=0.6), put_forward="forest")
    said = figures_behind(found, TITLES)
    assert said[0].startswith("The highest ROC AUC was that of Elastic net")
    assert said[2].startswith("Put forward is Random forest, 0.640 (95% interval")
    assert "Random forest differs from the reference by \N{MINUS SIGN}0.010" in said[3]
    for same in ("linear", "reference"):
        assert "Put forward" not in " ".join(figures_behind(replace(found, put_forward=same), TITLES))


@pytest.mark.parametrize(("lower", "said"), [(0.49, True), (0.51, False)])
def test_an_interval_with_chance_in_it_is_said(lower: float, said: bool) -> None:
    found = " ".join(figures_behind(evidence(0.70, p=0.2, p_holm=0.6, lower=lower), TITLES))
    assert ("not shown to be better than chance" in found) == said


def test_a_reference_alone_is_not_judged() -> None:
    alone = Evidence("mine", Endpoint(), 100, 100, 40, 100, (candidate("reference", 0.65),), ())
    assert "nothing to hold it against" in verdict(alone, TITLES)
    assert len(figures_behind(alone, TITLES)) == 1


def test_the_best_figure_is_given_again_corrected_for_its_choice() -> None:
    found = replace(
        evidence(0.70, p=0.2, p_holm=0.6),
        selection=Selection("linear", 0.70, Estimate(0.664, 0.58, 0.74), {"reference": 0.2, "linear": 0.8}),
    )
    text = reservation(found)
    assert "corrected for the choice, its ROC AUC of 0.700 is 0.664 (95% interval 0.580 to 0.740)" in text
    assert "no external validation has been made" in text


def test_the_log_rank_test_stands_with_what_it_does_not_allow_for(survival: Made, binary: Made) -> None:
    test = survival.evidence.shown.risk_groups
    assert test is not None
    said = groups_apart(survival.evidence)
    assert f"chi-square {number(test.statistic, 1)}, 2 df, {p_equals(test.p)}" in said
    assert "out-of-fold scores" in said
    assert said.split(". ")[1] in survival.page()
    assert groups_apart(binary.evidence) == ""
    several = tuple(replace(item, risk_groups=None) for item in survival.evidence.candidates)
    assert "patients have several" in groups_apart(replace(survival.evidence, candidates=several))
