"""Permutation importance: what a model's ranking of unseen patients loses when a feature's values are shuffled.

Breiman L (2001), Mach Learn 45:5-32, here on held-out rows. Features that stand in for one another hide each other's
importance, so groups of strongly correlated ones are also shuffled together.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.declared.features import Categorical
from relapse.cohorts.schema import Cohort
from relapse.evaluation.statistics.intervals import (
    auc_replicates,
    bootstrap,
    mean_concordance_replicates,
    patient_weights,
)
from relapse.evaluation.statistics.ranking.binary import roc_auc
from relapse.evaluation.statistics.ranking.concordance import concordance
from relapse.evaluation.statistics.results import Estimate
from relapse.explanation.parts import Parts, parts_of
from relapse.preprocessing.harmonising import SITE

Array = NDArray[np.float64]

#: Values in the tables that a model is asked about at once; all at once, 500 features of 1,000 rows took 10 GB.
_CELLS = 20_000_000


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Scores of held-out rows: as they are (n,), and with each player shuffled (players, shuffles, n)."""

    intact: Array
    scores: Array


def players_of(cohort: Cohort, groups: list[list[str]]) -> list[list[str]]:
    """What is shuffled: each part of the cohort's explanations alone, then each group together."""
    return [[name] for name in cohort.explained] + groups


def correlated_groups(table: pd.DataFrame, cohort: Cohort, *, threshold: float) -> list[list[str]]:
    """Groups of predictors in which any two have |Spearman's rho| of at least ``threshold``.

    By complete linkage. Ordered levels count as ranks; features of more than two unordered levels have none and are
    left out, as are those of blocks that are shuffled as a whole. Outcomes are not looked at.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    ranks = _ranked(table, cohort)
    if ranks.shape[1] < 2:
        return []
    related = ranks.corr(method="spearman").abs().fillna(0.0).to_numpy()
    distance = np.clip(1.0 - (related + related.T) / 2, 0.0, None)
    np.fill_diagonal(distance, 0.0)
    # Half a millionth more, so that a correlation at the threshold itself counts.
    labels = fcluster(linkage(squareform(distance), method="complete"), 1.0 - threshold + 5e-7, criterion="distance")
    groups = [list(ranks.columns[labels == label]) for label in np.unique(labels)]
    return sorted((group for group in groups if len(group) > 1), key=lambda group: cohort.predictors.index(group[0]))


def _ranked(table: pd.DataFrame, cohort: Cohort) -> pd.DataFrame:
    """The predictors that have an order, as numbers."""
    columns = {}
    for name in cohort.explained:
        if name in cohort.blocks:
            continue
        feature = cohort.features[name]
        if not isinstance(feature, Categorical):
            columns[name] = table[name]
        elif feature.type == "ordinal" or len(feature.names) == 2:
            codes = table[name].cat.codes
            columns[name] = codes.where(codes >= 0).astype(np.float64)
    return pd.DataFrame(columns)


def shuffle(
    model: RiskModel, rows: pd.DataFrame, players: list[list[str]], cohort: Cohort, *, shuffles: int, seed: int
) -> Shuffled:
    """Score the held-out ``rows`` of one fold, the values of each player's parts exchanged among them.

    Where each column of the model's matrix hangs on one part alone, its columns are exchanged, else the table's, which
    is encoded anew for each player: of 500 features that took twenty times as long for a linear model.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.permuted(np.tile(np.arange(len(rows)), (len(players), shuffles, 1)), axis=2)
    parts = parts_of(model, cohort)
    scores = _of_columns if parts.apart else _of_tables
    return Shuffled(model.predict_score(rows), scores(model, parts, rows, players, cohort, drawn))


def _of_columns(
    model: RiskModel,
    parts: Parts,
    rows: pd.DataFrame,
    players: list[list[str]],
    cohort: Cohort,
    drawn: NDArray[np.int_],
) -> Array:
    matrix = parts.matrix(rows)
    scores = np.empty(drawn.shape)
    # A player that the model does not use has no columns, and nothing to ask.
    scores[:] = model.score_of(matrix)
    columns = [np.flatnonzero([parts.used[owner] in player for owner in parts.owner]) for player in players]
    asked = np.flatnonzero([len(mine) > 0 for mine in columns])
    for at_once in _in_parts(asked, drawn[0].size * matrix.shape[1]):
        moved = np.broadcast_to(matrix, (len(at_once), *drawn.shape[1:], matrix.shape[1])).copy()
        for place, player in enumerate(at_once):
            moved[place][..., columns[player]] = matrix[:, columns[player]][drawn[player]]
        scores[at_once] = model.score_of(moved.reshape(-1, matrix.shape[1])).reshape(-1, *drawn.shape[1:])
    return scores


