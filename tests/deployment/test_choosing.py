"""A patient keeps her model: by name or by values, whatever the order of keys, and as the part grows."""

import json

from hypothesis import given
from hypothesis import strategies as st

from relapse.deployment.choosing import belongs, identity

KEY = b"a key of a test"


def test_the_same_values_are_the_same_patient_and_a_name_goes_before_them() -> None:
    one, other = json.dumps({"age": 50, "size": 3}), json.dumps({"size": 3, "age": 50}, indent=2)
    assert identity(one.encode(), None) == identity(other.encode(), None)
    assert identity(one.encode(), b"p1") == identity(b"{}", b"p1") != identity(one.encode(), b"p2")
    assert identity(b"\xff not JSON", None) == b"body\0\xff not JSON"


@given(who=st.binary(max_size=40), small=st.floats(0, 1), more=st.floats(0, 1))
def test_who_is_of_a_small_part_is_of_every_larger_one(who: bytes, small: float, more: float) -> None:
    small, more = sorted((small, more))
    assert not belongs(KEY, who, small) or belongs(KEY, who, more)
    assert belongs(KEY, who, 1.0)
    assert not belongs(KEY, who, 0.0)


def test_the_part_is_as_large_as_asked_for_and_another_one_under_another_key() -> None:
    people = [f"p{number}".encode() for number in range(4000)]
    mine = {who for who in people if belongs(KEY, who, 0.2)}
    others = {who for who in people if belongs(b"another key", who, 0.2)}
    assert 700 < len(mine) < 900
    assert 100 < len(mine & others) < 220
