"""Who may ask, for how long, and what comes with every answer."""

import json
import time

import pytest

from relapse.ground.errors import ServingError
from relapse.serving.access import is_asked_for, is_authorised, is_loopback, require_token_beyond_loopback
from relapse.serving.audit_log import verify
from relapse.serving.guard import HEADERS, MAX_BODY
from relapse.serving.pages import ENDPOINTS, PUBLIC
from relapse.serving.recorded import UNRECORDED
from relapse.serving.settings import Serving, serving
from tests.room import room_for
from tests.serving.conftest import client_of, service_of

TOKEN = "test-token-0123456789"
KEY = "test-key-0123456789"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """The audit log of the guarded service."""
    return tmp_path_factory.mktemp("log") / "audit.jsonl"


@pytest.fixture(scope="module")
def guarded(bundles, log):
    """A client of a service with a token, an audit log and half a second a request."""
    settings = {"RELAPSE_TOKEN": TOKEN, "RELAPSE_AUDIT_LOG": str(log), "RELAPSE_AUDIT_KEY": KEY, "RELAPSE_TIMEOUT": "1"}
    with client_of(service_of(bundles["gbsg"], "guarded", **settings).RelapseService) as client:
        yield client


@pytest.mark.parametrize("path", [path for path in ENDPOINTS if path not in PUBLIC] + ["/schema.json", "/other"])
def test_nothing_but_the_empty_page_and_health_is_given_without_the_token(guarded, path):
    for method in ("GET", "POST"):
        for header in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": f"Basic {TOKEN}"},
            {"authorization": TOKEN},
        ):
            refused = guarded.request(method, path, headers=header)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in refused.text


def test_the_empty_page_and_health_need_no_token_and_all_else_opens_with_it(guarded, patients):
    assert [guarded.get(path).status_code for path in PUBLIC] == [200] * len(PUBLIC)
    assert guarded.post("/predict", json=patients["gbsg"], headers=BEARER).status_code == 200
    for path in ("/model", "/card", "/schema", "/docs.json", "/metrics"):
        assert guarded.get(path, headers=BEARER).status_code == 200


def test_a_token_is_compared_whole():
    assert is_authorised(b"Bearer secret-secret", "secret-secret")
    assert is_authorised(b"bearer  secret-secret ", "secret-secret")
    for wrong in (
        b"",
        b"Bearer",
        b"Bearer secret",
        b"Bearer secret-secret1",
        b"Basic secret-secret",
        b"Bearer \xff\xfe",
    ):
        assert not is_authorised(wrong, "secret-secret")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5", "hospital.example", ""])
def test_beyond_this_machine_there_is_no_start_without_a_token(host):
    with pytest.raises(ServingError, match="RELAPSE_TOKEN"):
        require_token_beyond_loopback(None, host)
    require_token_beyond_loopback(TOKEN, host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "/run/relapse.sock"])
def test_this_machine_needs_no_token(host):
    assert is_loopback(host)
    require_token_beyond_loopback(None, host)
    require_token_beyond_loopback(None, None)


def test_a_service_without_token_refuses_what_came_in_from_elsewhere(clients, patients):
    refused = clients["gbsg"].post("http://10.0.0.5/predict", json=patients["gbsg"])
    assert refused.status_code == 403
    assert "RELAPSE_TOKEN" in refused.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:3000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "127.0.0.1@evil.example",
        "10.0.0.5",
        "0.0.0.0",
        "/run/relapse.sock",
        "",
    ],
)
def test_without_a_token_a_request_under_another_name_is_refused(clients, patients, host):
    headers = {"host": host}
    for path in ("/predict", "/predict_batch", "/explain"):
        assert clients["gbsg"].post(path, json=patients["gbsg"], headers=headers).status_code == 421
    for path in ("/model", "/ui", "/", "/metrics", "/docs.json", "/nowhere"):
        refused = clients["gbsg"].get(path, headers=headers)
        assert refused.status_code == 421
        assert "RELAPSE_HOSTS" in refused.json()["errors"][0]["message"]
        assert not host or host not in refused.text or host == "0.0.0.0"
    assert clients["gbsg"].get("/readyz", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:3000", "LOCALHOST", "127.0.0.1:3000", "127.8.8.8", "[::1]:3000"]
)
def test_every_name_of_this_machine_is_answered(clients, patients, host):
    assert clients["gbsg"].post("/predict", json=patients["gbsg"], headers={"host": host}).status_code == 200


