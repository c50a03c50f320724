"""Shuffled scores the plain way: a whole table for each player and shuffle, encoded anew."""

import numpy as np
import pandas as pd

from relapse.candidates.risk_model import RiskModel
from relapse.cohorts.schema import Cohort


def plainly(
    model: RiskModel, rows: pd.DataFrame, players: list[list[str]], cohort: Cohort, *, shuffles: int, seed: int
) -> np.ndarray:
    """Scores (players, shuffles, n) from the orders that the library draws."""
    rng = np.random.default_rng(seed)
    drawn = rng.permuted(np.tile(np.arange(len(rows)), (len(players), shuffles, 1)), axis=2)
    scores = np.empty(drawn.shape)
    for place, player in enumerate(players):
        names = [name for part in player for name in cohort.members(part)]
        for shuffle in range(shuffles):
            table = rows.copy()
            table[names] = rows[names].take(drawn[place, shuffle]).reset_index(drop=True)
            scores[place, shuffle] = model.predict_score(table)
    return scores
