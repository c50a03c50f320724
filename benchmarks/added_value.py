"""What a block of features adds: which test of it holds where there is nothing to find, and which one finds the most.

``OMP_NUM_THREADS=1 python -P benchmarks/added_value.py`` from the repository root; ``--quick`` makes a tenth of the
cohorts. Simulated cohorts have 300 patients, 30% with the event, 5 clinical features that matter, and a block of
features that does not (or does). A score of the block is learnt in 5 outer folds; the models that use it are fitted on
scores cross-fitted in 3 inner folds, so that no patient's score is from a model that has seen her. Each table gives the
share of cohorts in which a test says at 5% that the block adds something.
"""

import argparse
import math
import time as clock
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from scipy import special, stats

from relapse.evaluation.statistics.added.likelihood_ratio import AddedScore, likelihood_ratio_test
from relapse.evaluation.statistics.added.permutation import permutation_p
from relapse.evaluation.statistics.calibration.regression import cox, logistic
from relapse.evaluation.statistics.ranking.binary import delong_test
from relapse.evaluation.statistics.ranking.concordance import kang_test

PATIENTS, EVENTS, CLINICAL = 300, 0.3, 5
OUTER, INNER = 5, 3
HORIZON = 3.0


@dataclass(frozen=True)
class Scenario:
    """How cohorts are drawn.

    Attributes
    ----------
    timed : survival, else a binary outcome
    features : of the block
    factors : what they have in common, 0 for independent features
    tied : correlation of the first factor with the clinic's risk
    effect : log hazard or odds ratio of one standard deviation of the block's true score
    views : rows of each patient, for a binary outcome; patients are then ``PATIENTS / views``
    scorer : "ridge", "screened" (a ridge of the 10 features most correlated with the outcome in its training rows), or
        "neighbours" (what became of the 20 most similar patients)
    """

    timed: bool = True
    features: int = 100
    factors: int = 10
    tied: float = 0.0
    effect: float = 0.0
    views: int = 1
    scorer: str = "ridge"


@dataclass(frozen=True)
class Cohort:
    """A simulated cohort: arrays of n rows, ``time`` is None where the outcome is binary; ``truth`` is the oracle's."""

    clinical: np.ndarray
    block: np.ndarray
    truth: np.ndarray
    event: np.ndarray
    time: np.ndarray | None
    patient: np.ndarray

    def rows(self, chosen: np.ndarray) -> "Cohort":
        """Some of the rows."""
        parts = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Cohort(**{name: None if values is None else values[chosen] for name, values in parts.items()})


def draw(scenario: Scenario, rng: np.random.Generator) -> Cohort:
    """One cohort; views of a patient share the outcome, the clinic's features and half the variance of the block's."""
    size = PATIENTS // scenario.views
    clinical = rng.normal(size=(size, CLINICAL))
    risk = 0.3 * clinical.sum(axis=1)
    common = rng.normal(size=(size, max(scenario.factors, 1)))
    common[:, 0] = scenario.tied * risk / (0.3 * math.sqrt(CLINICAL)) + math.sqrt(1 - scenario.tied**2) * common[:, 0]
    # the weights of the block are those of one laboratory: the same in every cohort
    loads = np.random.default_rng(1).normal(size=(common.shape[1], scenario.features))
    loads *= (math.sqrt(0.5) if scenario.factors else 0.0) / np.linalg.norm(loads, axis=0)
    own = math.sqrt(0.5) if scenario.factors else 1.0
    block = common @ loads + own * rng.normal(size=(size, scenario.features))
    truth = block[:, :10].sum(axis=1) / _spread(scenario, loads, own)
    line = risk + scenario.effect * truth
    patient = np.repeat(np.arange(size), scenario.views)
    base = _base(scenario)
    time: np.ndarray | None = None
    if scenario.timed:
        relapse = rng.exponential(size=size) / np.exp(line + base)
        censored = rng.uniform(1, 5, size)
        event, time = relapse <= censored, np.minimum(relapse, censored)
    else:
        event = rng.random(size) < special.expit(line + base)
    if scenario.views > 1:
        block = math.sqrt(0.5) * (block[patient] + rng.normal(size=(patient.size, scenario.features)))
    return Cohort(clinical[patient], block, truth[patient], event[patient], time, patient)