@pytest.mark.parametrize("token", [None, TOKEN])
def test_declared_names_are_answered_beside_those_of_this_machine_and_no_other(token):
    settings = Serving(token, None, None, 1.0, frozenset({"risk.hospital.example"}))
    for host, answered in (
        (b"risk.hospital.example", True),
        (b"Risk.Hospital.Example:443", True),
        (b"localhost", True),
        (b"evil.example", False),
        (b"sub.risk.hospital.example", False),
    ):
        assert is_asked_for([(b"host", host)], settings) is answered
    assert not is_asked_for([(b"host", b"localhost"), (b"host", b"evil.example")], settings)
    assert not is_asked_for([], settings)
    assert is_asked_for([(b"host", b"anything.example")], Serving(TOKEN, None, None, 1.0))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RELAPSE_TOKEN", "short", "RELAPSE_TOKEN: at least 16"),
        ("RELAPSE_TOKEN", "sixteen-ünprintable", "RELAPSE_TOKEN: at least 16"),
        ("RELAPSE_AUDIT_LOG", "audit.jsonl", "belong together"),
        ("RELAPSE_AUDIT_KEY", KEY, "belong together"),
        ("RELAPSE_MONITOR", "kept", "belong together"),
        ("RELAPSE_MONITOR_KEY", KEY, "belong together"),
        ("RELAPSE_TIMEOUT", "soon", "RELAPSE_TIMEOUT"),
        ("RELAPSE_TIMEOUT", "0", "RELAPSE_TIMEOUT"),
        ("RELAPSE_TIMEOUT", "nan", "RELAPSE_TIMEOUT"),
        ("RELAPSE_HOSTS", "https://risk.example", "RELAPSE_HOSTS=.*without scheme and port"),
        ("RELAPSE_HOSTS", "risk.example,", "RELAPSE_HOSTS=.*without scheme and port"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(monkeypatch, name, value, message):
    monkeypatch.setenv(name, value)
    with pytest.raises(ServingError, match=message) as caught:
        serving()
    assert value not in ("short", KEY) or value not in str(caught.value)


@pytest.mark.parametrize("path", ["/ui", "/predict", "/model", "/nowhere", "/livez", "/metrics"])
def test_every_answer_has_the_security_headers_and_no_cors(clients, path):
    for method in ("GET", "POST", "OPTIONS"):
        answer = clients["gbsg"].request(method, path, headers={"origin": "https://elsewhere.example"})
        for name, value in HEADERS:
            assert answer.headers.get_list(name.decode()) == [value.decode()]
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_body_that_does_not_arrive_is_given_up(guarded, patients):
    async def never(message=None):
        import asyncio

        await asyncio.sleep(30)

    sent = []

    async def send(message):
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"authorization", BEARER["authorization"].encode())]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "query_string": b"",
        "headers": headers,
        "server": ("127.0.0.1", 80),
        "scheme": "http",
    }
    start = time.perf_counter()
    guarded.portal.call(guarded.app, scope, never, send)
    assert time.perf_counter() - start < 5
    assert sent[0]["status"] == 408


def test_an_answer_that_takes_too_long_is_a_503(guarded, patients, monkeypatch):
    from relapse.serving.desk import Desk

    monkeypatch.setattr(Desk, "explain", lambda self, patient: time.sleep(3))
    start = time.perf_counter()
    late = guarded.post("/explain", json=patients["gbsg"], headers=BEARER)
    assert (late.status_code, late.json()["errors"][0]["message"]) == (503, "Not answered within 1 seconds. Try again.")
    assert time.perf_counter() - start < 2.5
    time.sleep(2)


@pytest.mark.parametrize("query", ["tsize=48.62951", "curve=yes", "curve=true&curve=false", "curve", "x=1&curve=true"])
@pytest.mark.parametrize("path", ["/predict", "/explain"])
def test_values_in_an_address_are_refused(clients, patients, path, query):
    refused = clients["gbsg"].post(f"{path}?{query}", json=patients["gbsg"])
    assert refused.status_code == 422
    assert "48.62951" not in refused.text


