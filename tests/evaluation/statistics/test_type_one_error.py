"""Simulated type-I error at 5% of the paired tests, and what goes wrong when patients are not minded."""

from collections.abc import Callable

import numpy as np
import pytest

from relapse.evaluation.statistics.decisions.agreement import mcnemar, mcnemar_clustered
from relapse.evaluation.statistics.ranking.binary import delong_test
from relapse.evaluation.statistics.ranking.concordance import kang_test
from relapse.evaluation.statistics.survival.horizon import time_dependent_auc_test

SIMULATIONS = 4000
ACCEPTED = (0.035, 0.065)


def rejections(draw_p: Callable[[np.random.Generator], float]) -> float:
    """Share of null simulations in which the test rejects at 5%."""
    rng = np.random.default_rng(20_260)
    p = np.array([draw_p(rng) for _ in range(SIMULATIONS)])
    assert not np.isnan(p).any()
    return float((p < 0.05).mean())


def one_view(rng: np.random.Generator) -> float:
    """150 patients, 30% relapse, two equally good correlated scores."""
    event = rng.random(150) < 0.3
    shared = event + rng.normal(size=150)
    first, second = shared + rng.normal(size=(2, 150))
    return delong_test(event, first, second).p


def two_views(rng: np.random.Generator, *, clustered: bool) -> float:
    """148 patients with 270 views; a patient's views share most of what each model sees, and the outcome."""
    patient = np.concatenate([np.arange(148), np.arange(122)])
    relapsed = rng.random(148) < 0.4
    by_patient = rng.normal(size=(2, 148))[:, patient]
    first, second = relapsed[patient] + by_patient + 0.5 * rng.normal(size=(2, 270))
    return delong_test(relapsed[patient], first, second, clusters=patient if clustered else None).p


def follow_up(rng: np.random.Generator, size: int) -> tuple[np.ndarray, ...]:
    """Follow-up in whole months (so with ties), half of it censored, and two equally good correlated scores."""
    risk = rng.normal(size=size)
    relapse = rng.exponential(size=size) * np.exp(-risk)
    censoring = rng.exponential(size=size)
    time = np.ceil(24 * np.minimum(relapse, censoring))
    first, second = risk + rng.normal(size=(2, size))
    return time, relapse <= censoring, first, second


def kang(rng: np.random.Generator) -> float:
    return kang_test(*follow_up(rng, 150)).p


def kang_by_patient(rng: np.random.Generator) -> float:
    """Each of 100 patients in two rows that share the follow-up and most of both scores."""
    time, event, first, second = (np.tile(column, 2) for column in follow_up(rng, 100))
    first, second = first + 0.5 * rng.normal(size=200), second + 0.5 * rng.normal(size=200)
    return kang_test(time, event, first, second, clusters=np.tile(np.arange(100), 2)).p


def time_dependent(rng: np.random.Generator) -> float:
    return time_dependent_auc_test(*follow_up(rng, 200), 12.0).p


def calls(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calls of two equally good models on 148 patients with 270 views; those of a patient mostly agree."""
    patient = np.concatenate([np.arange(148), np.arange(122)])
    right = 0.5 + rng.normal(size=(2, 148))[:, patient] + 0.5 * rng.normal(size=(2, 270)) > 0
    return right[0], right[1], patient


def calls_by_patient(rng: np.random.Generator, method: str) -> float:
    return mcnemar_clustered(*calls(rng), method=method).p


@pytest.mark.slow
@pytest.mark.parametrize(
    "draw_p",
    [
        one_view,
        lambda rng: two_views(rng, clustered=True),
        kang,
        kang_by_patient,
        time_dependent,
        lambda rng: calls_by_patient(rng, "obuchowski"),
        lambda rng: calls_by_patient(rng, "durkalski"),
    ],
    ids=[
        "DeLong",
        "clustered DeLong",
        "Kang",
        "paired C by patient",
        "time-dependent AUC",
        "McNemar, Obuchowski",
        "McNemar, Durkalski",
    ],
)
def test_type_one_error_is_close_to_what_is_promised(draw_p) -> None:
    share = rejections(draw_p)
    print(f"rejected at 5%: {share:.4f} of {SIMULATIONS}")
    assert ACCEPTED[0] <= share <= ACCEPTED[1]


@pytest.mark.slow
def test_delong_without_patients_rejects_far_too_often_on_two_views() -> None:
    share = rejections(lambda rng: two_views(rng, clustered=False))
    print(f"rejected at 5%: {share:.4f} of {SIMULATIONS}")
    assert share > 2 * 0.05


@pytest.mark.slow
@pytest.mark.parametrize("method", ["exact", "chi2"])
def test_mcnemar_without_patients_rejects_far_too_often_on_two_views(method: str) -> None:
    share = rejections(lambda rng: mcnemar(*calls(rng)[:2], method=method).p)
    print(f"rejected at 5%: {share:.4f} of {SIMULATIONS}")
    # The exact test is the milder one: with independent rows it would stay below 5%.
    assert share > 1.5 * 0.05
