"""The service names patients to its store by a header, and to nothing else."""

import pytest

from relapse.monitoring.store import pseudonym
from relapse.serving.names import named
from tests.bundle.blocks import a_patient
from tests.serving.conftest import client_of, service_of

from .conftest import KEY

MARK = "MRN-7 of the Müller family"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Where the service keeps its answers."""
    return tmp_path_factory.mktemp("store") / "kept"


@pytest.fixture(scope="module")
def client(watched, store):
    """A client of a service that keeps what monitoring looks at."""
    settings = {"RELAPSE_MONITOR": str(store), "RELAPSE_MONITOR_KEY": KEY.decode()}
    with client_of(service_of(watched["meadow"].folder, "monitored", **settings).RelapseService) as client:
        yield client


def _lines(store):
    return [line for file in sorted(store.glob("*.jsonl")) for line in file.read_text().splitlines()]


def test_a_name_becomes_a_pseudonym_and_stands_nowhere(client, store, watched, caplog):
    from urllib.parse import quote

    body = a_patient(watched["meadow"].item.cohort)
    body = {name: value for name, value in body.items() if name in watched["meadow"].item.cohort.predictors}
    answer = client.post("/predict", json=body, headers={"Relapse-Patient": quote(MARK)})
    assert answer.status_code == 200
    assert pseudonym(KEY, MARK.encode()) in _lines(store)[-1]
    for text in (answer.text, caplog.text, client.get("/metrics").text, *_lines(store)):
        assert "MRN" not in text
        assert "Müller" not in text
    batch = client.post("/predict_batch", json=[body, body], headers={"Relapse-Patient": "one, two"})
    assert batch.status_code == 200
    assert [pseudonym(KEY, name) in line for name, line in zip((b"one", b"two"), _lines(store)[-2:], strict=True)] == [
        True,
        True,
    ]
    assert client.get("/metrics").text.count('relapse_monitored_total{kept="yes"}') == 1


@pytest.mark.parametrize("header", ["a,b", "", ",", "x" * 201, "a,a"], ids=["two", "empty", "commas", "long", "twice"])
def test_names_that_do_not_fit_the_patients_are_refused_and_nothing_is_kept(client, store, watched, header):
    predictors = watched["meadow"].item.cohort.predictors
    body = {name: value for name, value in a_patient(watched["meadow"].item.cohort).items() if name in predictors}
    before = _lines(store) if store.is_dir() else []
    answer = client.post("/predict", json=body, headers={"Relapse-Patient": header})
    assert answer.status_code == 422
    assert "names each patient of the body once" in answer.text
    assert header not in answer.text or len(header) < 5
    assert _lines(store) == before


def test_names_are_parted_by_commas_and_may_hold_one_encoded():
    assert named(b"a, b") == ["a", "b"]
    assert named("Miller%2C Ada") == ["Miller, Ada"]
    assert named(None) is None