def test_metrics_count_by_paths_that_the_service_knows_and_no_other(clients):
    clients["gbsg"].get("/predict/48.62951")
    clients["gbsg"].get("/MARKEDVALUE?tsize=4862951")
    clients["gbsg"].request("MARKEDVALUE", "/predict")
    text = clients["gbsg"].get("/metrics").text
    assert 'relapse_requests_total{method="GET",path="other",status="404"}' in text
    assert 'method="other"' in text
    for mark in ("48.62951", "MARKEDVALUE", "4862951"):
        assert mark not in text


def test_every_answer_is_in_the_audit_log_before_it_is_given(guarded, log, patients):
    before = verify(log, KEY.encode()).lines
    one = guarded.post("/predict", json=patients["gbsg"], headers=BEARER).json()
    guarded.post("/predict_batch", json=[patients["gbsg"]] * 3, headers=BEARER)
    why = guarded.post("/explain", json=patients["gbsg"], headers=BEARER).json()
    guarded.post("/predict", json={}, headers=BEARER)
    lines = [json.loads(line) for line in log.read_text().splitlines()][before:]
    assert [line["endpoint"] for line in lines] == ["predict", *["predict_batch"] * 3, "explain"]
    assert lines[0]["output"]["risk"] == one["risk"]
    assert {line["output"]["role"] for line in lines if line["output"]} == {"champion"}
    assert lines[-1]["output"]["output"] == why["output"]
    assert len({line["input"] for line in lines}) == 1
    assert verify(log, KEY.encode()).lines == before + 5


def test_what_cannot_be_recorded_is_not_answered(guarded, log, patients):
    size = log.stat().st_size
    with log.open("ab") as stream:
        stream.write(b"half a line")
    refused = guarded.post("/predict", json=patients["gbsg"], headers=BEARER)
    with log.open("ab") as stream:
        stream.truncate(size)
    assert refused.status_code == 503
    assert refused.json() == {"errors": [{"message": UNRECORDED}]}
    assert guarded.post("/predict", json=patients["gbsg"], headers=BEARER).status_code == 200


@pytest.mark.parametrize("endpoint", ["predict", "predict_batch", "explain"])
def test_on_a_full_disk_nothing_is_answered_the_log_stays_whole_and_goes_on(guarded, log, patients, caplog, endpoint):
    body = patients["gbsg"] if endpoint != "predict_batch" else [patients["gbsg"]] * 5
    guarded.post("/predict", json=patients["gbsg"], headers=BEARER)
    before = log.read_bytes()
    with room_for(len(before) + 100):
        refused = guarded.post(f"/{endpoint}", json=body, headers=BEARER)
    assert (refused.status_code, refused.json()) == (503, {"errors": [{"message": UNRECORDED}]})
    assert log.read_bytes() == before
    said = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 1
    assert "the audit log cannot be written (No space left on device). An answer was not given." in said[0].message
    assert said[0].exc_info is None
    assert guarded.post(f"/{endpoint}", json=body, headers=BEARER).status_code == 200
    assert verify(log, KEY.encode()).lines > before.count(b"\n")


def test_a_body_of_a_megabyte_is_the_most(guarded, patients):
    padded = json.dumps([patients["gbsg"]]).encode()
    most = padded[:-1] + b" " * (MAX_BODY - len(padded)) + b"]"
    headers = BEARER | {"content-type": "application/json"}
    assert guarded.post("/predict_batch", content=most, headers=headers).status_code == 200
    assert guarded.post("/predict_batch", content=most + b" ", headers=headers).status_code == 413


@pytest.mark.parametrize("path", ["/predict", "/explain", "/predict_batch"])
@pytest.mark.parametrize("second", ['"age": 31', '"age": 57', '"\\u0061ge": 31', '"age": 57, "age": 57'])
def test_a_field_given_twice_is_refused_by_name(clients, patients, path, second):
    body = json.dumps(patients["gbsg"])[:-1] + ", " + second + "}"
    batch = path == "/predict_batch"
    body = f"[{json.dumps(patients['gbsg'])}, {body}]" if batch else body
    refused = clients["gbsg"].post(path, content=body, headers={"content-type": "application/json"})
    assert refused.status_code == 422
    (problem,) = refused.json()["errors"]
    assert problem["field"] == "age"
    assert problem["message"].startswith("Given more than once")
    assert problem.get("index") == (1 if batch else None)
    assert "31" not in refused.text
