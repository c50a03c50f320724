import dataclasses

import numpy as np
import pytest

from relapse.bundle.load import load_bundle
from relapse.bundle.summary import LevelSummary
from relapse.candidates.risk_model import RiskModel
from relapse.serving.contract import NoteKind
from relapse.serving.patients import patient_model
from relapse.serving.predictor import PredictionFailed, Predictor


def _several(cohort, table, count=25):
    patient = patient_model(cohort)
    rows = table[cohort.predictors].head(count).astype(object)
    return [
        patient(**{name: None if value != value else value for name, value in row.items()})
        for _, row in rows.iterrows()
    ]


@pytest.mark.parametrize("name", ["gbsg", "wpbc"])
def test_served_risks_are_those_that_the_model_gives_its_own_table(predictors, bundles, cohorts, tables, name):
    cohort, model = cohorts[name], load_bundle(bundles[name]).model
    table = tables[name].head(25)
    answers = predictors[name].predict(_several(cohort, table))
    times = [horizon.time for horizon in cohort.survival.horizons] if cohort.survival else None
    expected = model.predict_risk(table, times)
    np.testing.assert_allclose([answer.risk for answer in answers], expected[:, -1], rtol=1e-12)
    np.testing.assert_allclose([answer.score for answer in answers], model.predict_score(table), rtol=1e-12)
    if cohort.survival:
        shown = [[item.risk for item in answer.risks] for answer in answers]
        np.testing.assert_allclose(shown, expected, rtol=1e-12)
        assert [item.horizon for item in answers[0].risks] == ["3 y", "5 y"]
        assert answers[0].horizon == "5 y"


@pytest.mark.parametrize("name", ["gbsg", "wpbc"])
def test_a_patient_gets_the_same_answer_alone_and_in_a_batch(predictors, cohorts, tables, name):
    patients = _several(cohorts[name], tables[name])
    together = predictors[name].predict(patients)
    alone = [predictors[name].predict([patient])[0] for patient in patients]
    for one, other in zip(together, alone, strict=True):
        assert one.notes == other.notes
        assert one.group == other.group
        numbers = [[found.risk, found.score, found.interval.lower, found.interval.upper] for found in (one, other)]
        np.testing.assert_allclose(*numbers, rtol=1e-9)


def test_a_binary_answer_is_positive_from_the_threshold_on(bundles, cohorts, tables):
    bundle = load_bundle(bundles["wpbc"])
    patients = _several(cohorts["wpbc"], tables["wpbc"])
    risks = [answer.risk for answer in Predictor(bundle).predict(patients)]
    at_one = dataclasses.replace(bundle, model=dataclasses.replace(bundle.model, threshold=sorted(risks)[12]))
    answers = Predictor(at_one).predict(patients)
    assert [answer.positive for answer in answers] == [risk >= sorted(risks)[12] for risk in risks]
    assert {answer.threshold for answer in answers} == {sorted(risks)[12]}


def test_an_answer_names_model_version_and_outcome(predictors, cohorts, patients):
    answer = predictors["gbsg"].predict([patient_model(cohorts["gbsg"])(**patients["gbsg"])])[0]
    assert (answer.model.name, answer.model.version) == ("relapse-gbsg", "0123456789ab")
    assert (answer.model.role, answer.model.title, answer.model.because) == ("champion", "Elastic net", None)
    assert answer.outcome == "relapse or death (recurrence-free survival)"
    assert answer.notes == []


def test_a_value_outside_what_training_has_seen_is_noted_with_that_range(predictors, cohorts, patients):
    patient = patient_model(cohorts["gbsg"])(**patients["gbsg"] | {"tsize": 150.5})
    (note,) = predictors["gbsg"].predict([patient])[0].notes
    assert (note.field, note.kind) == ("tsize", NoteKind.OUTSIDE_TRAINING)
    assert note.message == "Outside what was seen in training, 3 to 120 mm."


def test_a_level_that_training_has_not_seen_is_noted(bundles, cohorts, patients):
    bundle = load_bundle(bundles["gbsg"])
    unseen = LevelSummary(counts={"I": 81, "II": 0, "III": 161}, missing=0)
    predictor = Predictor(dataclasses.replace(bundle, training=bundle.training | {"tgrade": unseen}))
    (note,) = predictor.predict([patient_model(cohorts["gbsg"])(**patients["gbsg"])])[0].notes
    assert (note.field, note.kind) == ("tgrade", NoteKind.OUTSIDE_TRAINING)


def test_a_missing_value_is_imputed_and_noted(predictors, cohorts, patients):
    patient = patient_model(cohorts["wpbc"])(**patients["wpbc"] | {"pnodes": None})
    answer = predictors["wpbc"].predict([patient])[0]
    assert [(note.field, note.kind) for note in answer.notes] == [("pnodes", NoteKind.IMPUTED)]
    assert 0 <= answer.risk <= 1


def test_an_error_of_the_model_is_told_without_its_text(bundles, monkeypatch):
    bundle = load_bundle(bundles["gbsg"])

    def predict_score(self, values):
        raise ValueError(f"cannot digest {values}")

    monkeypatch.setattr(RiskModel, "predict_score", predict_score)
    # A predictor tries itself at the start, so the fault shows there.
    with pytest.raises(PredictionFailed, match=r"ValueError at .*predict_score, line \d+\.$") as caught:
        Predictor(bundle)
    assert caught.value.__suppress_context__
