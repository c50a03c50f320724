import pytest
from pydantic import ValidationError

from relapse.cohorts.schema import Cohort
from relapse.ground.declarations import read_yaml
from relapse.serving.patients import MAX_BATCH, allowed, batch_model, patient_model
from tests.bundle.blocks import a_patient


def test_the_fields_are_the_predictors_in_declared_order(cohorts):
    for cohort in cohorts.values():
        assert list(patient_model(cohort).model_fields) == cohort.inputs


def test_a_feature_known_only_after_baseline_is_no_field(root):
    declared = read_yaml(root / "data" / "cohorts" / "gbsg.yaml")
    declared["features"]["horTh"]["known"] = "after"
    assert "horTh" not in patient_model(Cohort.model_validate(declared)).model_fields


def test_the_schema_holds_range_unit_levels_and_label(cohorts):
    schema = patient_model(cohorts["gbsg"]).model_json_schema()
    tsize = {"title": "Tumour size", "type": "number", "minimum": 1.0, "maximum": 200.0, "unit": "mm"}
    assert schema["properties"]["tsize"] == tsize
    pnodes = {"title": "Positive lymph nodes", "type": "integer", "minimum": 1, "maximum": 100}
    assert schema["properties"]["pnodes"] == pnodes
    assert schema["properties"]["tgrade"]["enum"] == ["I", "II", "III"]
    assert schema["properties"]["horTh"]["description"] == "Tamoxifen as assigned in the trial"
    assert schema["additionalProperties"] is False
    assert schema["required"] == cohorts["gbsg"].predictors


def test_only_features_that_may_be_missing_are_optional(cohorts, patients):
    schema = patient_model(cohorts["wpbc"]).model_json_schema()
    assert set(cohorts["wpbc"].predictors) - set(schema["required"]) == {"pnodes"}
    without = {name: value for name, value in patients["wpbc"].items() if name != "pnodes"}
    assert patient_model(cohorts["wpbc"])(**without).pnodes is None
    assert patient_model(cohorts["wpbc"])(**without, pnodes=None).pnodes is None


def test_a_whole_number_may_be_written_with_a_decimal_point(cohorts, patients):
    assert patient_model(cohorts["gbsg"])(**patients["gbsg"] | {"pnodes": 4.0}).pnodes == 4


@pytest.mark.parametrize("value", [True, "31", "", None, [31], float("nan"), float("inf"), -1, 200.001, 10**400])
def test_what_is_no_number_in_range_is_refused(cohorts, patients, value):
    with pytest.raises(ValidationError, match="tsize"):
        patient_model(cohorts["gbsg"])(**patients["gbsg"] | {"tsize": value})


@pytest.mark.parametrize("value", [True, "4", 4.5, None, float("nan"), 0, 101])
def test_what_is_no_whole_number_in_range_is_refused(cohorts, patients, value):
    with pytest.raises(ValidationError, match="pnodes"):
        patient_model(cohorts["gbsg"])(**patients["gbsg"] | {"pnodes": value})


@pytest.mark.parametrize("value", ["IV", "ii", " II", "", 2, None, True])
def test_what_is_no_level_is_refused(cohorts, patients, value):
    with pytest.raises(ValidationError, match="tgrade"):
        patient_model(cohorts["gbsg"])(**patients["gbsg"] | {"tgrade": value})


def test_the_values_of_a_rejected_patient_stay_out_of_the_message(cohorts, patients):
    with pytest.raises(ValidationError) as caught:
        patient_model(cohorts["gbsg"])(**patients["gbsg"] | {"tsize": 98765.4321, "horTh": "MARKED"})
    assert "98765" not in str(caught.value)
    assert "MARKED" not in str(caught.value)


def test_a_batch_holds_one_to_a_thousand_patients(cohorts, patients):
    batch = batch_model(patient_model(cohorts["gbsg"]))
    assert len(batch.model_validate([patients["gbsg"]] * MAX_BATCH).root) == 1000
    for wrong in ([], [patients["gbsg"]] * (MAX_BATCH + 1), patients["gbsg"], None):
        with pytest.raises(ValidationError):
            batch.model_validate(wrong)


@pytest.mark.parametrize(
    ("cohort", "name", "words"),
    [
        ("gbsg", "tsize", "1 to 200 mm"),
        ("gbsg", "age", "whole number, 18 to 100 years"),
        ("gbsg", "tgrade", "one of: I, II, III"),
        ("wpbc", "pnodes", "whole number, 0 to 100; or null"),
    ],
)
def test_what_a_field_takes_is_said_in_words(cohorts, cohort, name, words):
    assert allowed(cohorts[cohort], name) == words


def test_a_learnt_range_is_no_limit_but_for_what_is_far_out(invented_cohorts):
    declared = invented_cohorts["meadow"].cohort.model_dump(mode="json", exclude_unset=True)
    declared["features"]["score"] = {"type": "continuous", "range": [0, 50], "learnt": True, "block": "genomic"}
    declared["endpoint"]["horizons"] = ["3 y", "5 y"]
    cohort = Cohort.model_validate(declared)
    model, patient = patient_model(cohort), a_patient(cohort)
    assert allowed(cohort, "score") == "number, usually 0 to 50"
    assert model(**patient | {"score": 93.0}).score == 93
    with pytest.raises(ValidationError, match="score"):
        model(**patient | {"score": 1e9})
