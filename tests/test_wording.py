"""Numbers are rounded in one way, and never into something that they are not."""

import pytest

from relapse.cohorts.size import Counts
from relapse.wording import (
    count,
    horizon_words,
    interval,
    listing,
    number,
    p_equals,
    p_value,
    people,
    sentence,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.6844, "0.684"), (-0.0126, "−0.013"), (-0.0001, "0.000"), (1, "1.000"), (float("nan"), "–"), (None, "–")],
)
def test_number(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0, "<0.001"),
        (0.00099, "<0.001"),
        (0.001, "0.001"),
        (0.046, "0.046"),
        (0.0994, "0.099"),
        (0.0996, "0.10"),
        (0.347, "0.35"),
        (1.0, "1.00"),
        (float("nan"), "–"),
    ],
)
def test_p_value(p: float, text: str) -> None:
    assert p_value(p) == text


def test_p_in_a_sentence() -> None:
    assert [p_equals(p) for p in (0.0001, 0.03, float("nan"))] == ["p < 0.001", "p = 0.030", "p not available"]


def test_interval() -> None:
    assert interval(-0.0104, 0.02) == "−0.010 to 0.020"
    assert interval(float("nan"), 0.02) == "no interval"


def test_count_and_listing() -> None:
    assert [count(n, "row") for n in (0, 1, 2, 12345)] == [
        "0 rows",
        "1 row",
        "2 rows",
        "12\N{NARROW NO-BREAK SPACE}345 rows",
    ]
    assert [listing(list("abc")[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_sentence() -> None:
    assert sentence("no rule failed") == "No rule failed."
    assert sentence("Kept!") == "Kept!"


@pytest.mark.parametrize(
    ("label", "words"), [("5 y", "5 years"), ("1 y", "1 year"), ("90 d", "90 days"), ("late", "late")]
)
def test_horizon_words(label: str, words: str) -> None:
    assert horizon_words(label) == words


def test_people_are_patients_with_their_rows_beside_them_where_they_differ() -> None:
    assert people(Counts(686, 686, 299, 299)) == "686 patients, 299 of whom had the event"
    assert people(Counts(2700, 90, 1350, 45)) == (
        "2\N{NARROW NO-BREAK SPACE}700 rows of 90 patients, 45 of whom had the event (1\N{NARROW NO-BREAK SPACE}350 rows)"
    )