def _spread(scenario: Scenario, loads: np.ndarray, own: float) -> float:
    used = loads[:, :10].sum(axis=1)
    return math.sqrt(float(used @ used) + own**2 * min(10, scenario.features))


@cache
def _base(scenario: Scenario) -> float:
    """The intercept that gives the share of events, found on a large cohort."""
    rng = np.random.default_rng(2)
    risk = rng.normal(size=20_000) * math.sqrt(0.09 * CLINICAL + scenario.effect**2)
    grid = np.linspace(-5, 2, 71)
    if not scenario.timed:
        shares = [special.expit(risk + base).mean() for base in grid]
    else:
        censored = rng.uniform(1, 5, risk.size)
        shares = [1 - np.exp(-censored * np.exp(risk + base)).mean() for base in grid]
    return float(np.interp(EVENTS, shares, grid))


# --- the harness: swap these for a room of the workshop ---------------------------------------------------------------


def folds(cohort: Cohort, number: int, rng: np.random.Generator) -> np.ndarray:
    """Fold of each row, patients whole, as many with the event in each."""
    _, first = np.unique(cohort.patient, return_index=True)
    fold = np.empty(first.size, dtype=int)
    for outcome in (False, True):
        members = rng.permutation(np.flatnonzero(cohort.event[first] == outcome))
        fold[members] = (np.arange(members.size) + rng.integers(number)) % number
    return fold[np.unique(cohort.patient, return_inverse=True)[1]]


def residuals(event: np.ndarray, time: np.ndarray | None) -> np.ndarray:
    """What the scorer learns: outcome less its mean, or martingale residuals (Nelson-Aalen) of the follow-up."""
    if time is None:
        return event - event.mean()
    order = np.argsort(time)
    steps = event[order] / np.arange(time.size, 0, -1)
    hazard = np.empty(time.size)
    hazard[order] = np.cumsum(steps)
    return event - hazard


def learn(block: np.ndarray, target: np.ndarray, scorer: str) -> Callable[[np.ndarray], np.ndarray]:
    """Learn to score ``target`` from the standardised block; the ridge's penalty is as many rows as there are."""
    mean, spread = block.mean(axis=0), block.std(axis=0)
    scaled = (block - mean) / spread
    if scorer == "neighbours":
        return lambda rows: _neighbours(scaled, target, (rows - mean) / spread)
    used = np.arange(block.shape[1])
    if scorer == "screened":
        used = np.argsort(-np.abs(target @ scaled))[:10]
    kept = scaled[:, used]
    weights = np.linalg.solve(kept.T @ kept + len(kept) * np.eye(used.size), kept.T @ target)
    return lambda rows: (rows[:, used] - mean[used]) / spread[used] @ weights


def _neighbours(known: np.ndarray, target: np.ndarray, rows: np.ndarray) -> np.ndarray:
    distance = (known**2).sum(axis=1) - 2 * rows @ known.T
    return np.asarray(target[np.argpartition(distance, 20, axis=1)[:, :20]].mean(axis=1))


def cross_fitted(cohort: Cohort, fold: np.ndarray, scorer: str) -> np.ndarray:
    """Score of each row by a scorer that has not seen its fold."""
    score = np.empty(cohort.event.size)
    for part in np.unique(fold):
        held, train = fold == part, cohort.rows(fold != part)
        score[held] = learn(train.block, residuals(train.event, train.time), scorer)(cohort.block[held])
    return score


