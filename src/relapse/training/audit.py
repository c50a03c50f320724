"""The leakage audit: what a candidate would be reported to reach under naive protocols, beside what it reaches."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer

from relapse.candidates.base import BinaryModel, Head, Params, SurvivalModel, outcome
from relapse.candidates.catalogue import family
from relapse.candidates.imbalance import KEY
from relapse.cohorts.schema import Cohort
from relapse.console import progress
from relapse.preprocessing.sampling import oversampler
from relapse.preprocessing.transformers import encoder
from relapse.settings import AuditParams, Machinery
from relapse.training.protocols import HONEST, NAIVE, SELECTED, Protocol
from relapse.training.splits import derived_seed, fold_numbers
from relapse.training.tuning import FIT_FAILURES, discrimination

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    ``optimism`` has one row a candidate and naive protocol: ``candidate``, ``title``, ``protocol``, ``naive`` and
    ``honest`` (mean AUC or Harrell's C over the outer folds of all repeats) and ``optimism``, their difference;
    ``protocols`` says of each naive one whether it applies to the cohort, and why not.
    """

    cohort: str
    simulated: bool
    metric: str
    optimism: pd.DataFrame
    protocols: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a JSON file."""
        return asdict(self) | {"optimism": self.optimism.to_dict("records")}


def audit(table: pd.DataFrame, cohort: Cohort, *, params: AuditParams, seed: int, machinery: Machinery) -> Audit:
    """Run the candidates of ``params`` under every protocol that says something about the cohort.

    All protocols of a candidate choose among the same hyperparameters, drawn once, so that they differ in nothing else.

    Parameters
    ----------
    table
        Typed canonical table.
    machinery
        Workers and backend; neither changes a figure.
    """
    from joblib import Parallel, delayed, parallel_config

    obstacles = {item.name: item.obstacle(table, cohort) for item in NAIVE}
    naive = [item for item in NAIVE if obstacles[item.name] is None]
    wanted = {item.baseline for item in naive}
    run = [item for item in (HONEST, SELECTED) if item.name in wanted] + naive
    names = [name for name in params.candidates if family(name).head(cohort)]
    jobs = [(name, item, repeat) for name in names for item in run for repeat in range(params.repeats)]
    with parallel_config(backend=machinery.backend, n_jobs=machinery.workers):
        tasks = (delayed(measure)(table, cohort, name, item, params, seed, repeat) for name, item, repeat in jobs)
        done = Parallel(return_as="generator")(tasks)
        values = list(progress(done, total=len(jobs), label=f"{cohort.name} audit"))
    found: dict[tuple[str, str], list[float]] = {}
    for (name, item, _), value in zip(jobs, values, strict=True):
        found.setdefault((name, item.name), []).append(value)
    rows = [
        {
            "candidate": name,
            "title": family(name).title,
            "protocol": item.name,
            "naive": float(np.mean(found[name, item.name])),
            "honest": float(np.mean(found[name, str(item.baseline)])),
        }
        for item in naive
        for name in names
    ]
    columns = ["candidate", "title", "protocol", "naive", "honest"]
    optimism = pd.DataFrame(rows, columns=columns).assign(optimism=lambda frame: frame["naive"] - frame["honest"])
    said = [
        {
            "name": item.name,
            "title": item.title,
            "what": item.description,
            "not_applicable": obstacles[item.name],
        }
        for item in NAIVE
    ]
    return Audit(cohort.name, cohort.simulated, "Harrell's C" if cohort.survival else "ROC AUC", optimism, said)


def measure(
    table: pd.DataFrame, cohort: Cohort, candidate: str, protocol: Protocol, params: AuditParams, seed: int, repeat: int
) -> float:
    """Mean AUC or C over the outer test folds of one candidate under one protocol."""
    from threadpoolctl import threadpool_limits

    head = family(candidate).head(cohort)
    if head is None:
        raise TypeError(f"{candidate} has no model for this endpoint.")
    settings = _settings(head, cohort, params.draws, derived_seed(seed, "audit", candidate))
    split_seed = derived_seed(seed, "audit", "split", repeat)
    with threadpool_limits(limits=1):
        rows = _Rows.of(table, cohort, head, protocol, seed=derived_seed(seed, "audit", "model"))
        outer = fold_numbers(rows.keys, folds=params.folds, seed=split_seed)
        values = []
        for fold in range(params.folds):
            train, test = np.flatnonzero(outer != fold), np.flatnonzero(outer == fold)
            if protocol.tuning == "test":
                values.append(max(rows.value(choice, train, test) for choice in settings))
                continue
            best = settings[0]
            if len(settings) > 1:
                inner = fold_numbers(rows.keys.iloc[train], folds=params.inner_folds, seed=split_seed)
                parts = [(train[inner != part], train[inner == part]) for part in range(params.inner_folds)]
                best = max(settings, key=lambda choice: np.mean([rows.value(choice, *part) for part in parts]))
            values.append(rows.value(best, train, test))
    return float(np.mean(values))


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows that a protocol splits, a table or an encoded matrix; ``keys`` say what must stay together."""

    X: pd.DataFrame
    target: NDArray[Any]
    keys: pd.DataFrame
    cohort: Cohort
    head: Head
    protocol: Protocol
    seed: int

    @classmethod
    def of(cls, table: pd.DataFrame, cohort: Cohort, head: Head, protocol: Protocol, *, seed: int) -> "_Rows":
        keys = table[["patient", "site", "event"]].reset_index(drop=True)
        if protocol.unit == "rows":
            keys = keys.assign(patient=[f"row {number}" for number in range(len(keys))])
        X, target = table.reset_index(drop=True), outcome(table, cohort)
        if protocol.synthetic == "before":
            sampler = oversampler(cohort, cohort.predictors, seed=seed)
            if sampler is None:
                raise TypeError(f"{cohort.name} asks for no synthetic rows.")
            matrix = encoder(cohort, cohort.predictors).fit_transform(X)
            matrix, target = sampler.fit_resample(matrix, target)
            made = len(target) - len(keys)
            names = [f"synthetic {number}" for number in range(made)]
            synthetic = pd.DataFrame({"patient": names, "site": "", "event": target[len(keys) :]})
            X, keys = pd.DataFrame(matrix), pd.concat([keys, synthetic], ignore_index=True)
        return cls(X, target, keys, cohort, head, protocol, seed)

    def value(self, params: Params, train: NDArray[np.int_], test: NDArray[np.int_]) -> float:
        """AUC or C on the rows ``test`` of a model fitted to the rows ``train``; the lowest value where it fails."""
        try:
            score = self._model(params, train).predict_score(self.X.iloc[test])
        except FIT_FAILURES:
            return 0.0
        return discrimination(self.target[test], score, self.cohort)

    def _model(self, params: Params, train: NDArray[np.int_]) -> BinaryModel | SurvivalModel:
        cohort = self.cohort
        if self.protocol.selection != "none":
            seen = train if self.protocol.selection == "inside" else np.arange(len(self.X))
            cohort = _restricted(cohort, _most_associated(self.X.iloc[seen], self.target[seen], cohort))
        model = self.head.build(cohort, params, self.seed)
        if self.protocol.synthetic == "before":
            as_it_is = ColumnTransformer([], remainder="passthrough", sparse_threshold=0.0)
            model.set_params(encoder=as_it_is, sampler=None)
        return model.fit(self.X.iloc[train], self.target[train])


