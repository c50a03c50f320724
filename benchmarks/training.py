"""Speed of training, in one process with one thread.

``OMP_NUM_THREADS=1 python -P benchmarks/training.py`` from the repository root; ``--quick`` trains fewer networks.

*Cox regression*: the reference's and the elastic net's, scikit-survival against lifelines, on GBSG: why lifelines does
not carry both.

*Forests, ranking machine, Yeo-Johnson*: as the libraries fit them against our ways around them, on the size of GBSG's
inner folds and on a small cohort's with many columns. *Margins*: what a support vector classifier with a radial kernel,
fitted to 5,000 rows, says of others.

*Networks*: those of the engine, all at once, against a plain torch module and training loop for each, with the same
rows, initial weights and early stopping; dropout is off, so that predictions can be compared.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.candidates.networks.making import tasks  # noqa: E402
from tests.candidates.networks.plain import PlainCNN, PlainMLP, loaded, train_alone  # noqa: E402

from relapse.candidates.cox import CoxRegression  # noqa: E402
from relapse.candidates.networks.engine import Schedule, fit_many  # noqa: E402
from relapse.candidates.networks.layers import convolutional, forward, initial, multilayer  # noqa: E402
from relapse.candidates.networks.losses import BINARY  # noqa: E402

FEATURES = 10


def timed(call: Callable[[], object]) -> tuple[object, float]:
    """What a call returns, and its seconds."""
    start = time.perf_counter()
    found = call()
    return found, time.perf_counter() - start


def networks(size: int, count: int) -> None:
    """Batched against one at a time: seconds, ratios, largest difference of predicted risks."""
    made = tasks(count, rows=size, features=FEATURES)
    bodies = {
        "1D-CNN, 8 channels": (convolutional(FEATURES, width=8), lambda: PlainCNN(FEATURES, 8)),
        "MLP, 2 × 16 units": (multilayer(FEATURES, width=16, depth=2), lambda: PlainMLP(FEATURES, 16, 2)),
    }
    schedule = Schedule(learning_rate=3e-3)
    for name, (layers, module) in bodies.items():

        def plain(task, dtype, layers=layers, module=module) -> nn.Module:
            weights = initial(layers, seed=task.seed)
            weights[-1][:] = BINARY.base(BINARY.columns(task.target[~task.held], False)[1])
            return train_alone(loaded(module(), weights).to(dtype), task, schedule)

        fit_many(layers, BINARY, made[:2], Schedule(epochs=2))
        found, ours = timed(lambda layers=layers: fit_many(layers, BINARY, made, schedule))
        theirs, double = timed(lambda: [plain(task, torch.float64) for task in made])
        _, single = timed(lambda: [plain(task, torch.float32) for task in made])
        largest = 0.0
        for weights, one, task in zip(found, theirs, made, strict=True):
            output = forward(layers, [array[None] for array in weights], task.matrix)[0]
            with torch.no_grad():
                difference = np.abs(_risk(output) - _risk(one(torch.tensor(task.matrix)).numpy())).max()
            largest = max(largest, float(difference))
        print(
            f"{name:<20}{size:>6,} rows{count:>4} networks{ours:>8.2f} s batched"
            f"{double:>8.2f} s one by one{double / ours:>6.1f}x"
            f"{single:>8.2f} s in single precision{single / ours:>6.1f}x   largest difference {largest:.0e}",
            flush=True,
        )


def cox() -> None:
    """Seconds of one fit, ratio, largest difference of coefficients, coefficients that are nothing."""
    from lifelines import CoxPHFitter
    from lifelines.datasets import load_gbsg2

    table = load_gbsg2()
    numbers = table[["age", "tsize", "pnodes", "progrec", "estrec"]]
    frame = ((numbers - numbers.mean()) / numbers.std()).assign(time=table["time"], event=table["cens"])
    X = frame.drop(columns=["time", "event"]).to_numpy()
    y = np.array(list(zip(frame["event"] == 1, frame["time"], strict=True)), dtype=[("event", bool), ("time", float)])
    for penalty, l1_ratio in ((0.0, 0.5), (0.02, 0.5), (0.1, 0.9)):
        ours, one = timed(lambda p=penalty, r=l1_ratio: CoxRegression(p, r).fit(X, y).coef_)
        theirs, two = timed(
            lambda p=penalty, r=l1_ratio: CoxPHFitter(penalizer=p, l1_ratio=r).fit(frame, "time", "event").params_
        )
        apart = np.abs(ours - theirs.to_numpy()).max()
        print(
            f"Cox, penalty {penalty:<5} l1 {l1_ratio}{one:>10.4f} s scikit-survival{two:>10.4f} s lifelines"
            f"{two / one:>6.0f}x   largest difference {apart:.0e}   zeros {(ours == 0).sum()} and {(theirs == 0).sum()}"
        )


def libraries() -> None:
    """Seconds of one fit, ratio, and the largest difference of what comes out."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.preprocessing import PowerTransformer
    from sksurv.ensemble import RandomSurvivalForest
    from sksurv.svm import FastSurvivalSVM

    from relapse.candidates.forest import SurvivalForest
    from relapse.candidates.growing import BinaryForest
    from relapse.candidates.pairs import RankingMachine
    from relapse.candidates.svm import MarginClassifier
    from relapse.preprocessing.powers import YeoJohnson

    rng = np.random.default_rng(1)
    small = rng.lognormal(size=(160, 32))
    label = (np.log(small[:, 0]) + rng.normal(size=len(small)) > 1).astype(int)
    large = rng.normal(size=(366, 7))
    # As many times as the survival forest distinguishes, so that both see the same.
    time = np.exp(-large[:, 0] + rng.normal(size=len(large)))
    event = rng.random(len(large)) < 0.45
    time = 1.0 + np.searchsorted(np.quantile(time[event], np.linspace(0, 1, 41)[1:-1]), time)
    y = np.array(list(zip(event, time, strict=True)), dtype=[("event", bool), ("time", float)])
    trees = {"n_estimators": 50, "min_samples_leaf": 10, "max_features": 0.5, "random_state": 1}
    machine = {"alpha": 0.01, "max_iter": 10, "random_state": 1}
    many = rng.normal(size=(20_000, 40))
    many_times, until = rng.exponential(np.exp(-many[:, 0])), rng.uniform(0.2, 3, len(many))
    many_y = np.array(
        list(zip(many_times < until, np.minimum(many_times, until), strict=True)),
        dtype=[("event", bool), ("time", float)],
    )
    rows, asked = rng.normal(size=(5_000, 25)), rng.normal(size=(1_000, 25))
    kernel = MarginClassifier(gamma=0.01).fit(rows, (rows[:, 0] + rng.normal(size=len(rows)) > 1).astype(int))
    cases = {
        "random forest": (
            lambda: BinaryForest(**trees).fit(small, label).predict_proba(small),
            lambda: RandomForestClassifier(**trees).fit(small, label).predict_proba(small),
        ),
        "random survival forest": (
            lambda: SurvivalForest(**trees).fit(large, y).forest_.predict(large),
            lambda: RandomSurvivalForest(**trees).fit(large, y).predict(large),
        ),
        "ranking machine": (
            lambda: RankingMachine(**machine).fit(large, y).coef_,
            lambda: FastSurvivalSVM(**machine).fit(large, y).coef_,
        ),
        "of 20,000 rows": (
            lambda: RankingMachine(**machine).fit(many, many_y).coef_,
            lambda: FastSurvivalSVM(**machine).fit(many, many_y).coef_,
        ),
        "margins of 1,000 rows": (lambda: kernel.margin(asked), lambda: kernel.machine_.decision_function(asked)),
        "Yeo-Johnson": (
            lambda: YeoJohnson().fit_transform(small),
            lambda: PowerTransformer().fit_transform(small),
        ),
    }
    for name, (own, library) in cases.items():
        own(), library()
        ours, one = timed(own)
        theirs, two = timed(library)
        apart = np.abs(ours - theirs).max()
        print(
            f"{name:<24}{one:>10.4f} s ours{two:>10.4f} s the library{two / one:>6.1f}x"
            f"   largest difference {apart:.0e}"
        )


def _risk(output: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-output))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="10 networks instead of 50")
    count = 10 if parser.parse_args().quick else 50
    torch.set_num_threads(1)
    cox()
    libraries()
    for size in (270, 2000):
        networks(size, count)


if __name__ == "__main__":
    main()
