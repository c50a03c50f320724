"""Evidence that grows by betting: conformal p-values, bets on them, bets on bounded means, and the capital won.

Everything that is watched is watched by one method. A null hypothesis is bet against, patient by patient; whoever bets
against a true one expects to win nothing, so that the capital M, 1 at the start, ever reaches 1/α with a chance of α at
most (Ville 1939), however often one looks. 1 / max M is then a p-value at any time.

*Is served what was trained on?* Under the null the training's patients and those served are exchangeable. The conformal
p-value of a patient is her place among the training's patients and those before her, ties broken at random; under the
null these are independent and uniform, whatever the distribution and however small the training. Vovk V, Nouretdinov I,
Gammerman A (2003), Testing exchangeability on-line, ICML. The capital moves between bets as in the composite jumper of
Vovk V, Petej I, Nouretdinov I, Ahlberg E, Carlsson L, Gammerman A (2021), Retrain or not retrain: conformal test
martingales for change-point detection, PMLR 152:191-210, so that a change is found after years of none, too.

*Is a mean at least what it was?* A mean of bounded values is bet against as in Waudby-Smith I, Ramdas A (2024),
Estimating means of bounded random variables by betting, JRSS B 86:1-27.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Shares of the capital that are shared out anew with every patient; the mean over them is what counts.
JUMPS = (0.001, 0.01)

#: Sizes of smooth bets: a factor of at most 1 + size.
SIZES = (0.2, 0.5)

#: Shares around which a rare state is bet on, and the odds ratios that are bet on.
SHARES = (0.02, 0.05, 0.1, 0.15, 0.25, 0.4)
ODDS = 2.0

#: Bets on a bounded mean, as shares of the largest that cannot lose everything.
STAKES = (0.1, 0.3, 0.6)


def conformal_p_values(
    reference: Array | IntArray, classes: IntArray, ties: Array, groups: IntArray | None = None
) -> Array:
    """Places of served patients among the training's and those served before.

    Parameters
    ----------
    reference
        Training's patients by class, in the order of the classes (k,), or by group and class (g, k).
    classes
        Class of each served patient (n,), in the order in which they came.
    ties
        Independent uniform numbers (n,).
    groups
        Group of each served patient (n,): she is compared within it (Mondrian conformal prediction).

    Returns
    -------
    array (n,)
        Share of patients in a higher class, and of a random part of those in the same: small where the class is high.
    """
    seen = np.atleast_2d(np.asarray(reference, dtype=np.float64)).copy()
    found = np.empty(classes.size)
    within = np.zeros(classes.size, dtype=np.int64) if groups is None else groups
    for group in range(len(seen)):
        mine = within == group
        own = classes[mine]
        came = np.zeros((own.size, seen.shape[1]))
        came[np.arange(own.size), own] = 1.0
        bags = seen[group] + np.cumsum(came, axis=0)
        rows = np.arange(own.size)
        higher = bags.sum(axis=1) - np.cumsum(bags, axis=1)[rows, own]
        found[mine] = (higher + ties[mine] * bags[rows, own]) / bags.sum(axis=1)
    return found


def smooth_bets(p: Array, waves: int) -> Array:
    """Factors (n, c) of bets that p-values lean one way (first wave), to the middle or the ends (second), or else."""
    columns = [np.ones_like(p)]
    for wave in range(1, waves + 1):
        shape = np.cos(wave * np.pi * p)
        columns += [1 + sign * size * shape for size in SIZES for sign in (-1, 1)]
    return np.column_stack(columns)


def share_bets(p: Array, *, downwards: bool) -> Array:
    """Factors (n, c) of bets that the state in the highest class is more frequent than it was, or also rarer."""
    odds = (ODDS, 1 / ODDS) if downwards else (ODDS,)
    return np.column_stack([np.ones_like(p), *(odds_bet(p, share, ratio) for share in SHARES for ratio in odds)])


def odds_bet(p: Array, share: Array | float, ratio: Array | float) -> Array:
    """Factors (n,) of the bet that a state of this share has odds that are ``ratio`` times as large by now."""
    other = share * ratio / (1 - share + share * ratio)
    return np.asarray(np.where(p <= share, other / share, (1 - other) / (1 - share)))


def mean_bets(values: Array, *, least: float, largest: float) -> Array:
    """Factors (n, c) of bets that the mean of ``values`` (n,), none above ``largest``, is below ``least``."""
    most = 1 / (largest - least)
    return np.column_stack([np.ones_like(values), *(1 + share * most * (least - values) for share in STAKES)])


def log_capital(factors: Sequence[Array]) -> Array:
    """Logarithm of the capital after each patient (n,), from factors (n, c) of several bettors of equal means."""
    return np.asarray(np.logaddexp.reduce([_composite_jumper(part) for part in factors]) - np.log(len(factors)))


def _composite_jumper(factors: Array) -> Array:
    jumps = np.array(JUMPS)[:, None]
    capital = np.full((len(JUMPS), factors.shape[1]), 1 / factors.shape[1])
    logs, found = np.zeros((len(JUMPS), 1)), np.empty((len(factors), len(JUMPS)))
    for row, factor in enumerate(factors):
        capital = ((1 - jumps) * capital + jumps / factors.shape[1]) * factor
        total = capital.sum(axis=1, keepdims=True)
        # Each jumper's bets are kept as shares of its capital: numbers then neither overflow nor vanish.
        capital, logs = capital / total, logs + np.log(total)
        found[row] = logs[:, 0]
    return np.asarray(np.logaddexp.reduce(found, axis=1) - np.log(len(JUMPS)))


def p_values(logs: Array) -> Array:
    """P-values that hold at any time (n,): 1 over the largest capital so far."""
    return np.asarray(np.exp(-np.maximum.accumulate(np.maximum(logs, 0.0))))