def _settings(head: Head, cohort: Cohort, draws: int, seed: int) -> list[Params]:
    """Hyperparameters to choose from; rare events are handled alike in all of them, as the cohort asks for."""
    import optuna

    if head.space is None:
        return [{}]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    fixed = {KEY: cohort.imbalance} if head.balanced and cohort.survival is None else {}
    return [head.space(study.ask()) | fixed for _ in range(draws)]


def _most_associated(table: pd.DataFrame, target: NDArray[Any], cohort: Cohort) -> list[str]:
    """The quarter of the predictors, at least three, whose single AUC or C is farthest from ½."""
    strength = {}
    for name in cohort.predictors:
        column = table[name].cat.codes if isinstance(table[name].dtype, pd.CategoricalDtype) else table[name]
        values = np.asarray(column.fillna(column.median()), dtype=np.float64)
        strength[name] = abs(discrimination(target, values, cohort) - 0.5)
    kept = sorted(strength, key=lambda name: -strength[name])[: max(3, len(strength) // 4)]
    return [name for name in cohort.predictors if name in kept]


def _restricted(cohort: Cohort, names: list[str]) -> Cohort:
    features = {name: cohort.features[name] for name in names}
    return cohort.model_copy(update={"features": features, "reference": tuple(names[:1]), "subgroups": ()})
