"""Paired tests reach MLflow as metrics of each candidate, in its own direction, and as one table."""

import pytest

from relapse.evaluation.evidence import gather
from relapse.evaluation.metrics import Endpoint
from relapse.tracking.publishing.comparisons import numbers_of_tests, table_of_tests
from tests.evaluation.test_evidence import table

NOISE = {"reference": 2.0, "svm": 0.5, "linear": 1.0}


def test_a_candidate_s_numbers_are_those_of_its_tests_against_the_reference_and_the_best() -> None:
    tables = {name: table(noise=noise, seed=place) for place, (name, noise) in enumerate(NOISE.items())}
    evidence = gather(tables, Endpoint(), cohort="x", resamples=100, seed=0)
    assert evidence.best.name == "svm"
    found = {name: numbers_of_tests(evidence, name) for name in NOISE}
    linear = evidence.paired("linear", "reference")
    assert found["linear"]["difference_to_reference"] == pytest.approx(linear.test.difference)
    assert found["linear"]["difference_to_reference"] > 0 > found["linear"]["difference_to_best"]
    assert found["linear"]["difference_to_reference_lower"] == pytest.approx(linear.test.lower)
    assert found["linear"]["difference_to_reference_p"] == pytest.approx(linear.test.p)
    assert found["linear"]["difference_to_reference_p_holm"] == pytest.approx(linear.p_holm)
    # The smallest of three p is adjusted threefold.
    assert found["svm"]["difference_to_reference_p_holm"] == pytest.approx(
        3 * found["svm"]["difference_to_reference_p"]
    )
    # Whoever is compared with herself has no test: neither the reference with it, nor the best with the best.
    assert not [key for key in found["reference"] if "to_reference" in key]
    assert not [key for key in found["svm"] if "to_best" in key]
    assert found["svm"]["difference_to_reference"] == pytest.approx(-found["reference"]["difference_to_best"])
    # McNemar's, where calls were compared.
    (calls,) = [
        item
        for item in evidence.comparisons
        if item.metric == "accuracy" and {item.first, item.second} == {"linear", "reference"}
    ]
    assert found["linear"]["accuracy_difference_to_reference_p"] == pytest.approx(calls.test.p)


def test_the_table_has_a_row_a_test() -> None:
    tables = {name: table(noise=noise, seed=place) for place, (name, noise) in enumerate(NOISE.items())}
    evidence = gather(tables, Endpoint(), cohort="x", resamples=100, seed=0)
    rows = table_of_tests(evidence)
    assert len(rows) == len(evidence.comparisons) == 6
    assert set(rows["metric"]) == {"auc", "accuracy"}
    assert rows["test"].str.contains("McNemar").sum() == 3
