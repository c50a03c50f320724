"""False alarms of monitoring over a year of weekly looks, and weeks until drifts that were planted are found.

``python -P benchmarks/monitoring.py [--years 100] [--found 12]``: cohorts are drawn, models fitted with out-of-fold
risks, bundles' references made by the code that makes them, and a year of patients served and judged. Nothing is
mocked; only the files between are left out.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy import special
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from relapse.bundle.monitoring import monitor, unlike
from relapse.bundle.reference import refer
from relapse.bundle.summary import summarise
from relapse.cohorts.schema import Cohort
from relapse.cohorts.table import typed
from relapse.monitoring.making import Training, monitored
from relapse.monitoring.outcomes import Arrived, known_of
from relapse.monitoring.performance import Known, outcome_streams
from relapse.monitoring.served import Served
from relapse.monitoring.streams import judge
from relapse.monitoring.watching import watch

Array = NDArray[np.float64]

WEEKS = 52


@dataclass(frozen=True)
class World:
    """Patients in training and a week, features, and what comes over them from ``begins`` (a week) on."""

    patients: int = 400
    weekly: int = 20
    features: int = 10
    begins: int = WEEKS
    #: Added to the first number, in standard deviations.
    shift: float = 0.0
    #: Share of the second number that is missing, before and after.
    missing: tuple[float, float] = (0.1, 0.1)
    #: Added to every number in the direction of the risk, in standard deviations of the linear predictor.
    riskier: float = 0.0
    #: Added to the log-odds of the event: the model's risks are then wrong.
    logit: float = 0.0
    #: What the effects are multiplied by.
    effect: float = 1.0
    #: Correlation of the numbers.
    correlation: float = 0.3


def cohort_of(world: World) -> Cohort:
    """Numbers, then an ordinal and two nominal features."""
    numbers = world.features - 3
    features = {
        f"x{place}": {"type": "continuous", "range": [-99, 99], "max_missing": 0.9 if place == 1 else 0}
        for place in range(numbers)
    }
    features |= {
        "grade": {"type": "ordinal", "levels": ["low", "mid", "high"]},
        "type": {"type": "nominal", "levels": ["A", "B", "C", "D"]},
        "side": {"type": "nominal", "levels": ["left", "right"]},
    }
    return Cohort.model_validate(
        {
            "name": "drawn",
            "title": "Drawn",
            "source": {"csv": "none.csv"},
            "licence": "none",
            "citation": "none",
            "endpoint": {"kind": "binary", "event": "event"},
            "features": features,
            "reference": ["x0"],
        }
    )


def draw(world: World, cohort: Cohort, rng: np.random.Generator, size: int, drifted: NDArray[np.bool_]) -> pd.DataFrame:
    """Patients of a typed table; those ``drifted`` have what is planted."""
    numbers = world.features - 3
    correlation = np.where(drifted, world.correlation, 0.3)[:, None]
    common = rng.normal(size=(size, 1))
    x = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * rng.normal(size=(size, numbers))
    # Three numbers and the grade carry the risk.
    x[:, :3] += np.where(drifted, world.riskier, 0.0)[:, None]
    x[:, 0] += np.where(drifted, world.shift, 0.0)
    grade = np.digitize(rng.normal(size=size), [-0.3, 0.8])
    line = 0.5 * x[:, 0] + 0.4 * x[:, 1] + 0.3 * x[:, 2] + 0.4 * (grade - 1)
    line = -1.2 + line * np.where(drifted, world.effect, 1.0) + np.where(drifted, world.logit, 0.0)
    table = pd.DataFrame(x.round(3), columns=[f"x{place}" for place in range(numbers)])
    share = np.where(drifted, world.missing[1], world.missing[0])
    table.loc[rng.random(size) < share, "x1"] = np.nan
    table["grade"] = np.array(["low", "mid", "high"])[grade]
    table["type"] = rng.choice(list("ABCD"), size, p=[0.5, 0.3, 0.15, 0.05])
    table["side"] = rng.choice(["left", "right"], size)
    table["event"] = (rng.random(size) < special.expit(line)).astype(int)
    table["row"] = np.arange(size)
    table["patient"] = table["row"].astype(str)
    return typed(table, cohort)


def _design(table: pd.DataFrame, cohort: Cohort) -> Array:
    plain = table[cohort.predictors].copy()
    plain["grade"] = plain["grade"].cat.codes
    return pd.get_dummies(plain, dtype=float).fillna(0.0).to_numpy()


def year(world: World, seed: int) -> tuple[dict[str, float], int]:
    """Weeks from the drift until each stream's alarm, by name; and the streams watched."""
    rng = np.random.default_rng(seed)
    cohort, size = cohort_of(world), world.patients
    training = draw(world, cohort, rng, size, np.zeros(size, dtype=bool))
    model = LogisticRegression(C=0.3, max_iter=500)
    design, event = _design(training, cohort), training["event"].to_numpy()
    out_of_fold = cross_val_predict(model, design, event, cv=5, method="predict_proba")[:, 1]
    predictions = pd.DataFrame({"row": training["row"], "risk": out_of_fold})
    known = monitor(training, cohort, predictions, threshold=float(event.mean()))
    week = np.repeat(np.arange(WEEKS), world.weekly)
    table = draw(world, cohort, rng, week.size, week >= world.begins)
    risk = model.fit(design, event).predict_proba(_design(table, cohort))[:, 1].round(3)
    reference = refer(training, cohort, risks=())
    served = Served(
        day=np.datetime64("2026-01-05") + 7 * week,
        patient=table["patient"].to_numpy(dtype=str),
        classes=known.classes({name: item.classes.places(table[name]) for name, item in known.features.items()}),
        risk=risk,
        unlike=unlike(table, cohort, reference, summarise(training, cohort)).astype(float),
    )
    outcomes = Known(np.arange(week.size), served.day, risk, table["event"].to_numpy())
    judged = watch(served, known, outcomes, labels={name: name for name in known.features}, may_lack={"x1"})
    begun = np.datetime64("2026-01-05") + 7 * world.begins
    return {
        f"{item.stream.code.code} {item.stream.column}".strip(): float((item.alarm.day - begun).astype(int) / 7) + 1
        for item in judged
        if item.alarm
    }, len(judged)


