"""Bytes that nobody would send, and floods of nearly right ones: refused with a 4xx, whatever they are."""

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relapse.serving.patients import patient_model

JSON = {"content-type": "application/json"}
PATHS = ("/predict", "/predict_batch", "/explain")

ODD = [
    b"\x00" * 64,
    b"\xef\xbb\xbf{}",
    "{}".encode("utf-16"),
    "{}".encode("utf-32"),
    b'{"age": "\xff\xfe"}',
    b'{"age": "\\ud800"}',
    b"[" * 50_000 + b"]" * 50_000,
    b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    b"9" * 100_000,
    b"-",
    b"1e999999999",
    b"[1e309]",
    b"NaN",
    b"[NaN, Infinity, -Infinity]",
    b'{"age": 1e400}',
    b'{"age": 0x10}',
    b"{'age': 50}",
    b'{"age": 50,}',
    b'{"__proto__": {"age": 50}, "constructor": 1}',
    b'"' + b"a" * 500_000 + b'"',
    b"{}" * 1000,
    b"{} {}",
    b"// comment\n{}",
]


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
def test_odd_bytes_are_refused(clients, body):
    for path in PATHS:
        assert 400 <= clients["gbsg"].post(path, content=body, headers=JSON).status_code < 500


def test_every_beginning_of_a_patient_is_refused(clients, patients):
    whole = json.dumps(patients["gbsg"]).encode()
    for length in range(len(whole)):
        assert clients["gbsg"].post("/predict", content=whole[:length], headers=JSON).status_code == 400


def _damaged(body: bytes, rng: random.Random) -> bytes:
    """A few bytes changed, taken out, doubled or put in."""
    content = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content))
        kind = rng.randrange(4)
        if kind == 0:
            content[at] = rng.randrange(256)
        elif kind == 1:
            del content[at]
        elif kind == 2:
            content[at:at] = content[at : at + rng.randint(1, 20)]
        else:
            content[at:at] = rng.choice(
                [b"1e999", b"null", b"{}", b"[", b"\x00", b'"', b"-", b"NaN", b"\xff", b",", b"0"]
            )
    return bytes(content)


@pytest.mark.parametrize("path", PATHS)
def test_damaged_patients_are_refused_unless_they_are_still_patients(clients, cohorts, patients, path):
    rng, model = random.Random(20260713), patient_model(cohorts["gbsg"])
    one = json.dumps(patients["gbsg"])
    body = (f"[{one}, {one}]" if path == "/predict_batch" else one).encode()
    refused = 0
    for _ in range(400):
        sent = _damaged(body, rng)
        status = clients["gbsg"].post(path, content=sent, headers=JSON).status_code
        if status == 200:
            found = json.loads(sent)
            for each in found if isinstance(found, list) else [found]:
                model.model_validate(each)
        else:
            assert 400 <= status < 500
            refused += 1
    assert refused > 300


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(st.data())
def test_values_of_any_type_are_refused(clients, patients, data):
    name = data.draw(st.sampled_from(list(patients["gbsg"])))
    value = data.draw(_anything)
    body = json.dumps(patients["gbsg"] | {name: value}).encode()
    status = clients["gbsg"].post("/predict", content=body, headers=JSON).status_code
    assert status == 200 or 400 <= status < 500
    if isinstance(value, str | list | dict | bool) and value not in ("I", "II", "III", "yes", "no"):
        assert status == 422 or "menopausal" in str(value)
