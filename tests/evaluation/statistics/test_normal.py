"""From standard errors to intervals and p-values."""

import numpy as np
import pytest

from relapse.evaluation.statistics.normal import log_wald, logit_wald, paired_z_test, quantile, wald, wilson


def test_a_wald_interval_is_cut_at_its_bounds_and_missing_bounds_stay_missing() -> None:
    cut = wald(0.9, 0.01, bounds=(0.0, 1.0))
    assert (cut.upper, round(cut.lower, 3)) == (1.0, 0.704)
    negative = wald(0.9, -0.01, bounds=(0.0, 1.0))
    assert np.isnan([negative.lower, negative.upper, negative.se]).all()


def test_a_ratio_of_zero_has_no_log_interval() -> None:
    nothing = log_wald(0.0, 0.1)
    assert nothing.value == 0.0
    assert np.isnan([nothing.lower, nothing.upper]).all()
    ratio = log_wald(2.0, 0.04)
    assert ratio.lower * ratio.upper == pytest.approx(4.0)


def test_level_changes_the_reach() -> None:
    assert quantile(0.95) == pytest.approx(1.959963984540054)
    narrow, wide = (logit_wald(0.7, 0.01, level=level) for level in (0.8, 0.99))
    assert wide.lower < narrow.lower < 0.7 < narrow.upper < wide.upper


def test_what_cannot_be_judged_has_no_p() -> None:
    assert paired_z_test(0.5, 0.5, 0.0, method="").p == 1.0
    assert np.isnan(paired_z_test(0.6, 0.5, 0.0, method="").p)
    assert np.isnan(paired_z_test(0.5, 0.5, -1.0, method="").p)
    assert paired_z_test(0.6, 0.5, 0.01, method="").p == pytest.approx(0.3173105)


def test_wilsons_interval_of_nothing_and_of_half() -> None:
    # R: prop.test(0, 10, correct = FALSE), prop.test(5, 10, correct = FALSE)
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775328), abs=1e-7)
    assert wilson(0.5, 10) == pytest.approx((0.2365931, 0.7634069), abs=1e-7)
