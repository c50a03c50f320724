"""A whole block is missing: the reference answers, and says so."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from relapse.bundle.load import load_bundle
from relapse.serving.contract import NoteKind, Role
from relapse.serving.desk import Desk
from relapse.serving.patients import patient_model, with_blocks
from relapse.serving.predictor import Predictor
from relapse.serving.problems import of_validation
from relapse.serving.settings import Serving
from tests.bundle.blocks import a_patient, without
from tests.bundle.making import small_bundle

JSON = {"content-type": "application/json"}
NO_TEXTURE = "no value of block texture (MRI texture) was given"


@pytest.fixture(scope="module", params=["meadow", "harbour"])
def served(request, invented_cohorts, block_bundles):
    """Cohort, bundle and predictor of either invented cohort."""
    bundle = load_bundle(block_bundles[request.param])
    return invented_cohorts[request.param], bundle, Predictor(bundle)


def _asked(invented, *left_out, **changes):
    values = without(a_patient(invented.cohort, **changes), invented.cohort, *left_out)
    return patient_model(invented.cohort, ["texture", "genomic"])(**values)


def test_with_every_block_the_champion_answers_and_says_so(served):
    invented, bundle, predictor = served
    answer = predictor.predict([_asked(invented)])[0]
    assert (answer.model.role, answer.model.because) == (Role.CHAMPION, None)
    assert answer.model.title == bundle.manifest.title
    assert answer.model.name == f"relapse-{invented.cohort.name}"


@pytest.mark.parametrize(
    ("left_out", "because"),
    [
        (["texture"], NO_TEXTURE),
        (["genomic"], "no value of block genomic (Genomic assay) was given"),
        (["texture", "genomic"], "no value of blocks texture (MRI texture) and genomic (Genomic assay) was given"),
    ],
)
def test_without_a_block_the_reference_answers_with_its_own_risks(served, left_out, because):
    invented, bundle, predictor = served
    cohort = invented.cohort
    answer = predictor.predict([_asked(invented, *left_out)])[0]
    assert (answer.model.role, answer.model.title, answer.model.because) == ("reference", "Clinical reference", because)
    assert answer.model.version == bundle.manifest.version
    row = invented.table[cohort.predictors].head(1).assign(age=61.0, grade="high").astype({"grade": "category"})
    row["grade"] = row["grade"].cat.set_categories(["low", "high"], ordered=True)
    times = [horizon.time for horizon in cohort.survival.horizons] if cohort.survival else None
    risks = bundle.fallback_model.predict_risk(row, times)[0]
    assert answer.risk == pytest.approx(risks[-1], rel=1e-12)
    assert answer.interval.lower < answer.risk < answer.interval.upper
    edges = bundle.fallback.reference.groups
    assert answer.group == ["low", "middle", "high"][sum(answer.risk > edge for edge in edges)]
    if cohort.survival:
        assert [item.risk for item in answer.risks] == pytest.approx(risks.tolist(), rel=1e-12)
    else:
        assert (answer.threshold, answer.positive) == (0.3, answer.risk >= 0.3)


def test_the_reference_is_explained_by_its_own_features(served):
    invented, _, predictor = served
    found = predictor.explain(_asked(invented, "texture"))
    assert [one.field for one in found.contributions] == ["age", "grade"]
    assert found.base + sum(one.value for one in found.contributions) == pytest.approx(found.output)
    assert found.model.because == NO_TEXTURE
    whole = predictor.explain(_asked(invented))
    # The wide block may be reduced, so it is explained as one.
    assert [one.field for one in whole.contributions] == ["age", "grade", "nodes", "texture", "score", "assay"]
    assert whole.contributions[3].label == "MRI texture"


def test_notes_without_a_block_are_about_what_the_reference_looks_at(served):
    invented, _, predictor = served
    answer = predictor.predict([_asked(invented, "texture", age=100, nodes=None, score=99.0)])[0]
    assert {(note.field, note.kind) for note in answer.notes} <= {
        ("age", NoteKind.OUTSIDE_TRAINING),
        (None, NoteKind.UNUSUAL),
    }
    assert ("age", NoteKind.OUTSIDE_TRAINING) in {(note.field, note.kind) for note in answer.notes}
    with_it = predictor.predict([_asked(invented, age=100, nodes=None)])[0]
    assert ("nodes", NoteKind.IMPUTED) in {(note.field, note.kind) for note in with_it.notes}


def test_a_batch_is_answered_row_by_row_in_its_order(served):
    invented, _, predictor = served
    patients = [_asked(invented, *(["texture"] if row % 2 else []), age=40 + row) for row in range(9)]
    together = predictor.predict(patients, curve=True)
    assert [answer.model.role for answer in together] == ["champion", "reference"] * 4 + ["champion"]
    alone = [predictor.predict([patient])[0] for patient in patients]
    np.testing.assert_allclose([one.risk for one in together], [one.risk for one in alone], rtol=1e-9)


def test_a_part_of_a_block_has_to_be_whole_but_for_what_may_be_missing(served):
    invented, _, predictor = served
    patient = _asked(invented, tex001=None)
    answer = predictor.predict([patient])[0]
    assert answer.model.role == "champion"
    assert [(note.field, note.kind) for note in answer.notes if note.field == "tex001"] == [
        ("tex001", NoteKind.IMPUTED)
    ]
    with pytest.raises(ValidationError) as caught:
        _asked(invented, tex002=None, assay=None)
    errors = of_validation(caught.value, invented.cohort).errors
    assert [error.field for error in errors] == ["tex002", "assay"]
    assert errors[0].message.startswith("Missing, and other values of its block are there")


def test_a_null_block_is_a_missing_one(served):
    invented, _, predictor = served
    nothing = dict.fromkeys(invented.cohort.block_features("texture"))
    values = without(a_patient(invented.cohort), invented.cohort, "texture") | nothing
    model = patient_model(invented.cohort, ["texture", "genomic"])
    assert predictor.predict([model(**values)])[0].model.because == NO_TEXTURE


@pytest.mark.parametrize("field", ["age", "grade"])
def test_a_reference_feature_is_required_with_and_without_blocks(served, field):
    invented, *_ = served
    for left_out in ([], ["texture", "genomic"]):
        with pytest.raises(ValidationError, match=field):
            _asked(invented, *left_out, **{field: None})


def test_a_champion_that_is_the_reference_needs_no_block(tmp_path, invented_cohorts):
    invented = invented_cohorts["meadow"]
    small_bundle(tmp_path / "b", invented.cohort, invented.table, "reference", declaration=invented.declaration)
    predictor = Predictor(load_bundle(tmp_path / "b"))
    whole, bare = predictor.predict([_asked(invented), _asked(invented, "texture", "genomic")])
    assert whole.risk == pytest.approx(bare.risk, rel=1e-12)
    assert (bare.model.role, bare.model.because, bare.notes) == ("champion", None, [])


def test_the_schema_holds_the_blocks_and_when_they_may_be_left_out(invented_cohorts):
    import jsonschema

    cohort = invented_cohorts["meadow"].cohort
    patient = patient_model(cohort, ["texture", "genomic"])
    schema = with_blocks(patient.model_json_schema(), patient)
    assert schema["properties"]["tex000"]["block"] == "texture"
    assert "block" not in schema["properties"]["age"]
    assert schema["required"] == ["age", "grade"]
    texture = schema["blocks"]["texture"]
    assert (texture["title"], texture["costly"], texture["optional"]) == ("MRI texture", True, True)
    assert texture["description"] == "Read by a machine from the MRI."
    assert texture["features"] == cohort.block_features("texture")
    whole = a_patient(cohort)
    for good in (whole, without(whole, cohort, "texture"), without(whole, cohort, "texture", "genomic")):
        jsonschema.validate(good, schema)
    jsonschema.validate(whole | {"tex001": None}, schema)
    for bad in (whole | {"tex002": None}, {key: value for key, value in whole.items() if key != "assay"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, schema)


def test_without_a_fallback_every_block_is_required(invented_cohorts):
    cohort = invented_cohorts["meadow"].cohort
    schema = with_blocks(patient_model(cohort).model_json_schema(), patient_model(cohort))
    assert set(cohort.predictors) - set(schema["required"]) == {"nodes", "tex001"}
    assert schema["blocks"]["texture"]["optional"] is False
    with pytest.raises(ValidationError, match="tex000"):
        patient_model(cohort)(**without(a_patient(cohort), cohort, "texture"))


def _post(client, body, path="/predict"):
    return client.post(path, content=json.dumps(body).encode(), headers=JSON)


@pytest.mark.parametrize("name", ["meadow", "harbour"])
def test_the_service_answers_explains_and_refuses(block_clients, invented_cohorts, name):
    client, cohort = block_clients[name], invented_cohorts[name].cohort
    whole = a_patient(cohort)
    bare = without(whole, cohort, "texture")
    assert _post(client, whole).json()["model"]["role"] == "champion"
    answer = _post(client, bare).json()
    assert (answer["model"]["role"], answer["model"]["because"]) == ("reference", NO_TEXTURE)
    why = _post(client, bare, "/explain").json()
    assert ([one["field"] for one in why["contributions"]], why["model"]) == (["age", "grade"], answer["model"])
    batch = _post(client, [whole, bare, whole], "/predict_batch").json()
    assert [one["model"]["role"] for one in batch] == ["champion", "reference", "champion"]
    refused = _post(client, [whole, whole | {"tex005": None}], "/predict_batch")
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert (error["index"], error["field"], error["allowed"]) == (1, "tex005", "-50 to 150")


def test_the_audit_log_says_which_model_answered(tmp_path, block_bundles, invented_cohorts):
    settings = Serving(token=None, audit_log=tmp_path / "log", audit_key=b"k" * 16, seconds=10)
    desk = Desk(load_bundle(block_bundles["harbour"]), settings)
    invented = invented_cohorts["harbour"]
    desk.predict([_asked(invented), _asked(invented, "genomic")], endpoint="predict_batch")
    desk.explain(_asked(invented, "genomic"))
    lines = [json.loads(line)["output"] for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["role"] for line in lines] == ["champion", "reference", "reference"]


def test_schema_card_and_openapi_tell_the_blocks_and_the_fallback(block_clients, invented_cohorts):
    client, cohort = block_clients["meadow"], invented_cohorts["meadow"].cohort
    form, model, document = (client.get(path).json() for path in ("/schema", "/model", "/docs.json"))
    assert [(block["name"], block["costly"]) for block in form["blocks"]] == [("texture", True), ("genomic", False)]
    assert form["blocks"] == model["blocks"]
    assert form["blocks"][0]["features"] == cohort.block_features("texture")
    assert form["fallback"] == "Clinical reference"
    assert {field["name"]: field["block"] for field in form["fields"]} == {
        name: cohort.features[name].block for name in cohort.predictors
    }
    assert model["fallback"]["features"] == ["age", "grade"]
    assert document["components"]["schemas"]["Patient"]["blocks"]["texture"]["title"] == "MRI texture"
    assert "because" in document["components"]["schemas"]["ServedModel"]["required"]


def test_a_cohort_without_blocks_has_none_to_tell(clients, patients):
    assert clients["gbsg"].get("/schema").json()["blocks"] == []
    assert clients["gbsg"].get("/model").json()["fallback"] is None
    assert "blocks" not in clients["gbsg"].get("/docs.json").json()["components"]["schemas"]["Patient"]
    assert _post(clients["gbsg"], patients["gbsg"]).json()["model"]["role"] == "champion"
