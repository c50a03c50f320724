"""Folds never divide a patient, spread events and sites, and refuse what cannot be split."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relapse.cohorts.size import Folds
from relapse.ground.errors import TrainingError
from relapse.training.splits import derived_seed, fold_numbers, outer_folds


def _table(patients: int, views: int, *, sites: int = 1, events: float = 0.3, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), views)
    outcome = np.zeros(patients, dtype=int)
    outcome[: max(10, int(events * patients))] = 1
    rng.shuffle(outcome)
    return pd.DataFrame(
        {
            "row": np.arange(1, patients * views + 1),
            "patient": patient.astype(str),
            "site": (patient % sites).astype(str),
            "event": outcome[patient],
        }
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(40, 120), st.integers(1, 3), st.integers(2, 5), st.integers(0, 2**31))
def test_every_row_is_tested_once_and_a_patient_never_stands_on_both_sides(
    patients: int, views: int, folds: int, seed: int
) -> None:
    table = _table(patients, views)
    numbers = fold_numbers(table, folds=folds, seed=seed)
    assert set(numbers) == set(range(folds))
    assert (pd.Series(numbers).groupby(table["patient"].to_numpy()).nunique() == 1).all()


def test_events_and_sites_are_spread_evenly() -> None:
    table = _table(300, 1, sites=3)
    table["fold"] = fold_numbers(table, folds=5, seed=1)
    shares = table.groupby("fold")["event"].mean()
    assert shares.max() - shares.min() < 0.06
    by_site = table.groupby(["fold", "site"]).size().unstack()
    assert (by_site.max() - by_site.min()).max() <= 6


def test_repeats_are_drawn_differently_and_the_same_seed_gives_the_same_folds() -> None:
    table = _table(100, 2)
    folds = outer_folds(table, folds=5, repeats=2, seed=4)
    assert len(folds) == 400
    first, second = (part["fold"].to_numpy() for _, part in folds.groupby("repeat"))
    assert (first != second).any()
    pd.testing.assert_frame_equal(folds, outer_folds(table, folds=5, repeats=2, seed=4))


def test_too_few_patients_with_the_event_are_refused_with_the_numbers() -> None:
    table = _table(40, 1, events=0.25)
    table.loc[table["event"] == 1, "event"] = [1, 1, 1] + [0] * (int(table["event"].sum()) - 3)
    with pytest.raises(TrainingError, match=r"5 folds need at least 5 patients .* found 3 with and 37 without\. Lower"):
        fold_numbers(table, folds=5, seed=0)


@pytest.mark.parametrize(("outer", "inner"), [(5, 3), (3, 2), (2, 2), (5, 5)])
@pytest.mark.parametrize("sites", [1, 3, 8])
def test_folds_can_be_formed_of_as_few_patients_as_the_gate_lets_through(outer: int, inner: int, sites: int) -> None:
    needed = Folds(outer, inner).needed
    for seed in range(5):
        table = _table(needed + 30, 1, sites=sites, seed=seed)
        table["event"] = (np.random.default_rng(seed).permutation(len(table)) < needed).astype(int)
        # From one row a patient to four.
        table = table.loc[np.repeat(table.index, 1 + table.index % 4)].assign(row=lambda t: np.arange(1, len(t) + 1))
        table = table.reset_index(drop=True)
        numbers = fold_numbers(table, folds=outer, seed=seed)
        for fold in range(outer):
            seen = table[numbers != fold].reset_index(drop=True)
            assert table[numbers == fold]["event"].nunique() == 2
            inside = fold_numbers(seen, folds=inner, seed=seed)
            for part in range(inner):
                assert seen[inside == part]["event"].nunique() == 2
                assert (seen[inside != part].groupby("event")["patient"].nunique() >= 2).all()


def test_many_small_sites_are_no_reason_to_warn() -> None:
    table = _table(40, 1, sites=20)
    assert set(fold_numbers(table, folds=5, seed=0)) == set(range(5))


def test_where_nothing_can_be_lowered_only_more_patients_are_asked_for() -> None:
    table = _table(20, 1)
    table["event"] = (table.index < 2).astype(int)
    with pytest.raises(TrainingError, match=r"found 2 with and 18 without\. Bring more patients\."):
        fold_numbers(table, folds=10, seed=0, setting="")


def test_seeds_differ_by_purpose() -> None:
    seeds = {derived_seed(1, "linear", fold) for fold in range(5)} | {
        derived_seed(1, "forest", fold) for fold in range(5)
    }
    assert len(seeds) == 10
    assert derived_seed(1, "linear", 0) == derived_seed(1, "linear", 0)
