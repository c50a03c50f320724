"""The service treats a missing value as training did, by the rule of the model that answers, and says how."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from relapse.bundle.load import load_bundle
from relapse.bundle.model_file import dump_model, load_model
from relapse.bundle.reference import positions
from relapse.bundle.write import write_bundle
from relapse.candidates.catalogue import family
from relapse.explanation.background import typical_patients
from relapse.explanation.shapley import explainer
from relapse.serving.contract import form
from relapse.serving.encoding import quick, quickly_explained
from relapse.serving.patients import patient_model
from relapse.serving.predictor import Predictor
from tests.bundle.making import CARD, CHECKLIST, HASH
from tests.gaps import OPEN, RULES, SMALL, gappy_cohort, gappy_declaration, gappy_model, gappy_table

PATIENT: dict[str, Any] = {
    "age": 70.0,
    "size": 30.0,
    "nodes": 4,
    "grade": "II",
    "receptor": "positive",
    "subtype": "luminal B",
}


@pytest.mark.parametrize("survival", [True, False])
@pytest.mark.parametrize("candidate", SMALL)
@pytest.mark.parametrize("rules", RULES)
def test_a_patient_is_encoded_as_the_fitted_transformers_do_it(
    rules: str, candidate: str, survival: bool, tmp_path: Path
) -> None:
    cohort = gappy_cohort(rules, survival=survival)
    table = gappy_table(cohort)
    dump_model(gappy_model(cohort, table, candidate), tmp_path / "model.skops")
    model = load_model(tmp_path / "model.skops")
    part = gappy_table(cohort, seed=11, rows=60)
    np.testing.assert_array_equal(
        model.predict_score(part), gappy_model(cohort, table, candidate).predict_score(part), "read as written"
    )
    part.loc[part.index[:3], list(OPEN)] = np.nan
    times = [item.time for item in cohort.survival.horizons] if cohort.survival else None
    found, values = quick(model, cohort), positions(part, cohort)
    np.testing.assert_allclose(found.predict_risk(values, times), model.predict_risk(part, times), rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.predict_score(values), model.predict_score(part), rtol=1e-9, atol=1e-9)
    explained = explainer(model, typical_patients(table, cohort, size=4), cohort)
    expected, quickly = explained(part.head(3)), quickly_explained(explained, cohort)(values[:3])
    np.testing.assert_allclose(quickly.values, expected.values, rtol=0, atol=1e-9)


@dataclass(frozen=True)
class Served:
    """A predictor, and what it was made from."""

    predictor: Predictor
    bundle: Any
    table: Any


def _served(folder: Path, rules: str | dict[str, str], candidate: str, *, survival: bool = True) -> Served:
    cohort = gappy_cohort(rules, survival=survival)
    table = gappy_table(cohort)
    YAML().dump(gappy_declaration(rules, survival=survival), folder / "gappy.yaml")
    paths = [folder / f"model-{part}.skops" for part in range(4)]
    dump_model(gappy_model(cohort, table, candidate), paths[0])
    for part, path in enumerate(paths[1:]):
        dump_model(gappy_model(cohort, table[table["row"] % 3 != part].reset_index(drop=True), candidate), path)
    write_bundle(
        folder / "bundle",
        model=paths[0],
        declaration=folder / "gappy.yaml",
        table=table,
        candidate=candidate,
        title=family(candidate).title,
        content_hash=HASH,
        table_hash=HASH,
        git_commit=None,
        metrics=[],
        decision={},
        card=CARD,
        checklist=CHECKLIST,
        risks=[0.1, 0.3, 0.5],
        refits=paths[1:],
    )
    bundle = load_bundle(folder / "bundle")
    return Served(Predictor(bundle), bundle, table)


def _notes(served: Served, **changes: Any) -> dict[str | None, tuple[str, str]]:
    patient = patient_model(served.bundle.cohort)(**PATIENT | changes)
    (answer,) = served.predictor.predict([patient])
    assert 0 <= answer.risk <= 1
    assert answer.interval is not None
    explained = served.predictor.explain(patient)
    assert explained.output == pytest.approx(explained.base + sum(item.value for item in explained.contributions))
    return {note.field: (str(note.kind), note.message) for note in answer.notes}


def test_each_note_says_what_was_done_with_that_value(tmp_path: Path) -> None:
    rules = dict(zip(OPEN, ("native", "indicator", "iterative", "median", "native"), strict=True))
    trees = _served(tmp_path, rules, "xgboost")
    found = _notes(trees, **dict.fromkeys(OPEN))
    median = f"{trees.table['nodes'].median():.6g}"
    mode = trees.table["receptor"].mode()[0]
    learnt = "No value was given, and none is filled in: the model learnt what to do from patients without one."
    assert found["size"] == ("left missing", learnt)
    assert found["subtype"] == ("left missing", learnt)
    assert found["nodes"] == (
        "imputed",
        f"No value was given; it is filled with {median}, the median of the training, and the model is told that it was "
        "missing.",
    )
    assert (
        found["grade"][1]
        == "No value was given; it is imputed from this patient's other values, as learnt in training."
    )
    assert (
        found["receptor"][1]
        == f"No value was given; it is filled with {mode}, the most frequent level of the training."
    )
    assert not set(OPEN) & set(_notes(trees))


def test_a_model_without_native_handling_says_that_it_filled(tmp_path: Path) -> None:
    linear = _served(tmp_path, "native", "linear", survival=False)
    kind, message = _notes(linear, size=None)["size"]
    assert kind == "imputed"
    median = linear.table["size"].median()
    assert message.startswith(f"No value was given; it is filled with {median:.6g} mm, the median of the training, and")


def test_what_a_model_does_not_use_needs_no_note(tmp_path: Path) -> None:
    reference = _served(tmp_path, "median", "reference")
    assert "size" in _notes(reference, size=None, nodes=None)
    assert "nodes" not in _notes(reference, size=None, nodes=None)


@pytest.mark.parametrize("rules", RULES)
def test_the_service_answers_with_the_models_very_rule(tmp_path: Path, rules: str) -> None:
    served = _served(tmp_path, rules, "xgboost")
    cohort = served.bundle.cohort
    part = gappy_table(cohort, seed=11, rows=20)
    patients = [
        patient_model(cohort)(**{key: None if value != value else value for key, value in row.items()})
        for row in part[cohort.predictors].astype(object).to_dict("records")
    ]
    times = [item.time for item in cohort.survival.horizons]
    expected = served.bundle.model.predict_risk(part, times)
    answers = served.predictor.predict(patients)
    np.testing.assert_allclose([[item.risk for item in answer.risks] for answer in answers], expected, atol=1e-9)


def test_only_what_may_not_be_missing_is_required() -> None:
    rules = dict(zip(OPEN, (*RULES, "median"), strict=True))
    content = gappy_declaration(rules, survival=True)
    content["features"]["nodes"] |= {"missing": "refuse", "max_missing": 0}
    cohort = type(gappy_cohort("median", survival=True)).model_validate(content)
    patient = patient_model(cohort)
    with pytest.raises(ValidationError) as caught:
        patient()
    assert {item["loc"][0] for item in caught.value.errors()} == {"age", "nodes"}
    assert sorted(patient.model_json_schema()["required"]) == ["age", "nodes"]


def test_the_form_marks_what_may_be_left_empty(tmp_path: Path) -> None:
    served = _served(tmp_path, "iterative", "linear")
    fields = {item.name: item for item in form(served.bundle).fields}
    assert {name for name, item in fields.items() if item.optional} == set(OPEN)
    assert all(item.allowed.endswith("; or null") == item.optional for item in fields.values())
