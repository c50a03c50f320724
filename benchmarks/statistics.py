"""Speed of the statistics in ``relapse.evaluation`` against other packages and plain definitions, in one process.

``OMP_NUM_THREADS=1 python -P benchmarks/statistics.py`` from the repository root; ``--quick`` stops at 10,000 rows.
Both sides get the same arrays and must agree before a time is printed. Each line gives both times and their ratio; a
time marked ``~`` is scaled up from a smaller run, as the line says.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from relapse.evaluation.statistics.intervals import (
    auc_replicates,
    concordance_replicates,
    mean_concordance_replicates,
    patient_weights,
)
from relapse.evaluation.statistics.ranking.binary import delong_test, roc_auc
from relapse.evaluation.statistics.ranking.concordance import concordance, kang_covariance, kang_test

RESAMPLES = 2000
BLOCK = 500  # rows of a pairwise table held at once


def best(call: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def report(what: str, size: int, ours: float, theirs: float, *, note: str = "") -> None:
    """Print one line."""
    mark = "~" if note else " "
    print(
        f"{what:<52}{size:>8,}{ours * 1e3:>12.2f} ms{mark}{theirs * 1e3:>13.1f} ms{theirs / ours:>9.0f}x  {note}",
        flush=True,
    )


def wins(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1 where the first beats the second, one half where they tie."""
    return (first[:, None] > second) + 0.5 * (first[:, None] == second)


