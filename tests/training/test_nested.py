"""The protocol: every row predicted by a model that did not see it, alike for any number of workers, failures recorded."""

import json

import numpy as np
import pandas as pd
import pytest

from relapse.candidates import catalogue
from relapse.candidates.base import Family, Head, binary_model
from relapse.candidates.catalogue import family
from relapse.candidates.cox import CoxRegression
from relapse.candidates.risk_model import Isotonic
from relapse.cohorts.schema import Cohort
from relapse.ground.errors import NoTrialError, TrainingError
from relapse.machinery import Machinery
from relapse.params import TrainParams
from relapse.predictions import check_predictions
from relapse.training import nested, tuning
from relapse.training.nested import Trained, train
from relapse.training.splits import outer_folds
from relapse.training.tuning import tune_and_fit, youden_threshold

SMALL = TrainParams(inner_folds=2, trials=2)


def _machine(workers: int, backend: str = "fork") -> Machinery:
    return Machinery(workers=workers, tracking_uri="", artifact_root=None, backend=backend)


def _train(cohort: Cohort, table: pd.DataFrame, candidate: str, *, workers: int = 1, backend: str = "fork") -> Trained:
    folds = outer_folds(table, folds=3, repeats=1, seed=5)
    return train(table, cohort, candidate, folds, params=SMALL, seed=5, machinery=_machine(workers, backend))


@pytest.mark.parametrize(("name", "candidate"), [("gbsg", "linear"), ("wpbc", "linear"), ("wpbc", "reference")])
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


@pytest.mark.parametrize("backend", ["fork", "loky"])
def test_one_and_two_workers_give_the_same_bytes(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], backend: str
) -> None:
    one = _train(cohorts["wpbc"], tables["wpbc"], "xgboost", workers=1)
    two = _train(cohorts["wpbc"], tables["wpbc"], "xgboost", workers=2, backend=backend)
    pd.testing.assert_frame_equal(one.predictions, two.predictions, check_exact=True)
    assert one.params == two.params
    np.testing.assert_array_equal(one.model.predict_score(tables["wpbc"]), two.model.predict_score(tables["wpbc"]))


