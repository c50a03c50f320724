"""The bundle of an updated champion: moved risks in every part that holds any, and the rest as it was."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relapse.bundle.load import load_bundle
from relapse.bundle.model_file import dump_model, load_model
from relapse.bundle.updated import NewPatients, write_updated
from relapse.candidates.risk_model import RiskModel, Shift
from relapse.serving.predictor import Predictor, typical_patient
from tests.bundle.making import HASH, small_bundle, small_model

SHIFT = Shift(0.7, 0.8)


@pytest.mark.parametrize("name", ["wpbc", "gbsg"])
def test_an_updated_bundle_answers_by_the_moved_model_and_keeps_everybody_s_group(
    tmp_path: Path, cohorts: Any, tables: Any, name: str
) -> None:
    cohort, table = cohorts[name], tables[name]
    small_bundle(tmp_path / "champion", cohort, table, "linear", monitored=True)
    before = load_bundle(tmp_path / "champion")
    times = [item.time for item in cohort.survival.horizons] if cohort.survival else None
    known = table.assign(risk=before.model.shifted(SHIFT).predict_risk(table, times)[:, 0])
    manifest = write_updated(
        tmp_path / "updated",
        tmp_path / "champion",
        shift=SHIFT,
        patients=NewPatients("late", "late.csv", "sha256:0", known),
        metrics=[{"key": "auc", "label": "ROC AUC", "value": 0.7, "lower": 0.6, "upper": 0.8}],
        decision={"promoted": True},
        said=["It was moved."],
        content_hash=HASH[::-1],
        git_commit=None,
        origin=None,
    )
    found = load_bundle(tmp_path / "updated")
    assert found.manifest == manifest
    assert found.manifest.version != before.manifest.version
    np.testing.assert_allclose(
        found.model.predict_risk(table, times), before.model.shifted(SHIFT).predict_risk(table, times)
    )
    assert len(found.refits) == len(before.refits) > 0
    assert all(item.shift == SHIFT for item in found.refits)
    assert found.card.sections[-1].paragraphs == ("It was moved.",)
    assert found.monitored is not None
    assert found.monitored != before.monitored
    assert found.training == before.training
    # Who stood in the lowest third stands there now, answered by the service's own predictor.
    patient = typical_patient(cohort)
    (was,), (is_,) = Predictor(before).predict([patient]), Predictor(found).predict([patient])
    assert is_.risk != pytest.approx(was.risk)
    assert is_.group == was.group
    assert is_.interval is not None
    assert is_.interval.lower < is_.risk < is_.interval.upper


def test_a_model_that_was_never_updated_has_the_bytes_it_had(tmp_path: Path, cohorts: Any, tables: Any) -> None:
    from relapse.bundle.model_file import _content

    model = small_model(cohorts["wpbc"], tables["wpbc"], "linear")
    assert set(_content(model)) == {"model", "recalibration", "threshold"}
    moved = model.shifted(SHIFT)
    assert set(_content(moved)) == {"shift", "of"}, "what a library from before updates does not take for a model"
    dump_model(moved, tmp_path / "model.skops")
    again = load_model(tmp_path / "model.skops")
    assert isinstance(again, RiskModel)
    assert again.shift is not None
    assert asdict(again.shift) == asdict(SHIFT)
    np.testing.assert_array_equal(again.predict_risk(tables["wpbc"]), moved.predict_risk(tables["wpbc"]))