def pairwise_delong(event: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Z of DeLong's test from tables of all pairs."""
    positive, negative = np.flatnonzero(event), np.flatnonzero(~event)
    above, below = np.zeros((2, positive.size)), np.zeros((2, negative.size))
    for index, score in enumerate((first, second)):
        for start in range(0, positive.size, BLOCK):
            rows = slice(start, start + BLOCK)
            table = wins(score[positive[rows]], score[negative])
            above[index, rows] = table.mean(axis=1)
            below[index] += table.sum(axis=0)
    below /= positive.size
    variance = np.var(above[0] - above[1], ddof=1) / positive.size + np.var(below[0] - below[1], ddof=1) / negative.size
    return float((above[0] - above[1]).mean() / np.sqrt(variance))


def pairwise_kang(follow_up: np.ndarray, event: np.ndarray, scores: list[np.ndarray]) -> np.ndarray:
    """Row sums and products of the sign tables of Kang et al., from all pairs; gives both C-indices."""
    size = follow_up.size
    sums, products = np.zeros((3, size)), np.zeros((3, 3))
    for start in range(0, size, BLOCK):
        rows = slice(start, start + BLOCK)
        mine, yours = follow_up[rows, None], follow_up
        first = event[rows, None] & ((mine < yours) | ((mine == yours) & ~event))
        second = event & ((yours < mine) | ((mine == yours) & ~event[rows, None]))
        direction = first.astype(np.int8) - second
        tables = [direction * np.sign(score[rows, None] - score).astype(np.int8) for score in scores] + [direction**2]
        for index, table in enumerate(tables):
            sums[index, rows] = table.sum(axis=1)
            for other in range(index + 1):
                products[index, other] += np.count_nonzero(table * tables[other])
    totals = sums.sum(axis=1)
    return (totals[:2] / totals[2] + 1) / 2


def draw(size: int) -> tuple[np.ndarray, ...]:
    """Follow-up with half censored, two correlated scores, and a binary outcome of 30%."""
    rng = np.random.default_rng(size)
    risk = rng.normal(size=size)
    relapse, censoring = rng.exponential(size=size) * np.exp(-risk), rng.exponential(size=size)
    first, second = risk + rng.normal(size=(2, size))
    outcome = rng.random(size) < 0.6 / (1 + np.exp(-risk))
    return np.minimum(relapse, censoring), relapse <= censoring, first, second, outcome


def agree(ours: object, theirs: object) -> None:
    """Refuse to time two things that differ."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)


def c_index(size: int) -> None:
    """C-index against lifelines and scikit-survival."""
    from lifelines.utils import concordance_index
    from sksurv.metrics import concordance_index_censored

    follow_up, event, score, _, _ = draw(size)
    ours = best(lambda: concordance(follow_up, event, score), 5)
    agree(concordance(follow_up, event, score), concordance_index(follow_up, -score, event))
    repeats = 1 if size > 50_000 else 3
    report("C-index, lifelines", size, ours, best(lambda: concordance_index(follow_up, -score, event), repeats))
    theirs = best(lambda: concordance_index_censored(event, follow_up, score), repeats)
    report("C-index, scikit-survival", size, ours, theirs)


def paired_c(size: int, largest: int = 10_000) -> None:
    """Kang's test against tables of all pairs; also with tied times and scores."""
    follow_up, event, first, second, _ = draw(size)
    small = min(size, largest)
    part = (follow_up[:small], event[:small])
    plain = best(lambda: pairwise_kang(*part, [first[:small], second[:small]]), 1)
    agree(
        kang_covariance(*part, first[:small], second[:small])[0], pairwise_kang(*part, [first[:small], second[:small]])
    )
    note = f"(n² from {small:,})" if small < size else ""
    ours = best(lambda: kang_test(follow_up, event, first, second), 3)
    report("Kang test, plain pairs", size, ours, plain * (size / small) ** 2, note=note)
    tied = np.ceil(follow_up * 50), event, np.round(first, 1), np.round(second, 1)
    ours = best(lambda: kang_test(*tied), 3)
    report("Kang test with ties, plain pairs", size, ours, plain * (size / small) ** 2, note=note)


def delong(size: int) -> None:
    """DeLong's test against tables of all pairs."""
    _, _, first, second, outcome = draw(size)
    ours = best(lambda: delong_test(outcome, first, second), 5)
    agree(delong_test(outcome, first, second).statistic, pairwise_delong(outcome, first, second))
    report("DeLong test, plain pairs", size, ours, best(lambda: pairwise_delong(outcome, first, second), 1))


def auc_bootstrap(size: int) -> None:
    """2,000 resamples of the AUC, drawing included, against a loop over scikit-learn's."""
    from sklearn.metrics import roc_auc_score

    _, _, score, _, outcome = draw(size)
    event = outcome.astype(int)
    timed = RESAMPLES if size <= 2000 else 2_000_000 // size
    rng = np.random.default_rng(0)

    def loop() -> None:
        for _ in range(timed):
            rows = rng.integers(0, size, size)
            roc_auc_score(event[rows], score[rows])

    def replicates() -> np.ndarray:
        return auc_replicates(event, score, patient_weights(None, event, n_resamples=RESAMPLES, seed=1))

    weights = patient_weights(None, event, n_resamples=2, seed=1)
    agree(auc_replicates(event, score, weights), [roc_auc(np.repeat(event, w), np.repeat(score, w)) for w in weights])
    note = f"({timed} resamples timed)" if timed < RESAMPLES else ""
    theirs = best(loop, 1) * RESAMPLES / timed
    report("AUC, 2,000 resamples, scikit-learn loop", size, best(replicates, 3), theirs, note=note)


def c_bootstrap(size: int) -> None:
    """2,000 resamples of the C-index, drawing included, against a loop over lifelines'."""
    from lifelines.utils import concordance_index

    follow_up, event, score, _, _ = draw(size)
    timed = 200_000 // size
    rng = np.random.default_rng(0)

    def loop() -> None:
        for _ in range(timed):
            rows = rng.integers(0, size, size)
            concordance_index(follow_up[rows], -score[rows], event[rows])

    def replicates() -> np.ndarray:
        weights = patient_weights(None, event, n_resamples=RESAMPLES, seed=1)
        return concordance_replicates(follow_up, event, score, weights)

    note = f"({timed} resamples timed)"
    theirs = best(loop, 1) * RESAMPLES / timed
    report("C-index, 2,000 resamples, lifelines loop", size, best(replicates, 3), theirs, note=note)


def c_of_shuffles(size: int) -> None:
    """Mean C over ten scores in 500 resamples, as permutation importance asks for it."""
    follow_up, event, score = draw(size)[:3]
    shuffled = np.stack([np.random.default_rng(seed).permutation(score) for seed in range(10)])
    weights = patient_weights(None, event, n_resamples=500, seed=1)

    def each() -> np.ndarray:
        return np.mean([concordance_replicates(follow_up, event, one, weights) for one in shuffled], axis=0)

    def at_once() -> np.ndarray:
        return mean_concordance_replicates(follow_up, event, shuffled, weights)

    agree(at_once(), each())
    report("mean C of 10 scores, 500 resamples", size, best(at_once, 3), best(each, 1), note="one call a score")


def main() -> None:
    """Run every comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="stop at 10,000 rows")
    sizes = [1_000, 10_000] if parser.parse_args().quick else [1_000, 10_000, 100_000]
    print(f"{'what, and against what':<52}{'rows':>8}{'ours':>15}{'theirs':>17}{'ratio':>9}")
    for comparison in (c_index, paired_c, delong):
        for size in sizes:
            comparison(size)
    for size in [270, 2_000, *sizes]:
        auc_bootstrap(size)
    for size in (270, 2_000):
        c_bootstrap(size)
    for size in (270, 686, 2_000):
        c_of_shuffles(size)


if __name__ == "__main__":
    main()