def test_test_rows_are_never_seen_in_training_or_tuning(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    """Change the features and outcomes of one fold's test rows: what is predicted for the others of that fold stays."""
    cohort, table = cohorts["wpbc"], tables["wpbc"]
    folds = outer_folds(table, folds=3, repeats=1, seed=5)
    job = nested._Job(0, 0, 11)
    spoiled = table.copy()
    victim = spoiled.index[folds["fold"] == 0][:10]
    spoiled.loc[victim, cohort.predictors] = spoiled.loc[victim, cohort.predictors] * 50
    spoiled.loc[victim, "event"] = 1 - spoiled.loc[victim, "event"]
    results = [nested._run(job, data, cohort, "linear", folds, SMALL) for data in (table, spoiled)]
    (tuned, honest, _), (spoiled_tuned, other, _) = results
    assert tuned.params == spoiled_tuned.params
    assert tuned.model.threshold == spoiled_tuned.model.threshold
    untouched = ~honest["row"].isin(table.loc[victim, "row"])
    pd.testing.assert_frame_equal(honest[untouched], other[untouched], check_exact=True)


def _failing_family(*, always: bool) -> Family:
    from sklearn.linear_model import LogisticRegression

    class Failing(LogisticRegression):
        def __init__(self, broken: bool = False) -> None:
            super().__init__()
            self.broken = broken

        def fit(self, X, y):
            if self.broken:
                raise ValueError("this fit cannot be done")
            return super().fit(X, y)

    head = Head(
        lambda trial: {"broken": always or trial.suggest_categorical("broken", [True, False])},
        lambda cohort, params, seed: binary_model(cohort, Failing(params["broken"]), seed=seed),
    )
    return Family("failing", "Failing", "fails", head, None)


def test_a_failing_trial_is_recorded_and_the_others_go_on(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    tuned = tune_and_fit(
        tables["wpbc"], cohorts["wpbc"], _failing_family(always=False), inner_folds=2, trials=8, seed=0
    )
    states = [record.state for record in tuned.trials]
    assert "fail" in states
    assert "complete" in states
    assert {record.error for record in tuned.trials if record.state == "fail"} == {
        "ValueError: this fit cannot be done"
    }
    assert tuned.params == {"broken": False}


def test_a_candidate_without_a_successful_trial_is_reported(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        TrainingError, match=r"Failing: none of 2 trials succeeded \(ValueError: this fit cannot be done\)"
    ):
        tune_and_fit(tables["wpbc"], cohorts["wpbc"], _failing_family(always=True), inner_folds=2, trials=2, seed=0)


def test_the_best_trial_is_the_one_chosen(cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]) -> None:
    tuned = tune_and_fit(tables["wpbc"], cohorts["wpbc"], catalogue.family("linear"), inner_folds=2, trials=4, seed=1)
    best = max((record for record in tuned.trials if record.state == "complete"), key=lambda record: record.value)
    assert json.loads(best.params) == tuned.params


def test_youden_threshold_maximises_sensitivity_plus_specificity() -> None:
    rng = np.random.default_rng(3)
    risk = np.round(rng.random(200), 2)
    event = (rng.random(200) < risk).astype(int)

    def gain(threshold: float) -> float:
        called = risk >= threshold
        return called[event == 1].mean() + (~called)[event == 0].mean()

    assert gain(youden_threshold(event, risk)) == pytest.approx(max(gain(t) for t in np.unique(risk)))


def test_recalibration_is_only_kept_where_it_helps() -> None:
    rng = np.random.default_rng(0)
    score = rng.normal(-1, 1.5, 3000)
    event = (rng.random(3000) < 1 / (1 + np.exp(-score))).astype(int)
    inner = np.arange(3000) % 3
    assert tuning._recalibration(score + 2, event, inner).intercept == pytest.approx(-2, abs=0.2)
    constant = tuning._recalibration(np.zeros(60), np.arange(60) % 2, np.arange(60) % 3)
    np.testing.assert_allclose(constant.risk(np.zeros(1)), 0.5, atol=0.02)


def test_isotonic_is_chosen_where_the_distortion_is_no_line() -> None:
    rng = np.random.default_rng(1)
    score = rng.uniform(-3, 3, 4000)
    event = (rng.random(4000) < np.where(score > 1, 0.8, 0.1)).astype(int)
    found = tuning._recalibration(score, event, np.arange(4000) % 3)
    assert isinstance(found, Isotonic)
    np.testing.assert_allclose(found.risk(np.array([-2.0, 0.0, 2.5])), [0.1, 0.1, 0.8], atol=0.05)


def test_how_rare_events_are_handled_is_part_of_the_search(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    tuned = tune_and_fit(tables["wpbc"], cohorts["wpbc"], catalogue.family("linear"), inner_folds=2, trials=12, seed=2)
    assert {json.loads(record.params)["balance"] for record in tuned.trials} == {"none", "weight", "smotenc"}
    untouched = cohorts["wpbc"].model_copy(update={"imbalance": "none"})
    left = tune_and_fit(tables["wpbc"], untouched, catalogue.family("linear"), inner_folds=2, trials=2, seed=2)
    assert all("balance" not in json.loads(record.params) for record in left.trials)


def test_a_fold_in_which_nobody_can_be_ranked_does_not_count(
    cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One event at the end of a fold's follow-up gives no C: such trials used to be neither done nor failed, for ever."""
    table = tables["gbsg"].iloc[:60].reset_index(drop=True)
    inner = np.arange(len(table)) % 2
    monkeypatch.setattr(tuning, "fold_numbers", lambda *_, **__: inner)
    settings = {"inner_folds": 2, "trials": 2, "seed": 1}
    for fold in (1, 0):
        mine = np.flatnonzero(inner == fold)
        table.loc[mine, "event"] = 0
        table.loc[mine[table["time"].to_numpy()[mine].argmax()], "event"] = 1
        if fold == 1:
            found = tune_and_fit(table, cohorts["gbsg"], catalogue.family("xgboost"), **settings)
            assert all(np.isfinite(record.value) for record in found.trials)
    with pytest.raises(TrainingError, match="in no inner fold is anybody followed beyond an event"):
        tune_and_fit(table, cohorts["gbsg"], catalogue.family("xgboost"), **settings)


def test_hyperparameters_that_fail_with_all_rows_end_the_candidate_and_not_the_run(
    monkeypatch: pytest.MonkeyPatch, cohorts: dict[str, Cohort], tables: dict[str, pd.DataFrame]
) -> None:
    table = tables["gbsg"].iloc[:200].reset_index(drop=True)
    fit = CoxRegression.fit

    def failing(self: CoxRegression, X: np.ndarray, y: np.ndarray) -> CoxRegression:
        if len(X) == len(table):
            raise ArithmeticError("weights are too large")
        return fit(self, X, y)

    monkeypatch.setattr(CoxRegression, "fit", failing)
    with pytest.raises(
        NoTrialError, match=r"Elastic net: the chosen hyperparameters, .* failed with all rows .*too large"
    ):
        tune_and_fit(table, cohorts["gbsg"], family("linear"), inner_folds=2, trials=2, seed=1)
