import json
import logging

import pytest

from relapse.serving.guard import MAX_BODY
from relapse.serving.problems import UNREADABLE

JSON = {"content-type": "application/json"}
#: Marks that no log line and no refusal may hold.
MARKS = ("48.62951", "4862951", "MARKEDVALUE")


def _post(client, body, *, path="/predict", headers=JSON):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(path, content=content, headers=headers)


def _errors(response):
    assert response.headers["content-type"] == "application/json"
    return response.json()["errors"]


@pytest.mark.parametrize("name", ["gbsg", "wpbc"])
def test_a_patient_gets_a_risk_between_0_and_1(clients, patients, name):
    response = _post(clients[name], patients[name])
    assert response.status_code == 200
    assert 0 <= response.json()["risk"] <= 1
    assert response.json()["model"]["name"] == f"relapse-{name}"
    assert ("risks" in response.json(), "threshold" in response.json()) == (name == "gbsg", name == "wpbc")


@pytest.mark.parametrize("name", ["gbsg", "wpbc"])
def test_a_batch_answers_each_patient_as_alone_and_in_order(clients, patients, name):
    others = [patients[name] | {"tsize": size} for size in (2, 5, 11)]
    together = _post(clients[name], others, path="/predict_batch").json()
    alone = [_post(clients[name], other).json() for other in others]
    assert [answer["risk"] for answer in together] == pytest.approx([answer["risk"] for answer in alone], rel=1e-12)
    assert [answer["notes"] for answer in together] == [answer["notes"] for answer in alone]


def test_a_thousand_patients_are_answered_and_more_are_refused(clients, patients):
    assert len(_post(clients["gbsg"], [patients["gbsg"]] * 1000, path="/predict_batch").json()) == 1000
    refused = _post(clients["gbsg"], [patients["gbsg"]] * 1001, path="/predict_batch")
    assert refused.status_code == 422
    assert _errors(refused) == [{"message": "Expected a JSON list of 1 to 1000 patients."}]


FIELDS = [
    ("tsize", "48.62951", "Not a number.", "1 to 200 mm"),
    ("tsize", True, "Not a number.", "1 to 200 mm"),
    ("tsize", float("nan"), "Not a finite number.", "1 to 200 mm"),
    ("tsize", float("inf"), "Not a finite number.", "1 to 200 mm"),
    ("tsize", float("-inf"), "Not a finite number.", "1 to 200 mm"),
    ("tsize", 4862951, "Above the allowed range.", "1 to 200 mm"),
    ("tsize", -4862951, "Below the allowed range.", "1 to 200 mm"),
    ("tsize", None, "Not a number.", "1 to 200 mm"),
    ("tsize", ["MARKEDVALUE"], "Not a number.", "1 to 200 mm"),
    ("tsize", {"MARKEDVALUE": 4862951}, "Not a number.", "1 to 200 mm"),
    ("pnodes", 48.62951, "Not a whole number.", "whole number, 1 to 100"),
    ("pnodes", float("nan"), "Not a whole number.", "whole number, 1 to 100"),
    ("pnodes", "MARKEDVALUE", "Not a whole number.", "whole number, 1 to 100"),
    ("tgrade", "MARKEDVALUE", "Not one of the levels.", "one of: I, II, III"),
    ("tgrade", 4862951, "Not one of the levels.", "one of: I, II, III"),
    ("horTh", False, "Not one of the levels.", "one of: no, yes"),
]


@pytest.mark.parametrize(("field", "value", "message", "words"), FIELDS)
def test_a_bad_value_is_refused_with_field_and_allowed_values(clients, patients, field, value, message, words):
    bad = patients["gbsg"] | {field: value}
    response = _post(clients["gbsg"], bad)
    error = {"field": field, "message": message, "allowed": words}
    assert (response.status_code, _errors(response)) == (422, [error])
    batch = _post(clients["gbsg"], [patients["gbsg"], bad], path="/predict_batch")
    assert batch.status_code == 422
    assert _errors(batch) == [{"index": 1, **error}]


@pytest.mark.parametrize("field", ["tsize", "pnodes"])
def test_a_number_of_five_thousand_digits_is_refused(clients, patients, field):
    body = json.dumps(patients["gbsg"] | {field: "@"}).replace('"@"', "1" + "0" * 5000).encode()
    response = _post(clients["gbsg"], body)
    assert (response.status_code, _errors(response)) == (400, [{"message": UNREADABLE}])


def test_a_missing_field_is_named(clients, patients):
    response = _post(clients["gbsg"], {name: value for name, value in patients["gbsg"].items() if name != "tgrade"})
    assert response.status_code == 422
    assert _errors(response) == [
        {"field": "tgrade", "message": "This field is required and missing.", "allowed": "one of: I, II, III"}
    ]


def test_an_unknown_field_is_named_with_the_one_that_was_meant(clients, patients):
    response = _post(clients["gbsg"], patients["gbsg"] | {"her2": 4862951, "pnode": 1})
    assert response.status_code == 422
    messages = {error["field"]: error["message"] for error in _errors(response)}
    assert messages == {
        "her2": "There is no such field.",
        "pnode": "There is no such field. Did you mean pnodes?",
    }


