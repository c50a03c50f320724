"""Ratios stand on the page as they were found, those of a penalised model without a p and with the reason."""

import re

import pytest

from relapse.report.page.regression import MOST, ratio
from tests.report.conftest import HOSTILE, Made

TESTED = {
    "rows": [
        {"label": HOSTILE, "step": "per mm", "ratio": 1.0123, "lower": 1.0045, "upper": 1.0201, "p": 0.0021},
        {"label": "Grade", "step": "per level, from I on", "ratio": 1.5, "lower": 0.9, "upper": 2.5, "p": 0.12},
    ],
    "method": "Cox regression, Efron's ties",
    "note": "",
}
PENALISED = {
    "rows": [
        {"label": f"Gene {place}", "step": "per 1", "ratio": 1 + place / 100, "lower": None, "upper": None, "p": None}
        for place in range(MOST + 2)
    ],
    "method": "Cox regression with an elastic-net penalty",
    "note": "No intervals and no p.",
}

EQUATION = {
    "summands": [{"label": "Grade", "step": "per level, from I on", "coefficient": -0.40547, "centre": 24.25}],
    "baselines": [{"label": "3 y", "survival": 0.7654321}],
    "intercept": None,
    "note": "",
}
TEST = {"label": "Grade", "step": "per level, from I on", "statistic": 8.412, "p": 0.0037, "p_holm": 0.0074}
WHOLE = {"reference": TESTED, "penalised": {}, "equation": EQUATION, "hazards": [TEST]}


def _section(page: str) -> str:
    found = re.search(r'<section aria-labelledby="regression">.*?</section>', page, re.DOTALL)
    return found[0] if found else ""


@pytest.mark.parametrize(("made", "kind"), [("survival", "Hazard"), ("binary", "Odds")])
def test_the_reference_s_ratios_stand_with_interval_and_p(made: str, kind: str, request: pytest.FixtureRequest) -> None:
    mine: Made = request.getfixturevalue(made)
    section = _section(mine.page(regression=WHOLE))
    assert f"{kind} ratios</h2>" in section
    assert "Clinical reference, fitted to all rows" in section
    assert "Wald" in section
    for text in ("1.012", "1.004 to 1.020", "0.002", "1.500", "0.900 to 2.500", "0.12", "per level, from I on"):
        assert text in section
    assert "<script>" not in section


def test_a_penalised_model_put_forward_has_ratios_without_p_and_those_at_1_are_counted(survival: Made) -> None:
    found = WHOLE | {"penalised": {"linear": PENALISED}}
    section = _section(survival.page(regression=found, decision=survival.decision | {"challenger": "linear"}))
    second = section.split("Elastic net, fitted to all rows")[1].split("</table>")[0]
    assert "No intervals and no p. The penalty left 1 term at 1; not shown." in second
    assert f"Of {MOST + 1} others the {MOST} farthest from 1 are shown." in second
    assert second.index("Gene 31") < second.index("Gene 30")
    assert "Gene 1<" not in second
    assert 'scope="col">p<' not in second
    other = _section(survival.page(regression=found, decision=survival.decision | {"challenger": "forest"}))
    assert "Elastic net" not in other


def test_without_regressions_the_section_is_not_there(survival: Made) -> None:
    page = survival.page()
    assert not _section(page)
    assert 'href="#regression"' not in page


def test_a_ratio_of_a_tiny_unit_is_written_as_a_power() -> None:
    assert (ratio(1.0123), ratio(3.2e20), ratio(4e-5), ratio(None)) == ("1.012", "3.2×10^20", "4.0×10^−5", "–")


def test_the_equation_and_the_test_of_proportional_hazards_stand_on_the_page(survival: Made, binary: Made) -> None:
    section = _section(survival.page(regression=WHOLE))
    for text in ("−0.40547", "24.25", "= 0.765432 at 3 years", "8.41", "0.004", "0.007"):
        assert text in section
    assert "not tested" not in section
    untested = _section(survival.page(regression=WHOLE | {"hazards": []}))
    assert "not tested: the fit that the test needs did not succeed" in untested
    logistic = WHOLE | {"hazards": [], "equation": EQUATION | {"baselines": [], "intercept": -1.5}}
    plain = _section(binary.page(regression=logistic))
    assert "a = −1.5" in plain
    assert "proportional" not in plain
    none = _section(
        binary.page(regression=logistic | {"equation": {**EQUATION, "summands": [], "note": "No equation."}})
    )
    assert ("No equation." in none, "equation-table" in none) == (True, False)


def test_the_checklist_says_that_the_model_is_given_in_full_only_where_it_is(survival: Made) -> None:
    page = survival.page(regression=WHOLE)
    assert "coefficients, centres and baseline survival at each horizon" in page
    assert ('href="#equation"' in page, 'id="equation"' in page) == (True, True)
    none = survival.page(regression=WHOLE | {"equation": {**EQUATION, "note": "No equation."}})
    assert 'href="#equation"' not in none
