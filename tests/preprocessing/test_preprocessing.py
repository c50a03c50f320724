"""What is fitted is fitted on the rows given, and the matrix is as declared."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from relapse.cohorts.schema import Cohort
from relapse.preprocessing.encodings import Encodings, KeptEncoder
from relapse.preprocessing.sampling import Oversampler, oversampler
from relapse.preprocessing.transformers import Scaling, encoder, expander, ordered_columns


def test_encoding_scales_numbers_and_codes_levels_in_declared_order(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort, table = cohorts["gbsg"], tables["gbsg"]
    matrix = encoder(cohort, cohort.predictors).fit_transform(table)
    order = ordered_columns(cohort, cohort.predictors)
    numeric = len(cohort.numeric(cohort.predictors))
    np.testing.assert_allclose(matrix[:, :numeric].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(matrix[:, :numeric].std(axis=0), 1)
    np.testing.assert_array_equal(matrix[:, order.index("tgrade")], table["tgrade"].cat.codes)


def test_rows_not_fitted_on_do_not_change_the_encoding(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    fitted = encoder(cohort, cohort.predictors).fit(table[:100])
    extreme = table.copy()
    extreme.loc[100:, cohort.predictors] = 1e6
    np.testing.assert_array_equal(fitted.transform(table[:100]), fitted.transform(extreme[:100]))
    assert abs(fitted.transform(extreme[100:]).mean()) > 1e3


def test_missing_values_become_the_median_of_the_rows_fitted_on(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    assert table["pnodes"].isna().any()
    fitted = encoder(cohort, ["pnodes"]).fit(table)
    filled = table.assign(pnodes=table["pnodes"].fillna(table["pnodes"].median()))
    np.testing.assert_allclose(fitted.transform(table), fitted.transform(filled))


def test_expansion_makes_one_indicator_less_than_levels(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    cohort = cohorts["gbsg"]
    matrix = encoder(cohort, cohort.predictors).fit_transform(tables["gbsg"])
    assert expander(cohort, cohort.predictors).fit_transform(matrix).shape == (686, 8)


def test_a_cohort_that_asks_for_none_is_not_resampled(cohorts: dict[str, Cohort]) -> None:
    assert oversampler(cohorts["gbsg"], cohorts["gbsg"].predictors, seed=0) is None
    assert oversampler(cohorts["wpbc"], cohorts["wpbc"].predictors, seed=0) is not None


@pytest.mark.parametrize(("numbers", "codes"), [(3, 0), (2, 1), (0, 3)])
def test_oversampling_balances_and_keeps_codes_codes(numbers: int, codes: int) -> None:
    rng = np.random.default_rng(0)
    matrix = np.column_stack([rng.normal(size=(60, numbers)), rng.integers(0, 3, size=(60, codes))])
    outcome = np.r_[np.ones(12, dtype=int), np.zeros(48, dtype=int)]
    resampled, target = Oversampler(numbers, codes, random_state=1).fit_resample(matrix, outcome)
    assert np.bincount(target).tolist() == [48, 48]
    np.testing.assert_array_equal(resampled[:60], matrix)
    assert set(np.unique(resampled[:, numbers:])) <= {0.0, 1.0, 2.0}


def test_a_minority_smaller_than_the_neighbourhood_is_still_resampled() -> None:
    matrix = np.random.default_rng(0).normal(size=(20, 2))
    _, three = Oversampler(2, 0).fit_resample(matrix, np.r_[np.ones(3, dtype=int), np.zeros(17, dtype=int)])
    assert np.bincount(three).tolist() == [17, 17]
    _, one = Oversampler(2, 0).fit_resample(matrix, np.r_[np.ones(1, dtype=int), np.zeros(19, dtype=int)])
    assert np.bincount(one).tolist() == [19, 1]


@pytest.mark.parametrize("scaling", ["standard", "yeo-johnson"])
def test_kept_encodings_are_those_made_anew(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], scaling: Scaling
) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    plain, kept = encoder(cohort, cohort.predictors, scaling=scaling), Encodings(table)
    for seen, unseen in [(table[:100], table[100:]), (table[50:], table[:50]), (table[:100], table[100:])]:
        expected = clone(plain).fit(seen)
        found = clone(KeptEncoder(plain, kept)).fit(seen)
        for rows in (seen, unseen):
            np.testing.assert_array_equal(found.transform(rows), expected.transform(rows))
            found.transform(rows)[:] = 0.0
    with pytest.raises(ValueError, match="not unique"):
        Encodings(pd.concat([table, table]))


def test_what_one_encoder_learnt_is_not_anothers(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    cohort, table = cohorts["gbsg"], tables["gbsg"]
    kept = Encodings(table)
    made = [
        KeptEncoder(encoder(cohort, columns, scaling=scaling), kept).fit_transform(table)
        for columns in (cohort.predictors, cohort.predictors[:2])
        for scaling in ("standard", "yeo-johnson")
    ]
    assert [matrix.shape[1] for matrix in made] == [len(cohort.predictors)] * 2 + [2] * 2
    assert not np.array_equal(made[0], made[1])


def test_an_encoding_is_learnt_once(tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    rows, fits, plain = tables["wpbc"][["pnodes"]], [], StandardScaler.fit

    def counted(self: StandardScaler, X: pd.DataFrame, y: object = None) -> StandardScaler:
        fits.append(len(X))
        return plain(self, X, y)

    monkeypatch.setattr(StandardScaler, "fit", counted)
    kept = Encodings(rows)
    for _ in range(3):
        for some in (rows[:90], rows[90:]):
            KeptEncoder(StandardScaler(), kept).fit(some)
    assert fits == [90, len(rows) - 90]
