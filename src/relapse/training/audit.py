"""The leakage audit: what a candidate would be reported to reach under naive protocols, beside what it reaches."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer

from relapse.candidates.base import BinaryModel, Head, Params, SurvivalModel, outcome
from relapse.candidates.catalogue import family
from relapse.candidates.imbalance import KEY
from relapse.candidates.limits import within
from relapse.candidates.width import suggest_reductions
from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import AUDIT_SETTING
from relapse.machinery import Machinery
from relapse.params import AuditParams
from relapse.preprocessing.encodings import Encodings
from relapse.preprocessing.sampling import oversampler
from relapse.preprocessing.transformers import encoder
from relapse.training.protocols import HONEST, NAIVE, SELECTED, Protocol
from relapse.training.splits import derived_seed, fold_numbers
from relapse.training.studies import blind_trials
from relapse.training.tuning import FIT_FAILURES, discrimination
from relapse.workers import shared_out

Array = NDArray[np.float64]

#: Positions of the rows that a model is fitted to, and of those it is measured on.
_Part = tuple[NDArray[np.int_], NDArray[np.int_]]


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

    A candidate that the table is too wide for is left out, and one that sees images, since protocols differ in what
    they do to columns. All protocols of a candidate choose among the same hyperparameters, drawn once, so that they
    differ in nothing else. Ensembles of networks are audited at the size with which hyperparameters are compared,
    smaller than the final one.

    Parameters
    ----------
    table
        Typed canonical table.
    machinery
        Workers and backend; neither changes a figure.
    """
    from joblib import delayed

    heads = {
        name: head
        for name in params.candidates
        if not family(name).sees
        and (head := family(name).head(cohort))
        and not isinstance(within(cohort, head.limit, rows=len(table)), str)
    }
    obstacles = {item.name: item.obstacle(table, cohort, heads.values()) for item in NAIVE}
    naive = [item for item in NAIVE if obstacles[item.name] is None]
    wanted = {item.baseline for item in naive}
    run = [item for item in (HONEST, SELECTED) if item.name in wanted] + naive
    jobs = [
        (name, item, repeat)
        for name, head in heads.items()
        for item in run
        if item.concerns(head)
        for repeat in range(params.repeats)
    ]
    tasks = (delayed(measure)(table, cohort, name, item, params, seed, repeat) for name, item, repeat in jobs)
    loads = {name for head in heads.values() for name in head.loaded}
    label = f"{cohort.name} audit"
    values = shared_out(tasks, machinery, total=len(jobs), label=label, loads=loads, common=(table, cohort))
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
        for name, head in heads.items()
        if item.concerns(head)
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
    limited = within(cohort, head.limit, rows=len(table))
    if isinstance(limited, str):
        raise TypeError(f"{candidate}: {limited}")
    cohort = limited
    settings = _settings(head, cohort, params.draws, derived_seed(seed, "audit", candidate))
    split_seed = derived_seed(seed, "audit", "split", repeat)
    with threadpool_limits(limits=1):
        rows = _Rows.of(table, cohort, head, protocol, seed=derived_seed(seed, "audit", "model"))
        outer = _parts(fold_numbers(rows.keys, folds=params.folds, seed=split_seed, setting=AUDIT_SETTING))
        if protocol.tuning == "test":
            return float(np.max([rows.values(choice, outer) for choice in settings], axis=0).mean())
        chosen = np.zeros(len(outer), dtype=int)
        if len(settings) > 1:
            inner = [part for train, _ in outer for part in _inner_parts(rows, train, params, split_seed)]
            compared = np.array([rows.values(choice, inner) for choice in settings])
            chosen = compared.reshape(len(settings), len(outer), -1).mean(axis=2).argmax(axis=0)
        values = np.empty(len(outer))
        for number in np.unique(chosen):
            mine = np.flatnonzero(chosen == number)
            values[mine] = rows.values(settings[number], [outer[place] for place in mine])
    return float(values.mean())


