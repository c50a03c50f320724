"""ComBat inside the fold: the published formulas, sites not seen, and blocks too small for it."""

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer

from relapse.preprocessing.harmonising import ROWS, Harmoniser


def _table(rows: int = 240, columns: int = 12, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    site = rng.choice(["a", "b", "c"], rows)
    values = rng.normal(size=(rows, columns)) * rng.uniform(0.5, 3, columns) + rng.normal(size=columns) * 5
    for place, name in enumerate("abc"):
        values[site == name] = values[site == name] * (1 + 0.4 * place) + place * rng.normal(1, 1, size=columns)
    return (
        pd.DataFrame(values)
        .rename(columns=str)
        .pipe(lambda frame: pd.concat([pd.Series(site, name="site"), frame], axis=1))
    )


def _harmoniser() -> Harmoniser:
    return Harmoniser(SimpleImputer(strategy="median", keep_empty_features=True))


def _published(table: pd.DataFrame) -> np.ndarray:
    """Johnson, Li and Rabinovic (2007), their equations, iterated to convergence with loops."""
    X, site = table.iloc[:, 1:].to_numpy(), table["site"].to_numpy()
    names, often = np.unique(site, return_counts=True)
    means = np.array([X[site == name].mean(axis=0) for name in names])
    grand = (often / len(X)) @ means
    pooled = np.sqrt(np.mean((X - means[np.searchsorted(names, site)]) ** 2, axis=0))
    Z, out = (X - grand) / pooled, np.empty_like(X)
    for name in names:
        mine = Z[site == name]
        n, g_hat, d_hat = len(mine), mine.mean(axis=0), mine.var(axis=0, ddof=1)
        g_bar, t2, m, s2 = g_hat.mean(), g_hat.var(ddof=1), d_hat.mean(), d_hat.var(ddof=1)
        shape, scale = (2 * s2 + m**2) / s2, (m * s2 + m**3) / s2
        g, d = g_hat.copy(), d_hat.copy()
        for _ in range(200):
            g = (n * t2 * g_hat + d * g_bar) / (n * t2 + d)
            d = (scale + 0.5 * ((mine - g) ** 2).sum(axis=0)) / (n / 2 + shape - 1)
        out[site == name] = grand + pooled * (mine - g) / np.sqrt(d)
    return out


def test_it_is_combat_as_published():
    table = _table()
    np.testing.assert_allclose(_harmoniser().fit(table).transform(table), _published(table), rtol=1e-4, atol=1e-4)


def test_sites_agree_afterwards_also_in_rows_not_fitted_on():
    table = _table(900)
    fitted = _harmoniser().fit(table[:600])
    for rows in (table[:600], table[600:]):
        before, after = (
            pd.DataFrame(values).groupby(rows["site"].to_numpy())
            for values in (rows.iloc[:, 1:].to_numpy(), fitted.transform(rows))
        )
        assert np.ptp(after.mean().to_numpy(), axis=0).mean() < 0.2 * np.ptp(before.mean().to_numpy(), axis=0).mean()
        assert np.ptp(after.std().to_numpy(), axis=0).mean() < 0.4 * np.ptp(before.std().to_numpy(), axis=0).mean()


def test_rows_of_a_site_not_seen_or_too_small_keep_their_values():
    table = _table()
    table.loc[: ROWS - 2, "site"] = "small"
    fitted = _harmoniser().fit(table)
    assert fitted.sites_ == ["a", "b", "c"]
    for rows in (table[: ROWS - 1], table.assign(site="elsewhere")):
        np.testing.assert_array_equal(fitted.transform(rows), rows.iloc[:, 1:])
    assert not np.allclose(fitted.transform(table[50:]), table.iloc[50:, 1:])


def test_rows_not_fitted_on_change_nothing():
    table = _table()
    spoiled = table.copy()
    spoiled.iloc[150:, 1:] *= 100
    first, second = _harmoniser().fit(table[:150]), _harmoniser().fit(spoiled[:150])
    np.testing.assert_array_equal(first.transform(table[:150]), second.transform(table[:150]))


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_few_columns_are_harmonised_without_shrinking_and_constant_ones_stay(columns):
    table = _table(columns=columns).assign(flat=2.0, empty=np.nan)
    found = _harmoniser().fit(table).transform(table)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[:, columns:], [[2.0, 0.0]] * len(table))
    means = pd.DataFrame(found[:, :columns]).groupby(table["site"].to_numpy()).mean().to_numpy()
    assert np.ptp(means, axis=0).max() < 0.5


def test_one_site_leaves_everything_as_it_is():
    table = _table().assign(site="a")
    np.testing.assert_array_equal(_harmoniser().fit(table).transform(table), table.iloc[:, 1:])