def test_a_key_that_looks_like_no_column_is_not_repeated(clients, patients):
    response = _post(clients["gbsg"], patients["gbsg"] | {"Jane Doe, 1.2.1960": 1})
    assert [error["field"] for error in _errors(response)] == ["(unknown)"]


MALFORMED = [
    b"",
    b"{",
    b'{"tsize": MARKEDVALUE}',
    b"\xff\xfe",
    b'{"tsize": 4862951',
    b"[" * 100_000,
    b"nul",
    b'{"a" 1}',
]


@pytest.mark.parametrize("body", MALFORMED)
@pytest.mark.parametrize("path", ["/predict", "/predict_batch"])
def test_malformed_json_is_refused(clients, body, path):
    response = _post(clients["gbsg"], body, path=path)
    assert response.status_code == 400
    assert _errors(response) == [{"message": UNREADABLE}]


@pytest.mark.parametrize("body", [[], None, 4862951, "MARKEDVALUE", True, [{}]])
def test_something_else_than_a_patient_is_refused(clients, body):
    response = _post(clients["gbsg"], body)
    assert response.status_code == 422
    assert _errors(response) == [{"message": "Expected a JSON object: the fields of one patient."}]


@pytest.mark.parametrize("body", [[], {}, None, 4862951, "MARKEDVALUE"])
def test_something_else_than_a_list_of_patients_is_refused(clients, body):
    response = _post(clients["gbsg"], body, path="/predict_batch")
    assert response.status_code == 422
    assert _errors(response) == [{"message": "Expected a JSON list of 1 to 1000 patients."}]


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/vnd.bentoml+pickle",
        "",
    ],
)
def test_other_content_types_are_refused(clients, patients, kind):
    response = _post(clients["gbsg"], patients["gbsg"], headers={"content-type": kind})
    assert response.status_code == 415
    assert "application/json" in _errors(response)[0]["message"]


def test_a_compressed_body_is_refused(clients, patients):
    response = _post(clients["gbsg"], patients["gbsg"], headers=JSON | {"content-encoding": "gzip"})
    assert response.status_code == 415


