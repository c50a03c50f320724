"""The known example is what the bundle answers, and stands only beside its own bundle."""

import json
from pathlib import Path
from typing import Any

import pytest

from relapse.bundle.load import load_bundle
from relapse.ground.errors import BundleError
from relapse.serving.example import example_file, read_example, risks_of, write_example
from relapse.serving.predictor import Predictor, typical_patient
from tests.bundle.making import small_bundle


@pytest.mark.parametrize("name", ["wpbc", "gbsg"])
def test_the_example_is_a_made_up_patient_and_the_bundle_s_own_answer(
    tmp_path: Path, cohorts: Any, tables: Any, name: str
) -> None:
    bundle = tmp_path / "bundle"
    small_bundle(bundle, cohorts[name], tables[name], "reference")
    with pytest.raises(BundleError, match=r"missing\. Package the champion again"):
        read_example(bundle)
    written = write_example(bundle)
    assert read_example(bundle) == written
    loaded = load_bundle(bundle)
    patient = typical_patient(loaded.cohort)
    (answer,) = Predictor(loaded).predict([type(patient).model_validate_json(json.dumps(written.patient))])
    assert written.risks == risks_of(answer.model_dump(mode="json"))
    horizons = loaded.cohort.survival.horizons if loaded.cohort.survival else [None]
    assert len(written.risks) == len(horizons)


def test_the_example_of_another_bundle_is_refused(tmp_path: Path, cohorts: Any, tables: Any) -> None:
    for name, candidate in (("one", "reference"), ("two", "linear")):
        small_bundle(tmp_path / name, cohorts["wpbc"], tables["wpbc"], candidate)
        write_example(tmp_path / name)
    example_file(tmp_path / "one").replace(example_file(tmp_path / "two"))
    with pytest.raises(BundleError, match="example of another bundle"):
        read_example(tmp_path / "two")
    example_file(tmp_path / "two").write_text("{}")
    with pytest.raises(BundleError, match="not as expected"):
        read_example(tmp_path / "two")