def _of_tables(
    model: RiskModel,
    parts: Parts,
    rows: pd.DataFrame,
    players: list[list[str]],
    cohort: Cohort,
    drawn: NDArray[np.int_],
) -> Array:
    moved = [{name for part in player for name in cohort.members(part)} for player in players]
    names = [name for name in rows if any(name in mine for mine in moved)]
    scores = np.empty(drawn.shape)
    for at_once in _in_parts(np.arange(len(players)), drawn[0].size * len(names)):
        columns = {}
        for name in names:
            order = np.broadcast_to(np.arange(len(rows)), (len(at_once), *drawn.shape[1:])).copy()
            exchanged = [place for place, player in enumerate(at_once) if name in moved[player]]
            order[exchanged] = drawn[at_once[exchanged]]
            columns[name] = rows[name].take(order.ravel()).reset_index(drop=True)
        if SITE in rows:
            columns[SITE] = pd.Series(np.tile(rows[SITE].to_numpy(), len(at_once) * drawn.shape[1]))
        scores[at_once] = model.predict_score(pd.DataFrame(columns)).reshape(-1, *drawn.shape[1:])
    return scores


def _in_parts(players: NDArray[np.int_], cells: int) -> Iterator[NDArray[np.int_]]:
    """As many players at once as :data:`_CELLS` allows, each with ``cells`` values of its own."""
    step = max(1, _CELLS // max(1, cells))
    for start in range(0, len(players), step):
        yield players[start : start + step]


def fold_losses(found: Shuffled, rows: pd.DataFrame, cohort: Cohort) -> Array:
    """Loss of the ranking metric within one fold (players,), averaged over the shuffles."""
    event = rows["event"].to_numpy()

    def metric(score: Array) -> float:
        return concordance(rows["time"].to_numpy(), event, score) if cohort.survival else roc_auc(event, score)

    intact = metric(found.intact)
    return np.array(
        [
            0.0 if _unused(found, scores) else intact - np.mean([metric(score) for score in scores])
            for scores in found.scores
        ]
    )


def losses(found: Shuffled, rows: pd.DataFrame, cohort: Cohort, *, resamples: int, seed: int) -> list[Estimate]:
    """Loss of the ranking metric over all held-out rows, an estimate a player.

    Scores of all folds are pooled as in evaluation, and the loss is averaged over the shuffles. Intervals resample
    patients, who are what another sample would differ in; a model and its shuffled self see the same resamples. They
    hold for the models at hand: how much those differ between folds is for :mod:`relapse.explanation.stability`.
    """
    event = rows["event"].to_numpy()
    weights = patient_weights(rows["patient"].to_numpy(), event, n_resamples=resamples, seed=seed)
    once = np.concatenate([np.ones((1, len(rows)), dtype=weights.dtype), weights])

    def metric(scores: Array) -> Array:
        if cohort.survival:
            return mean_concordance_replicates(rows["time"].to_numpy(), event, scores, once)
        return np.asarray(np.mean([auc_replicates(event, score, once) for score in scores], axis=0))

    intact = metric(found.intact[None])
    estimates = []
    for scores in found.scores:
        if _unused(found, scores):
            estimates.append(Estimate(0.0, 0.0, 0.0, 0.0, "not used by the model"))
            continue
        lost = intact - metric(scores)
        estimates.append(
            bootstrap(
                lambda counts, lost=lost: lost[:1] if len(counts) == 1 else lost[1:],  # type: ignore[misc]
                weights,
                method="bootstrap by patient",
            )
        )
    return estimates


def _unused(found: Shuffled, scores: Array) -> bool:
    # A prediction's last digits hang on how many rows are predicted at once.
    return bool(np.allclose(scores, found.intact, rtol=1e-9, atol=1e-12))