def test_a_body_that_is_too_large_is_refused_with_and_without_its_length(clients):
    body = b"[" + b" " * MAX_BODY + b"]"
    assert _post(clients["gbsg"], body, path="/predict_batch").status_code == 413
    halves = iter([body[: MAX_BODY // 2], body[MAX_BODY // 2 :]])
    assert clients["gbsg"].post("/predict_batch", content=halves, headers=JSON).status_code == 413


def test_a_batch_full_of_faults_lists_some_and_counts_the_rest(clients):
    errors = _errors(_post(clients["gbsg"], [{}] * 1000, path="/predict_batch"))
    assert len(errors) == 51
    assert errors[-1] == {"message": "And 7950 more problems."}


def test_the_model_page_tells_what_is_served(clients):
    card = clients["gbsg"].get("/model").json()
    assert (card["name"], card["version"]) == ("relapse-gbsg", "0123456789ab")
    assert card["decision"] == {"verdict": "promoted"}
    assert card["checklist"].startswith("# TRIPOD+AI of a test")
    assert card["manifest"]["rows"] == 686
    assert card["metrics"][0]["key"] == "concordance"
    assert card["declaration"]["features"]["tsize"]["range"] == [1.0, 200.0]


def test_external_validations_known_at_packaging_are_told_with_their_day_and_source(clients):
    model, card = clients["wpbc"].get("/model").json(), clients["wpbc"].get("/card").text
    assert model["validations"]["asked"] == "2026-11-28"
    assert model["validations"]["found"] == [
        {"cohort": "elsewhere", "result": "ROC AUC 0.700", "day": "2026-11-27", "run": "ab12"}
    ]
    for text in (model["card"], card):
        assert all(part in text for part in ("External validation", "2026-11-28", "elsewhere", "2026-11-27", "ab12"))
    unknown = clients["gbsg"].get("/model").json()
    assert unknown["validations"] is None
    assert unknown["validated"].startswith("Not known here")


def test_the_front_page_leads_to_the_form(clients):
    response = clients["gbsg"].get("/")
    assert response.url.path == "/ui"
    assert response.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("name", ["gbsg", "wpbc"])
def test_the_openapi_document_describes_bodies_answers_and_refusals(clients, cohorts, name):
    document = clients[name].get("/docs.json").json()
    schemas = document["components"]["schemas"]
    assert list(schemas["Patient"]["properties"]) == cohorts[name].predictors
    assert (schemas["Patients"]["minItems"], schemas["Patients"]["maxItems"]) == (1, 1000)
    assert schemas["Patient"]["properties"]["tsize"]["maximum"] == cohorts[name].features["tsize"].range[1]
    answer = "SurvivalPrediction" if cohorts[name].survival else "BinaryPrediction"
    predict = document["paths"]["/predict"]["post"]
    assert predict["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Patient"}
    assert set(predict["responses"]) == {"200", "400", "401", "403", "408", "413", "415", "421", "422", "503"}
    assert predict["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith(f"/{answer}")
    assert {"/predict", "/predict_batch", "/explain", "/model", "/schema", "/livez", "/readyz"} <= set(
        document["paths"]
    )
    references = {part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]}
    assert references <= set(schemas)


@pytest.fixture
def everything_logged():
    """Every record of every logger, down to DEBUG, with its traceback."""
    lines = []

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append(logging.Formatter("%(name)s %(message)s").format(record))

    handler = Keep(level=logging.DEBUG)
    loggers = [logging.getLogger(name) for name in (None, "bentoml", "bentoml.access", "bentoml.serve")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield lines
    for logger, level in zip(loggers, before, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


def test_no_value_of_a_patient_reaches_a_log_or_a_refusal(
    clients, services, patients, everything_logged, monkeypatch, capfd
):
    client, good = clients["gbsg"], patients["gbsg"] | {"tsize": 48.62951}
    refusals = []
    assert _post(client, good).status_code == 200
    assert _post(client, [good] * 3, path="/predict_batch").status_code == 200
    for field, value, _, _ in FIELDS:
        bad = good | {field: value}
        refusals += [_post(client, bad), _post(client, [bad], path="/predict_batch")]
    refusals += [_post(client, body) for body in MALFORMED]
    refusals += [_post(client, good, headers={"content-type": "text/plain"}), _post(client, [good]), _post(client, {})]
    refusals += [_post(client, good | {"extra": "MARKEDVALUE"}), _post(client, good, path="/predict_batch")]
    assert {response.status_code for response in refusals} == {400, 415, 422}

    def fails(*arguments):
        raise ValueError("the library quotes 48.62951 and MARKEDVALUE")

    monkeypatch.setattr("relapse.candidates.risk_model.RiskModel.predict_score", fails)
    broken = _post(client, good)
    assert broken.status_code == 500
    everything = [*everything_logged, *(response.text for response in [*refusals, broken]), *capfd.readouterr()]
    assert any("PredictionFailed" in line for line in everything_logged)
    assert any("/predict" in line for line in everything_logged)
    assert [text for text in everything if any(mark in text for mark in MARKS)] == []


@pytest.mark.parametrize("name", ["gbsg", "wpbc"])
def test_an_explanation_adds_up_to_the_output_of_the_model(clients, predictors, cohorts, patients, name):
    found = _post(clients[name], patients[name], path="/explain").json()
    assert [one["field"] for one in found["contributions"]] == cohorts[name].predictors
    total = found["base"] + sum(one["value"] for one in found["contributions"])
    assert total == pytest.approx(found["output"], abs=1e-6)
    if name == "gbsg":
        others = [patients[name] | {"tsize": size} for size in (10, 40, 90)]
        score = [_post(clients[name], other).json()["score"] for other in others]
        output = [_post(clients[name], other, path="/explain").json()["output"] for other in others]
        # A score is the log cumulative hazard: the log-hazard that is explained, and the same constant for everyone.
        assert [a - b for a, b in zip(score, output, strict=True)] == pytest.approx(
            [score[0] - output[0]] * 3, abs=1e-6
        )


def test_a_curve_is_given_on_request_and_ends_at_the_last_horizon(clients, patients):
    plain = _post(clients["gbsg"], patients["gbsg"]).json()
    asked = _post(clients["gbsg"], patients["gbsg"], path="/predict?curve=true").json()
    curve = asked.pop("curve")
    assert plain.pop("curve") is None
    assert plain == asked
    assert curve["event_free"][0] == 1
    assert curve["event_free"] == sorted(curve["event_free"], reverse=True)
    assert 1 - curve["event_free"][-1] == pytest.approx(asked["risk"], rel=1e-9)
    assert _post(clients["wpbc"], patients["wpbc"], path="/predict?curve=true").status_code == 200


@pytest.mark.parametrize("name", ["gbsg", "wpbc"])
def test_an_answer_says_how_sure_it_is_and_which_group(clients, patients, name):
    answer = _post(clients[name], patients[name]).json()
    interval = answer["interval"]
    assert 0 <= interval["lower"] < answer["risk"] < interval["upper"] <= 1
    assert answer["certainty"].startswith("Delete-a-group jackknife: 3 models")
    lower, upper = clients[name].get("/model").json()["groups"]
    assert (lower, upper) == pytest.approx((0.3, 0.5))
    expected = "low" if answer["risk"] <= lower else "middle" if answer["risk"] <= upper else "high"
    assert answer["group"] == expected


def test_the_schema_asks_for_the_reference_first(clients, cohorts):
    found = clients["gbsg"].get("/schema").json()
    names = [field["name"] for field in found["fields"]]
    assert names[:3] == ["tsize", "tgrade", "pnodes"]
    assert sorted(names) == sorted(cohorts["gbsg"].predictors)
    assert list(found["horizons"]) == ["3 y", "5 y"]
    assert found["patient"]["additionalProperties"] is False
