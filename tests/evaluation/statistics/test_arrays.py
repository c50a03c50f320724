"""Impossible arguments are refused by name, and no message holds a patient's value."""

import numpy as np
import pytest

from relapse.evaluation.statistics import arrays


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: arrays.numbers("score", [[1.0]]), "score: expected one dimension, found 2"),
        (lambda: arrays.numbers("score", []), "score: empty"),
        (lambda: arrays.numbers("score", [1.0, 2.0], 3), "score: 2 values, but 3 rows elsewhere"),
        (lambda: arrays.numbers("score", [1.0, np.nan, np.inf]), "score: 2 of 3 values are NaN or infinite"),
        (lambda: arrays.indicator("event", [0, 1, 2]), "event: 1 of 3 values are neither 0 nor 1"),
        (lambda: arrays.both_classes([1, 1]), "event: 2 of 2 rows have the event; both classes are needed"),
        (lambda: arrays.both_classes([0, 0]), "event: 0 of 2 rows have the event; both classes are needed"),
        (lambda: arrays.follow_up([-1.0, 2.0], [0, 1]), "time: 1 of 2 values are negative"),
        (lambda: arrays.follow_up([1.0, 2.0], [0]), "event: 1 values, but 2 rows elsewhere"),
        (lambda: arrays.risks([0.2, 1.4], 2), r"risk: 1 of 2 values lie outside \[0, 1\]"),
        (lambda: arrays.cluster_codes(["a"], 2), r"clusters: shape \(1,\), but 2 rows elsewhere"),
        (lambda: arrays.positive_horizon(0.0), "horizon: 0.0 is not allowed"),
        (lambda: arrays.positive_horizon(float("inf")), "horizon: inf is not allowed"),
    ],
)
def test_impossible_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_no_message_holds_a_value_of_a_patient() -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is what is looked at
        arrays.follow_up([-4711.5, 2.0], [0, 1])
    assert "4711" not in str(caught.value)


def test_labels_of_any_type_become_codes() -> None:
    assert arrays.cluster_codes(["b", "a", "b"], 3).tolist() == [1, 0, 1]
    assert arrays.cluster_codes(None, 3).tolist() == [0, 1, 2]


def test_sums_by_cluster_keep_the_shape() -> None:
    codes = np.array([0, 1, 0])
    assert arrays.sum_by(codes, np.array([1.0, 2.0, 3.0])).tolist() == [4.0, 2.0]
    assert arrays.sum_by(codes, np.array([[1.0, 2.0, 3.0]])).tolist() == [[4.0, 2.0]]
