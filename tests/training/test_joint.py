"""Training many folds as one program keeps the protocol: nothing crosses from one fold to another."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from relapse.candidates.base import Family, Head, binary_model, outcome
from relapse.candidates.catalogue import family
from relapse.cohorts.schema import Cohort
from relapse.ground.errors import TrainingError
from relapse.machinery import Machinery
from relapse.params import TrainParams
from relapse.predictions import check_predictions
from relapse.training import joint, rounds, tuning
from relapse.training.joint import tune_and_fit_together
from relapse.training.nested import Trained, train
from relapse.training.splits import derived_seed, fold_numbers, outer_folds
from relapse.training.tuning import Tuned

SMALL = TrainParams(inner_folds=2, trials=3)
ONE = Machinery(workers=1, tracking_uri="", artifact_root=None, backend="fork")
TWO = Machinery(workers=2, tracking_uri="", artifact_root=None, backend="fork")


def _train(cohort: Cohort, table: pd.DataFrame, candidate: str, machinery: Machinery = ONE) -> Trained:
    folds = outer_folds(table, folds=3, repeats=1, seed=5)
    return train(table, cohort, candidate, folds, params=SMALL, seed=5, machinery=machinery)


@pytest.mark.parametrize(("name", "candidate"), [("gbsg", "mlp"), ("wpbc", "cnn1d")])
def test_predictions_keep_the_contract(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], name: str, candidate: str
) -> None:
    cohort, table = cohorts[name], tables[name]
    trained = _train(cohort, table, candidate)
    found = trained.predictions
    check_predictions(found, risks=cohort.endpoint.risk_columns, timed=cohort.survival is not None, where="test")
    assert sorted(found["row"]) == sorted(table["row"])
    assert ("threshold" in found) == (cohort.survival is None)
    assert len(trained.folds) == 3
    assert set(trained.trials["fold"]) == {-1, 0, 1, 2}
    assert (trained.trials.groupby("fold").size() == SMALL.trials).all()
    assert trained.seconds > 0


def test_one_and_two_workers_give_the_same_bytes(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    one, two = (_train(cohorts["wpbc"], tables["wpbc"], "mlp", machinery) for machinery in (ONE, TWO))
    pd.testing.assert_frame_equal(one.predictions, two.predictions, check_exact=True)
    assert one.params == two.params
    np.testing.assert_array_equal(one.model.predict_score(tables["wpbc"]), two.model.predict_score(tables["wpbc"]))


def _spoiled_and_not(cohort: Cohort, table: pd.DataFrame, candidate: str) -> list[tuple[dict, pd.DataFrame]]:
    """Train with and without changing features and outcomes of ten test rows of fold 0.

    What that fold learnt, and its predictions for its other test rows.
    """
    folds = outer_folds(table, folds=3, repeats=1, seed=5)
    spoiled = table.copy()
    victim = spoiled.index[folds["fold"] == 0][:10]
    numbers = cohort.numeric(cohort.predictors)
    spoiled.loc[victim, numbers] = spoiled.loc[victim, numbers] * 50
    spoiled.loc[victim, "event"] = 1 - spoiled.loc[victim, "event"]
    found = []
    for data in (table, spoiled):
        trained = train(data, cohort, candidate, folds, params=SMALL, seed=5, machinery=ONE)
        mine = trained.predictions[trained.predictions["fold"] == 0]
        learnt = next(fold for fold in trained.folds if fold["fold"] == 0)
        found.append((learnt, mine[~mine["row"].isin(table.loc[victim, "row"])]))
    return found


@pytest.mark.parametrize(("name", "candidate"), [("wpbc", "mlp"), ("wpbc", "cnn1d"), ("gbsg", "mlp")])
def test_test_rows_are_never_seen_in_training_or_tuning(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], name: str, candidate: str
) -> None:
    """Change test rows of a fold, which the other folds train on: what is predicted for the rest of that fold stays."""
    (learnt, honest), (learnt_again, other) = _spoiled_and_not(cohorts[name], tables[name], candidate)
    assert learnt == learnt_again
    pd.testing.assert_frame_equal(honest, other, check_exact=True)


def test_a_planted_leak_is_caught(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Choose by the inner results of all folds together: some of their rows are test rows here."""

    def shared(index, results, sets, family):
        values = [np.mean([one.value for one in finished.tried]) for finished in results]
        best = int(np.argmax(values))
        return {**sets[best], "learning_rate": abs(values[best]) / 100}

    monkeypatch.setattr(joint, "_best", shared)
    (_, honest), (_, other) = _spoiled_and_not(cohorts["wpbc"], tables["wpbc"], "mlp")
    assert not np.array_equal(honest["score"], other["score"])