def timed_year(patients: int, hazard: float, seed: int) -> dict[str, float]:
    """Weeks until each alarm of outcomes of a time to an event, censored in the training and lost when served.

    From week 14 on the hazard is ``hazard`` times what the risks say.
    """
    rng, weekly, begins = np.random.default_rng(seed), 20, 13
    endpoint = {"kind": "survival", "event": "event", "time": "time", "unit": "day", "horizons": ["1 y", "2 y"]}
    base = cohort_of(World()).model_dump(by_alias=True, exclude_none=True)
    cohort = Cohort.model_validate(base | {"endpoint": endpoint})
    assert cohort.survival is not None
    at = cohort.survival.horizons[0].time

    def drawn(size: int, low: float, high: float, times: Array) -> tuple[Array, Array, NDArray[np.int64]]:
        line = rng.normal(-0.9, 0.8, size)
        event_time, end = rng.exponential(at / np.exp(line) / times), rng.uniform(low, high, size)
        risk = (1 - np.exp(-np.exp(line))).round(3)
        return risk, np.minimum(event_time, end) + 0.5, (event_time <= end).astype(int)

    risk, time, event = drawn(patients, 50, 1200, np.ones(patients))
    features = draw(World(), cohort, rng, patients, np.zeros(patients, dtype=bool)).assign(event=event, time=time)
    training = monitored(Training(features, risk, np.zeros(patients, dtype=bool), None), cohort)
    assert training.outcomes is not None
    week = np.repeat(np.arange(WEEKS), weekly)
    risk, time, event = drawn(week.size, 100, 2500, np.where(week >= begins, hazard, 1.0))
    names = np.array([f"{seed}x{place * 7919 % 10007}" for place in range(week.size)])
    first = np.datetime64("2022-01-03")
    served = Served(first + 7 * week, names, np.zeros((week.size, 1), dtype=int), risk, np.zeros(week.size))
    known = known_of(served, Arrived(names, event, time), training.outcomes, until=np.datetime64("2026-01-01"))
    return {
        item.stream.code.code: float((item.alarm.day - first).astype(int) // 7 - begins + 1)
        for item in judge(outcome_streams(known, training.outcomes))
        if item.alarm
    }


def run(world: World, *, years: int, seed: int = 1) -> list[tuple[dict[str, float], int]]:
    """Several years, each with a training of its own."""
    jobs = (delayed(year)(world, 1000 * seed + number) for number in range(years))
    return list(Parallel(n_jobs=2)(jobs))


PLANTED: dict[str, tuple[Callable[[World], World], str]] = {
    "a feature shifts by 0.5 SD": (lambda world: replace(world, shift=0.5), "W001 x0"),
    "missing values double (10 to 20%)": (lambda world: replace(world, missing=(0.1, 0.2)), "W002 x1"),
    "missing values double (25 to 50%)": (lambda world: replace(world, missing=(0.25, 0.5)), "W002 x1"),
    "three features of the risk shift by 0.3 SD": (lambda world: replace(world, riskier=0.3), "W003"),
    "correlation of numbers 0.3 to 0.8": (lambda world: replace(world, correlation=0.8), "W004"),
    "log-odds of the event +0.5": (lambda world: replace(world, logit=0.5), "W006"),
    "log-odds of the event +1": (lambda world: replace(world, logit=1.0), "W006"),
    "effects vanish": (lambda world: replace(world, effect=0.0), "W007"),
}


def main() -> None:
    """Print both tables, as the docs have them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=100, help="years without drift, of each kind")
    parser.add_argument("--found", type=int, default=12, help="years with each drift")
    parser.add_argument("--begins", type=int, default=13, help="week in which a drift begins")
    parser.add_argument("--worlds", type=int, default=3, help="sizes of training for drifts, smallest first")
    given = parser.parse_args()
    print("| training | a week | features | years | with a false alarm |\n|---|---|---|---|---|")
    for patients, weekly, features in ((150, 10, 6), (150, 20, 10), (400, 20, 10), (700, 40, 20)):
        world = World(patients=patients, weekly=weekly, features=features)
        found = run(world, years=given.years)
        alarms = [alarm for alarm, _ in found if alarm]
        names = pd.Series([name for alarm in alarms for name in alarm], dtype=str).value_counts().to_dict()
        print(f"| {patients} | {weekly} | {features} | {given.years} | {len(alarms) / given.years:.1%} | {names}")
        sys.stdout.flush()
    print("\n| planted | alarm | training, a week | found in the year | weeks until, median (quartiles) |")
    print("|---|---|---|---|---|")
    for name, (plant, code) in PLANTED.items():
        for patients, weekly in ((150, 20), (400, 20), (700, 40))[: given.worlds]:
            world = plant(World(patients=patients, weekly=weekly, begins=given.begins))
            weeks = [alarm.get(code, np.inf) for alarm, _ in run(world, years=given.found, seed=2)]
            share = np.mean(np.isfinite(weeks))
            low, middle, high = np.quantile(weeks, [0.25, 0.5, 0.75], method="inverted_cdf")
            print(f"| {name} | {code} | {patients}, {weekly} | {share:.0%} | {middle:g} ({low:g} to {high:g}) |")
            sys.stdout.flush()
    print(
        "\n| time to an event, training | hazard | years | with an alarm | weeks until, median |\n|---|---|---|---|---|"
    )
    for patients, hazard, years in ((150, 1.0, given.years), (400, 1.0, given.years), (400, 2.0, given.found)):
        found_in = [timed_year(patients, hazard, seed) for seed in range(years)]
        weeks = [min(alarms.values(), default=np.inf) for alarms in found_in]
        share = np.mean(np.isfinite(weeks))
        print(
            f"| {patients} | {hazard:g} | {years} | {share:.0%} | {np.quantile(weeks, 0.5, method='inverted_cdf'):g} |"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
