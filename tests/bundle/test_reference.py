import numpy as np
import pandas as pd
import pytest

from relapse.bundle.reference import SIZE, Distance, positions, read_reference, refer
from relapse.ground.errors import BundleError


@pytest.mark.parametrize("name", ["gbsg", "wpbc", "radiomics"])
def test_one_in_a_hundred_of_the_training_is_beyond_the_limit(cohorts, tables, name):
    found = refer(tables[name], cohorts[name], risks=[0.1, 0.2, 0.3])
    far = Distance(found, cohorts[name])(positions(tables[name], cohorts[name])) > found.limit
    assert 0 < far.sum() <= np.ceil(0.01 * len(far))


def test_no_row_of_a_patient_is_among_the_typical_ones(cohorts, tables):
    for name, table in tables.items():
        cohort = cohorts[name]
        found = refer(table, cohort, risks=[])
        typical = found.background(cohort).table
        assert 2 <= len(typical) <= SIZE
        assert sum(found.weights) == pytest.approx(1)
        assert pd.merge(typical, table[cohort.predictors], how="inner").empty


def test_the_distance_is_the_mean_of_what_each_feature_differs_by(cohorts, tables):
    cohort = cohorts["gbsg"]
    found = refer(tables["gbsg"], cohort, risks=[])
    one = found.model_copy(
        update={"typical": {name: values[:1] for name, values in found.typical.items()}, "weights": (1.0,)}
    )
    patient = one.background(cohort).table.copy()
    assert Distance(one, cohort)(positions(patient, cohort)) == pytest.approx([0])
    patient["age"] += found.spread["age"] / 2
    patient["menostat"] = pd.Categorical(
        [level for level in cohort.features["menostat"].names if level != patient["menostat"].iloc[0]],
        dtype=patient["menostat"].dtype,
    )
    assert Distance(one, cohort)(positions(patient, cohort)) == pytest.approx([(0.5 + 1) / 8])
    patient["tsize"] = np.nan
    assert Distance(one, cohort)(positions(patient, cohort)) == pytest.approx([(0.5 + 1) / 7])


def test_a_combination_that_nobody_has_is_farther_than_the_limit(cohorts, tables):
    cohort, table = cohorts["gbsg"], tables["gbsg"]
    found = refer(table, cohort, risks=[])
    patient = table.head(1).assign(age=21.0, pnodes=51.0, progrec=2380.0, estrec=1144.0, tsize=120.0)
    assert Distance(found, cohort)(positions(patient, cohort)) > found.limit


def test_groups_are_thirds_of_the_risks(cohorts, tables):
    risks = np.linspace(0, 1, 301)
    assert refer(tables["gbsg"], cohorts["gbsg"], risks=risks).groups == pytest.approx((1 / 3, 2 / 3))
    assert refer(tables["gbsg"], cohorts["gbsg"], risks=[]).groups is None


def test_a_reference_of_another_shape_is_refused(cohorts, tables, tmp_path):
    (tmp_path / "reference.json").write_text("{}")
    with pytest.raises(BundleError, match="not as expected"):
        read_reference(tmp_path / "reference.json", cohorts["gbsg"])
    (tmp_path / "reference.json").write_text(refer(tables["wpbc"], cohorts["wpbc"], risks=[]).model_dump_json())
    with pytest.raises(BundleError, match="not the predictors of cohort gbsg"):
        read_reference(tmp_path / "reference.json", cohorts["gbsg"])