def test_every_fold_compares_the_same_sets_and_chooses_by_its_own_predictions(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    trained = _train(cohorts["wpbc"], tables["wpbc"], "mlp")
    sets = [tuple(mine["params"]) for _, mine in trained.trials.groupby("fold")]
    assert len(set(sets)) == 1
    chosen = {-1: trained.params} | {fold["fold"]: fold["params"] for fold in trained.folds}
    for fold, mine in trained.trials.groupby("fold"):
        assert json.loads(mine.loc[mine["value"].idxmax(), "params"]) == chosen[fold]
    assert trained.trials.groupby("number")["value"].nunique().min() > 1


def test_sets_do_not_hang_on_the_data(cohorts: dict[str, Cohort]) -> None:
    head = family("mlp").head(cohorts["wpbc"])
    first = joint._drawn(head, cohorts["wpbc"], 5, seed=1)
    assert first == joint._drawn(head, cohorts["wpbc"], 5, seed=1)
    assert first != joint._drawn(head, cohorts["wpbc"], 5, seed=2)
    assert len({json.dumps(params) for params in first}) == 5


def _together(models, tables, targets) -> None:
    for model, table, target in zip(models, tables, targets, strict=True):
        model.fit(table, target)


def _family(classifier: type[LogisticRegression]) -> Family:
    head = Head(
        lambda trial: {"C": trial.suggest_categorical("C", [0.01, 1.0])},
        lambda cohort, params, seed: binary_model(cohort, classifier(C=params["C"]), seed=seed),
        fit_together=_together,
    )
    return Family("toy", "Toy", "fits one by one", head, None)


class Picky(LogisticRegression):
    """Fails on one set, and on what has few rows."""

    def fit(self, X, y, sample_weight=None):
        if self.C == 1.0 or len(X) < 40:
            raise ValueError("this fit cannot be done")
        return super().fit(X, y)


def _tune(tables: list[pd.DataFrame], cohort: Cohort, classifier: type[LogisticRegression], trials: int = 6):
    seeds = list(range(len(tables)))
    return tune_and_fit_together(
        tables, cohort, _family(classifier), inner_folds=2, trials=trials, seeds=seeds, machinery=ONE
    )[0]


def test_what_is_learnt_from_inner_predictions_is_what_tuning_learns(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    """One set only, so that both ways have the same inner predictions."""
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    (tuned,) = _tune([table], cohort, LogisticRegression, trials=1)
    head = _family(LogisticRegression).head(cohort)
    alone = Family("toy", "Toy", "", Head(None, lambda cohort, _, seed: head.build(cohort, tuned.params, seed)), None)
    expected = tuning.tune_and_fit(table, cohort, alone, inner_folds=2, trials=1, seed=0)
    assert tuned.model.threshold == expected.model.threshold
    assert tuned.model.recalibration == expected.model.recalibration
    assert tuned.trials[0].value == expected.trials[0].value
    np.testing.assert_array_equal(tuned.model.predict_risk(table), expected.model.predict_risk(table))


def test_a_failing_set_is_recorded_and_the_others_go_on(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    found = _tune([tables["wpbc"], tables["wpbc"][:150]], cohorts["wpbc"], Picky)
    for tuned in found:
        assert {record.state for record in tuned.trials} == {"complete", "fail"}
        assert {record.error for record in tuned.trials} == {"", "ValueError: this fit cannot be done"}
        assert tuned.params == {"C": 0.01}


def test_a_table_without_a_successful_set_is_reported(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    with pytest.raises(TrainingError, match=r"Toy: none of 6 trials succeeded \(ValueError: this fit cannot be done\)"):
        _tune([tables["wpbc"], tables["wpbc"][:30]], cohorts["wpbc"], Picky)


def test_inner_folds_are_those_of_the_protocol(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    seen: list[set[int]] = []

    def spy(models, parts, targets) -> None:
        seen.extend(set(part["row"]) for part in parts)
        _together(models, parts, targets)

    head = _family(LogisticRegression).head(cohort)
    inner = fold_numbers(table, folds=2, seed=derived_seed(4, "inner"))
    rows = [rounds.Rows(table, outcome(table, cohort), inner, 4, None)]
    rounds.inner_predictions({"C": 1.0}, rows, cohort, Head(head.space, head.build, fit_together=spy))
    assert seen == [set(table["row"][inner != fold]) for fold in range(2)]


@pytest.mark.parametrize("storage", ["{folder}/kept", "sqlite:///{folder}/kept.db"])
def test_a_killed_search_goes_on_from_its_finished_sets(
    cohorts: dict[str, Cohort],
    tables: dict[str, pd.DataFrame],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    storage: str,
) -> None:
    cohort, table = cohorts["gbsg"], tables["gbsg"]
    keeping = replace(ONE, storage=storage.format(folder=tmp_path))
    whole = _train(cohort, table, "mlp", replace(ONE, storage=None))
    compute, calls = rounds.inner_predictions, []

    def dies_at_the_third(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return compute(*arguments)

    monkeypatch.setattr(rounds, "inner_predictions", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        _train(cohort, table, "mlp", keeping)
    resumed = _train(cohort, table, "mlp", keeping)
    assert len(calls) == 4
    pd.testing.assert_frame_equal(resumed.predictions, whole.predictions, check_exact=True)
    assert resumed.params == whole.params
    changed = table.assign(tsize=table["tsize"] + 1)
    _train(cohort, changed, "mlp", keeping)
    assert len(calls) == 4 + SMALL.trials


def test_the_time_budget_ends_the_search_after_at_least_one_set(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    folds = outer_folds(tables["wpbc"], folds=3, repeats=1, seed=5)
    hasty = SMALL.model_copy(update={"trials": 9, "seconds": 0.01})
    trained = train(tables["wpbc"], cohorts["wpbc"], "mlp", folds, params=hasty, seed=5, machinery=ONE)
    counts = trained.trials.groupby("fold").size()
    assert counts.nunique() == 1
    assert 1 <= counts.iloc[0] < 9


def test_risks_are_learnt_from_inner_predictions_of_whole_ensembles(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comparing sets is done with drafts; the threshold and the recalibration are not learnt from those."""
    drawn = []
    compute = rounds.inner_predictions

    def spied(params, *rest):
        drawn.append(params.get("members"))
        return compute(params, *rest)

    for module in (joint, rounds):
        monkeypatch.setattr(module, "inner_predictions", spied)
    _train(cohorts["wpbc"], tables["wpbc"], "mlp")
    assert drawn == [2] * SMALL.trials + [None] * 4


def test_of_many_sets_the_worse_half_of_each_table_is_left_after_its_first_fold(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    cohort, parts = cohorts["wpbc"], [tables["wpbc"], tables["wpbc"][40:]]
    head = Head(
        lambda trial: {"C": trial.suggest_float("C", 1e-4, 10.0, log=True)},
        lambda cohort, params, seed: binary_model(cohort, LogisticRegression(C=params["C"]), seed=seed),
        fit_together=_together,
    )
    toy = Family("toy", "Toy", "fits one by one", head, None)

    def tune(machinery: Machinery, trials: int = 14) -> list[Tuned]:
        return tune_and_fit_together(
            parts, cohort, toy, inner_folds=3, trials=trials, seeds=[1, 2], machinery=machinery
        )[0]

    found = tune(replace(ONE, storage=str(tmp_path)))
    sets = joint._drawn(head, cohort, 14, seed=1)
    for tuned, table, seed in zip(found, parts, [1, 2], strict=True):
        inner = fold_numbers(table, folds=3, seed=derived_seed(seed, "inner"))
        rows = [rounds.Rows(table, outcome(table, cohort), inner, seed, None)]
        first = [rounds.inner_predictions(params, rows, cohort, head, range(1))[0][1].value for params in sets]
        kept = {record.number for record in tuned.trials if record.state == "complete"}
        assert {record.number for record in tuned.trials if record.state == "pruned"} == set(range(14)) - kept
        assert kept == set(np.argsort([-value for value in first], kind="stable")[:7])
        for record in tuned.trials:
            whole = rounds.inner_predictions(sets[record.number], rows, cohort, head)[0][1].value
            assert record.value == pytest.approx(whole) if record.number in kept else np.isnan(record.value)
        best = max(kept, key=lambda number: (tuned.trials[number].value, -number))
        assert tuned.params == sets[best]
    again = tune(replace(ONE, storage=str(tmp_path)))
    assert [[record.value for record in one.trials if record.state == "complete"] for one in again] == [
        [record.value for record in one.trials if record.state == "complete"] for one in found
    ]
    assert [one.params for one in tune(TWO)] == [one.params for one in found]
