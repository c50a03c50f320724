"""Streams of what became of the patients: calibration, discrimination, and what acting on the risk is worth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relapse.evaluation.statistics.ranking.binary import roc_auc
from relapse.monitoring.betting import conformal_p_values, log_capital, mean_bets, odds_bet
from relapse.monitoring.codes import W006, W007, W008
from relapse.monitoring.drift import ties
from relapse.monitoring.monitored import Outcomes
from relapse.monitoring.streams import Kind, Stream

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Odds ratios of calibration that are bet on.
RATIOS = (1.5, 2.5)


@dataclass(frozen=True, slots=True)
class Known:
    """Patients whose outcome counts, in the order in which they came: rows, days, risks, and 1 for the event, else 0.

    ``without`` is how many patients of their time have no outcome in the table, ``lost`` how many of them were censored
    before the horizon, ``left_out`` cases left out so that cases and others are lost alike.
    """

    rows: IntArray
    day: NDArray[np.datetime64]
    risk: Array
    event: IntArray
    without: int = 0
    lost: int = 0
    left_out: int = 0


def outcome_streams(known: Known, training: Outcomes) -> list[Stream]:
    """The streams of known outcomes."""
    return [_calibration(known, training), _discrimination(known, training), _net_benefit(known, training)]


def _calibration(known: Known, training: Outcomes) -> Stream:
    """Outcomes within a group of risk against those of the training in it, all groups up or down, or apart."""
    group = training.groups(known.risk)
    reference = np.column_stack([training.others, training.events])
    p = conformal_p_values(reference, known.event, ties(W006, "", known.event.size), group)
    # Where a bet parts events from others follows from the risks alone: what it is held against, from the outcomes.
    share = np.clip(np.asarray(training.expected), 0.01, 0.99)[group]
    last = max(len(training.expected) - 1, 1)
    lean = 2 * group / last - 1
    factors = [np.ones_like(p)]
    for ratio in RATIOS:
        factors += [odds_bet(p, share, ratio**power) for power in (1.0, -1.0, lean, -lean)]
    logs = log_capital([np.column_stack(factors)])
    return Stream(W006, Kind.OUTCOMES, "", "Calibration", known.rows, known.day, logs)


def _discrimination(known: Known, training: Outcomes) -> Stream:
    """AUCs of small blocks that share no patient, each as many as are needed for one pair, against the lower bound."""
    ends, values = [], []
    begun = 0
    for end in range(1, known.event.size + 1):
        events = int(known.event[begun:end].sum())
        if 0 < events < end - begun:
            values.append(roc_auc(known.event[begun:end], known.risk[begun:end]))
            ends.append(end - 1)
            begun = end
    logs = log_capital([mean_bets(np.array(values), least=training.auc_lower, largest=1.0)]) if values else np.array([])
    at = np.array(ends, dtype=np.int64)
    return Stream(W007, Kind.OUTCOMES, "", "Discrimination", known.rows[at], known.day[at], logs)


def _net_benefit(known: Known, training: Outcomes) -> Stream:
    """What each patient adds to the net benefit over treating nobody, and over treating everybody."""
    odds = training.threshold / (1 - training.threshold)
    called = known.risk >= training.threshold
    worth = np.where(known.event == 1, 1.0, -odds)
    least = min(0.0, training.gain_lower)
    over_none, over_all = np.where(called, worth, 0.0), np.where(called, 0.0, -worth)
    bets = [mean_bets(over_none, least=least, largest=1.0), mean_bets(over_all, least=least, largest=odds)]
    return Stream(W008, Kind.OUTCOMES, "", "Net benefit", known.rows, known.day, log_capital(bets))