def _parts(folds: NDArray[np.int_]) -> list[_Part]:
    return [(np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in range(folds.max() + 1)]


def _inner_parts(rows: "_Rows", train: NDArray[np.int_], params: AuditParams, seed: int) -> list[_Part]:
    inner = fold_numbers(rows.keys.iloc[train], folds=params.inner_folds, seed=seed, setting=AUDIT_SETTING)
    return [(train[seen], train[unseen]) for seen, unseen in _parts(inner)]


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
    encodings: Encodings

    @classmethod
    def of(cls, table: pd.DataFrame, cohort: Cohort, head: Head, protocol: Protocol, *, seed: int) -> "_Rows":
        keys = table[["patient", "site", "event"]].reset_index(drop=True)
        if protocol.unit == "rows":
            keys = keys.assign(patient=[f"row {number}" for number in range(len(keys))])
        X, target = table.reset_index(drop=True).assign(patient=keys["patient"]), outcome(table, cohort)
        if protocol.synthetic == "before":
            sampler = oversampler(cohort, cohort.predictors, seed=seed)
            if sampler is None:
                raise TypeError(f"{cohort.name} asks for no synthetic rows.")
            matrix = encoder(cohort, cohort.predictors).fit_transform(X)
            matrix, target = sampler.fit_resample(matrix, target)
            made = len(target) - len(keys)
            names = [f"synthetic {number}" for number in range(made)]
            synthetic = pd.DataFrame({"patient": names, "site": "", "event": target[len(keys) :]})
            keys = pd.concat([keys, synthetic], ignore_index=True)
            X = pd.DataFrame(matrix).rename(columns=str).assign(patient=keys["patient"])
        return cls(X, target, keys, cohort, head, protocol, seed, Encodings(X))

    def values(self, params: Params, parts: Sequence[_Part]) -> list[float]:
        """AUC or C on the test rows of each part, by a model fitted to its training rows; the lowest where it fails."""
        try:
            models = self._fitted(params, parts)
            return [
                discrimination(self.target[test], model.predict_score(self.X.iloc[test]), self.cohort)
                for model, (_, test) in zip(models, parts, strict=True)
            ]
        except FIT_FAILURES:
            # One part may have failed for all of them.
            return [0.0] if len(parts) == 1 else [value for part in parts for value in self.values(params, [part])]

    def _fitted(self, params: Params, parts: Sequence[_Part]) -> list[BinaryModel | SurvivalModel]:
        models = [self._model(params, train) for train, _ in parts]
        seen = [train for train, _ in parts]
        held: list[NDArray[np.bool_] | None] = [None] * len(parts)
        if self.protocol.stopping == "test":
            seen = [np.concatenate(part) for part in parts]
            held = [np.arange(len(rows)) >= len(train) for rows, (train, _) in zip(seen, parts, strict=True)]
        tables, targets = [self.X.iloc[rows] for rows in seen], [self.target[rows] for rows in seen]
        if self.head.fit_together is not None:
            self.head.fit_together(models, tables, targets, held)
            return models
        return [model.fit(X, y) for model, X, y in zip(models, tables, targets, strict=True)]

    def _model(self, params: Params, train: NDArray[np.int_]) -> BinaryModel | SurvivalModel:
        """The unfitted model, with the features selected that the protocol selects."""
        cohort = self.cohort
        if self.protocol.selection != "none":
            seen = train if self.protocol.selection == "inside" else np.arange(len(self.X))
            cohort = _restricted(cohort, _most_associated(self.X.iloc[seen], self.target[seen], cohort))
        model = self.head.model(cohort, params | self.head.draft, self.seed)
        if self.protocol.synthetic == "before":
            as_it_is = ColumnTransformer(
                [("known by", "drop", ["patient"])], remainder="passthrough", sparse_threshold=0.0
            )
            model.set_params(encoder=as_it_is, sampler=None, reducer=None)
        self.encodings.keep(model)
        return model


def _settings(head: Head, cohort: Cohort, draws: int, seed: int) -> list[Params]:
    """Hyperparameters to choose from; rare events are handled alike in all of them, as the cohort asks for."""
    if head.space is None:
        return [{}]
    fixed = {KEY: cohort.imbalance} if head.balanced and cohort.survival is None else {}
    trials = islice(blind_trials(seed=seed), draws)
    return [head.space(trial) | suggest_reductions(trial, cohort) | fixed for trial in trials]


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