def predicted(train: Cohort, columns: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Score of new rows by a Cox regression (log cumulative hazard at the horizon) or a logistic one."""
    mean = columns.mean(axis=0)
    if train.time is None:
        design = np.column_stack([columns - mean, np.ones(len(columns))])
        fit = logistic(design, train.event, np.zeros(len(columns)))
        assert fit is not None
        return np.column_stack([new - mean, np.ones(len(new))]) @ fit.coefficients
    found = cox(columns - mean, train.time, train.event)
    assert found is not None
    return found.log_cumulative_hazard(new - mean, HORIZON)[0]


def out_of_fold(
    cohort: Cohort, fold: np.ndarray, score: np.ndarray, scorer: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Out-of-fold scores of the clinical model, and of the one that has the block's score beside it."""
    reference, extended = np.empty((2, cohort.event.size))
    for part in range(OUTER):
        held, train = fold == part, cohort.rows(fold != part)
        reference[held] = predicted(train, train.clinical, cohort.clinical[held])
        inner = cross_fitted(train, folds(train, INNER, rng), scorer)
        new = np.column_stack([cohort.clinical[held], score[held]])
        extended[held] = predicted(train, np.column_stack([train.clinical, inner]), new)
    return reference, extended


# --- the tests --------------------------------------------------------------------------------------------------------


def tests(cohort: Cohort, scenario: Scenario, rng: np.random.Generator, *, brief: bool) -> dict[str, float]:
    """P-values of all tests of one cohort; ``brief`` leaves out those that need more models."""
    fold = folds(cohort, OUTER, rng)
    score = cross_fitted(cohort, fold, scenario.scorer)
    clusters = cohort.patient if scenario.views > 1 else None

    def added(values: np.ndarray) -> AddedScore:
        return likelihood_ratio_test(cohort.clinical, values, cohort.event, cohort.time, clusters=clusters)

    plain = added(score)
    found = {
        "LR, two-sided": plain.p,
        "  of which the wrong way": plain.p if plain.z < 0 else 1.0,
        "LR, one-sided": plain.p_one_sided,
        "LR halved, one-sided": plain.p_cross_fitted,
        "z": plain.z,
    }
    if brief:
        return found
    by_fold = np.empty(score.size)
    for part in range(OUTER):
        mine = score[fold == part]
        by_fold[fold == part] = (mine - mine.mean()) / mine.std()
    reference, extended = out_of_fold(cohort, fold, score, scenario.scorer, rng)
    ranked = (
        delong_test(cohort.event, extended, reference, clusters=clusters)
        if cohort.time is None
        else kang_test(cohort.time, cohort.event, extended, reference)
    )
    seen = learn(cohort.block, residuals(cohort.event, cohort.time), scenario.scorer)(cohort.block)
    return found | {
        "LR, scores standardised by fold, one-sided": added(by_fold).p_one_sided,
        "Kang / DeLong, two-sided": ranked.p,
        "Kang / DeLong, one-sided": float(stats.norm.sf(ranked.statistic)),
        "naive: score of the same patients, LR": added(seen).p,
        "oracle's score, LR one-sided": added(cohort.truth).p_one_sided,
    }


def permuted(cohort: Cohort, scenario: Scenario, rng: np.random.Generator, permutations: int) -> dict[str, float]:
    """P-value of the out-of-fold score's weight beside the clinic's, among those with the block's rows permuted.

    The statistic is the score test's up to a constant: Cox or logistic residuals of the clinical model on the score,
    over the length of the score that the clinical features leave.
    """
    fold = folds(cohort, OUTER, rng)
    centred = cohort.clinical - cohort.clinical.mean(axis=0)
    basis = np.linalg.qr(np.column_stack([np.ones(len(centred)), centred]))[0]
    left = clinical_residuals(cohort, centred)

    def statistic(block: np.ndarray) -> float:
        score = cross_fitted(replace(cohort, block=block), fold, scenario.scorer)
        own = score - basis @ (basis.T @ score)
        return float(left @ score / np.linalg.norm(own))

    size = len(cohort.block)
    runs = [statistic(cohort.block[rng.permutation(size)]) for _ in range(permutations)]
    return {"permutation of the block's rows": permutation_p(statistic(cohort.block), runs)}


def clinical_residuals(cohort: Cohort, centred: np.ndarray) -> np.ndarray:
    """Outcome less what the clinical model expects of it."""
    if cohort.time is None:
        design = np.column_stack([centred, np.ones(len(centred))])
        fit = logistic(design, cohort.event, np.zeros(len(centred)))
        assert fit is not None
        return cohort.event - special.expit(design @ fit.coefficients)
    found = cox(centred, cohort.time, cohort.event)
    assert found is not None
    hazard = np.concatenate([[0.0], np.cumsum(found.hazard_steps)])
    upto = hazard[np.searchsorted(found.event_times, cohort.time, side="right")]
    return cohort.event - np.exp(centred @ found.fit.coefficients) * upto


def rejected(
    scenario: Scenario, cohorts: int, permutations: int = 0, *, brief: bool = False, seed: int = 0
) -> dict[str, float]:
    """Share of cohorts in which each test rejects at 5%; mean and variance of z beside."""
    rows = []
    for index in range(cohorts):
        rng = np.random.default_rng([seed, index])
        cohort = draw(scenario, rng)
        if permutations:
            rows.append(permuted(cohort, scenario, rng, permutations))
        else:
            rows.append(tests(cohort, scenario, rng, brief=brief))
    found = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    z = found.pop("z", None)
    # a p-value that does not exist does not reject
    shares = {name: float(np.mean(values < 0.05 + 1e-12)) for name, values in found.items()}
    return shares if z is None else shares | {"mean of z": float(np.nanmean(z)), "variance of z": float(np.nanvar(z))}


def table(
    title: str, scenarios: dict[str, Scenario], cohorts: int, permutations: int = 0, *, brief: bool = False
) -> None:
    """Print one table, a column a scenario."""
    start = clock.process_time()
    columns = [rejected(scenario, cohorts, permutations, brief=brief) for scenario in scenarios.values()]
    print(f"\n{title}: {cohorts} cohorts" + (f", {permutations} permutations each" if permutations else ""))
    print(f"{'':<46}" + "".join(f"{name:>14}" for name in scenarios))
    for name in columns[0]:
        print(f"{name:<46}" + "".join(f"{shares[name]:>14.3f}" for shares in columns))
    print(f"({clock.process_time() - start:.0f} s)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the cohorts")
    parser.add_argument("--endpoint", choices=["survival", "binary"], help="one of the two only")
    parser.add_argument("--part", choices=["nothing", "planted", "others", "permutation"], help="one table only")
    given = parser.parse_args()
    scale = 10 if given.quick else 1
    for name in [given.endpoint] if given.endpoint else ["survival", "binary"]:
        base = Scenario(timed=name == "survival")
        alone = replace(base, factors=0)
        others = {
            "3 features": replace(alone, features=3),
            "tied": replace(base, tied=0.8),
            "screened": replace(base, scorer="screened"),
            "neighbours": replace(base, scorer="neighbours"),
        }
        if not base.timed:
            others["two views"] = replace(base, views=2)
        if given.part in (None, "nothing"):
            table(f"Nothing to find, {name}", {"10 factors": base, "independent": alone}, 500 // scale)
        if given.part in (None, "planted"):
            planted = {f"{effect}": replace(base, effect=effect) for effect in (0.3, 0.5, 0.8)}
            planted |= {f"{effect}, indep.": replace(alone, effect=effect) for effect in (0.5, 0.8)}
            table(f"Planted, {name}; effect of one SD", planted, 200 // scale)
        if given.part in (None, "others"):
            table(f"Nothing to find in other blocks and by other scorers, {name}", others, 300 // scale, brief=True)
        if given.part in (None, "permutation"):
            table(f"Nothing to find, {name}", {"10 factors": base}, 100 // scale, 99)
            table(f"Planted, {name}", {"0.5": replace(base, effect=0.5)}, 100 // scale, 99)


if __name__ == "__main__":
    main()
