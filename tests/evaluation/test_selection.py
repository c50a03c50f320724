"""The best of several candidates that know nothing looks good; corrected for the choice it does not."""

import numpy as np
import pandas as pd
import pytest

from relapse.evaluation.evidence import gather
from relapse.evaluation.metrics import Counts, Endpoint, Horizon, replicates, resampled_patients
from relapse.evaluation.selection import Selection, correct_selection
from relapse.evaluation.statistics.ranking.binary import roc_auc

TIMED = Endpoint((Horizon("risk_3y", 3.0, "3 y"),))
TIMELESS = Endpoint(risks=False, threshold=False)


def _tables(
    rng: np.random.Generator, *, strengths: list[float], n: int = 120, timed: bool = False
) -> dict[str, pd.DataFrame]:
    event = (rng.random(n) < 0.4).astype(int)
    base = pd.DataFrame(
        {"row": range(n), "patient": np.arange(n).astype(str), "site": "", "repeat": 0, "fold": 0, "event": event}
    )
    if timed:
        base["time"] = rng.exponential(size=n)
    hidden = -base["time"] if timed else event
    return {f"c{i}": base.assign(score=strength * hidden + rng.normal(size=n)) for i, strength in enumerate(strengths)}


def _select(tables: dict[str, pd.DataFrame], endpoint: Endpoint, *, resamples: int = 200) -> Selection:
    found = _corrected(tables, endpoint, resampled_patients(next(iter(tables.values())), resamples=resamples, seed=1))
    assert found is not None
    return found


def _corrected(tables: dict[str, pd.DataFrame], endpoint: Endpoint, weights: Counts) -> Selection | None:
    measured = {name: replicates(table, endpoint, weights, wanted=[endpoint.primary]) for name, table in tables.items()}
    return correct_selection(tables, measured, endpoint, weights)


@pytest.mark.parametrize("timed", [False, True])
def test_of_candidates_that_are_all_noise_the_plain_best_is_optimistic_and_the_corrected_is_not(timed: bool) -> None:
    rng = np.random.default_rng(0)
    found = [_select(_tables(rng, strengths=[0.0] * 8, timed=timed), TIMED if timed else TIMELESS) for _ in range(60)]
    plain, corrected = (
        np.array(values) for values in zip(*((item.plain, item.corrected.value) for item in found), strict=True)
    )
    error = corrected.std(ddof=1) / np.sqrt(len(found))
    assert plain.mean() > 0.55
    assert abs(corrected.mean() - 0.5) < 3 * error
    assert np.mean([item.corrected.lower <= 0.5 <= item.corrected.upper for item in found]) >= 0.9


def test_one_candidate_that_is_far_better_loses_nothing() -> None:
    tables = _tables(np.random.default_rng(1), strengths=[0.0, 0.0, 3.0], n=300)
    found = _select(tables, TIMELESS, resamples=500)
    assert found.winner == "c2"
    assert found.chosen == {"c0": 0.0, "c1": 0.0, "c2": 1.0}
    assert found.corrected.value == pytest.approx(found.plain, abs=0.004)


def test_it_is_the_loop_over_resamples_that_the_paper_describes() -> None:
    tables = _tables(np.random.default_rng(2), strengths=[0.3, 0.4, 0.5])
    first = next(iter(tables.values()))
    weights = resampled_patients(first, resamples=50, seed=1)
    found = _select(tables, TIMELESS, resamples=50)
    reached = []
    for counts in weights:
        inside, outside = np.repeat(np.arange(len(counts)), counts), np.flatnonzero(counts == 0)
        scores = {
            name: roc_auc(table["event"].to_numpy()[inside], table["score"].to_numpy()[inside])
            for name, table in tables.items()
        }
        best = tables[max(scores, key=lambda name: scores[name])]
        reached.append(roc_auc(best["event"].to_numpy()[outside], best["score"].to_numpy()[outside]))
    assert found.corrected.value == pytest.approx(np.mean(reached), abs=1e-12)
    assert (found.corrected.lower, found.corrected.upper) == pytest.approx(tuple(np.quantile(reached, [0.025, 0.975])))


def test_a_patient_with_several_rows_is_left_out_whole() -> None:
    tables = _tables(np.random.default_rng(3), strengths=[0.5, 0.6])
    pairs = {name: table.assign(patient=(table["row"] // 2).astype(str)) for name, table in tables.items()}
    weights = resampled_patients(pairs["c0"], resamples=50, seed=1)
    assert (weights[:, ::2] == weights[:, 1::2]).all()
    alone = resampled_patients(tables["c0"], resamples=50, seed=1)
    assert _corrected(pairs, TIMELESS, weights) != _corrected(tables, TIMELESS, alone)


def test_without_a_choice_there_is_nothing_to_correct() -> None:
    tables = _tables(np.random.default_rng(4), strengths=[1.0])
    assert gather(tables, TIMELESS, cohort="test", resamples=100, seed=0).selection is None
