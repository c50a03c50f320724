"""Explanations of a cohort's candidates: each row is explained by the model that has not seen it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.blocked import caches
from relapse.cohorts.schema import Cohort
from relapse.evaluation.statistics.results import Estimate
from relapse.explanation.background import Background, typical_patients
from relapse.explanation.by_shap import BY_SHAP
from relapse.explanation.permutation import Shuffled, correlated_groups, fold_losses, losses, players_of, shuffle
from relapse.explanation.shapley import Attribution, explainer
from relapse.explanation.stability import Stability, stability
from relapse.machinery import Machinery
from relapse.params import ExplainParams
from relapse.workers import shared_out

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Importance:
    """How much a part (a feature, or a block that may be reduced), or a group of correlated features, matters.

    ``shap`` is the mean |Shapley value| over all rows (of a group: of the values' sum), ``shap_by_fold`` the same in
    each fold; ``loss`` is what the ranking metric loses, ``loss_by_fold`` the same within each fold.
    """

    features: tuple[str, ...]
    shap: float
    shap_by_fold: tuple[float, ...]
    loss: Estimate
    loss_by_fold: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """A candidate's explanations; :mod:`relapse.explanation.saved` makes a ``shap.Explanation`` of those of rows.

    Attributes
    ----------
    scale
        What Shapley values are of.
    shap
        Columns ``row``, ``patient``, ``fold``, ``base``, ``output`` and one a part; a row a table row of a patient who
        was explained.
    typical, typical_values
        Artificial patients of the cohort, lowest output first, and their explanation, averaged over the fold models.
    importance
        One entry a part, in declared order, then one a group.
    shap_stability, loss_stability
        Over the folds, of the parts.
    """

    scale: str
    shap: pd.DataFrame
    typical: pd.DataFrame
    typical_values: Attribution
    importance: tuple[Importance, ...]
    shap_stability: Stability
    loss_stability: Stability


@dataclass(frozen=True, slots=True)
class _Fold:
    """What one fold's model says of the rows it has not seen, and of the cohort's typical patients."""

    rows: pd.DataFrame
    attribution: Attribution
    typical: Attribution
    shuffled: Shuffled
    losses: Array


def explain(
    table: pd.DataFrame,
    cohort: Cohort,
    folds: pd.DataFrame,
    models: Mapping[str, Mapping[int, RiskModel]],
    *,
    params: ExplainParams,
    seed: int,
    machinery: Machinery,
) -> dict[str, Explained]:
    """Explain candidates on held-out rows.

    Parameters
    ----------
    table
        Typed canonical table.
    folds
        Outer folds; those of the first repeat are used.
    models
        For each candidate the models of the first repeat, by the fold they have not seen.
    params
        Of more than ``params.patients`` patients so many are drawn, the same ones for all candidates; what is learnt
        of the others (typical patients, correlated features) is learnt of all.
    machinery
        Workers and backend; neither changes a result.
    """
    from joblib import delayed

    number = folds[folds["repeat"] == 0].set_index("row")["fold"].loc[table["row"]].to_numpy()
    drawn = drawn_patients(table, number, most=params.patients, seed=seed)
    players = players_of(cohort, correlated_groups(table, cohort, threshold=params.correlated))
    typical = typical_patients(table, cohort, size=params.background)
    jobs = [(name, fold) for name, mine in models.items() for fold in sorted(mine)]
    tasks = (
        delayed(_fold)(models[name][fold], table, number == fold, drawn, cohort, typical, players, params, (seed, fold))
        for name, fold in jobs
    )
    label = f"{cohort.name} explained"
    shared = shared_out(
        tasks,
        machinery,
        total=len(jobs),
        label=label,
        loads=["shap"],
        common=(table, cohort, typical),
        folders=caches(table),
    )
    found = dict(zip(jobs, shared, strict=True))
    joined = (
        delayed(_joined)(
            {fold: found[name, fold] for fold in sorted(mine)}, cohort, typical.table, players, params, seed
        )
        for name, mine in models.items()
    )
    label = f"{cohort.name} intervals"
    return dict(zip(models, shared_out(joined, machinery, total=len(models), label=label), strict=True))


def drawn_patients(table: pd.DataFrame, fold: NDArray[np.int_], *, most: int | None, seed: int) -> NDArray[np.bool_]:
    """Which rows (n,) belong to the about ``most`` patients drawn; all where there are no more.

    Of each fold the same share of patients with and without an event, at least one of either.
    """
    outcome = pd.DataFrame({"fold": fold, "event": table["event"].to_numpy()})
    patients = outcome.groupby(table["patient"].to_numpy(), sort=False).max()
    if most is None or len(patients) <= most:
        return np.ones(len(table), dtype=bool)
    order = pd.Series(np.random.default_rng(seed).permutation(len(patients)), index=patients.index)
    among = order.groupby([patients["fold"], patients["event"]])
    chosen = among.rank(method="first") - 1 < among.transform("size") * (most / len(patients))
    return table["patient"].map(chosen).to_numpy(dtype=bool)


def _fold(
    model: RiskModel,
    table: pd.DataFrame,
    held_out: NDArray[np.bool_],
    drawn: NDArray[np.bool_],
    cohort: Cohort,
    typical: Background,
    players: list[list[str]],
    params: ExplainParams,
    seed: tuple[int, int],
) -> _Fold:
    """One model on its held-out rows that were drawn; with one thread, so that sums come out the same everywhere."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        rows = table[held_out & drawn].reset_index(drop=True)
        ready = explainer(model, typical_patients(table[~held_out], cohort, size=params.background), cohort, BY_SHAP)
        shuffling = int(np.random.SeedSequence(seed).generate_state(1)[0])
        shuffled = shuffle(model, rows, players, cohort, shuffles=params.shuffles, seed=shuffling)
        return _Fold(rows, ready(rows), ready(typical.table), shuffled, fold_losses(shuffled, rows, cohort))


def _joined(
    found: dict[int, _Fold],
    cohort: Cohort,
    typical: pd.DataFrame,
    players: list[list[str]],
    params: ExplainParams,
    seed: int,
) -> Explained:
    """A candidate's folds taken together."""
    from threadpoolctl import threadpool_limits

    parts = list(found.values())
    rows = pd.concat([part.rows for part in parts], ignore_index=True)
    shuffled = Shuffled(
        np.concatenate([part.shuffled.intact for part in parts]),
        np.concatenate([part.shuffled.scores for part in parts], axis=2),
    )
    with threadpool_limits(limits=1):
        estimates = losses(shuffled, rows, cohort, resamples=params.resamples, seed=seed)
    values = np.concatenate([part.attribution.values for part in parts])
    by_fold = np.array([[_mean_size(part.attribution.values, player, cohort) for player in players] for part in parts])
    losses_by_fold = np.array([part.losses for part in parts])
    averaged = _averaged([part.typical for part in parts])
    order = np.argsort(averaged.output, kind="stable")
    single = len(cohort.explained)
    return Explained(
        scale=averaged.scale,
        shap=pd.concat([_frame(fold, part, cohort) for fold, part in found.items()]).sort_values(
            "row", ignore_index=True
        ),
        typical=typical.iloc[order].reset_index(drop=True),
        typical_values=Attribution(averaged.scale, averaged.base, averaged.values[order], averaged.output[order]),
        importance=tuple(
            Importance(
                tuple(player),
                _mean_size(values, player, cohort),
                tuple(map(float, by_fold[:, place])),
                estimates[place],
                tuple(map(float, losses_by_fold[:, place])),
            )
            for place, player in enumerate(players)
        ),
        shap_stability=stability(by_fold[:, :single]),
        loss_stability=stability(losses_by_fold[:, :single]),
    )


def _mean_size(values: Array, player: list[str], cohort: Cohort) -> float:
    """Mean over rows of the size of a player's Shapley values, those of a group summed first."""
    return float(np.abs(values[:, [cohort.explained.index(name) for name in player]].sum(axis=1)).mean())


def _averaged(parts: list[Attribution]) -> Attribution:
    values = np.mean([part.values for part in parts], axis=0)
    base = float(np.mean([part.base for part in parts]))
    return Attribution(parts[0].scale, base, values, base + values.sum(axis=1))


def _frame(fold: int, part: _Fold, cohort: Cohort) -> pd.DataFrame:
    found: dict[str, Any] = {
        "row": part.rows["row"].to_numpy(),
        "patient": part.rows["patient"].to_numpy(),
        "fold": fold,
        "base": part.attribution.base,
        "output": part.attribution.output,
    }
    return pd.DataFrame(found | dict(zip(cohort.explained, part.attribution.values.T, strict=True)))
