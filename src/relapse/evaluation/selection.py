"""What choosing the best of several candidates costs: their plain best estimate, corrected for the choice."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from relapse.evaluation.metrics import Counts, Endpoint, Replicates, primary_replicates
from relapse.evaluation.statistics.results import Estimate


@dataclass(frozen=True, slots=True)
class Selection:
    """The candidate with the largest ranking metric, and what may be expected of one chosen like this.

    ``plain`` is its own estimate, ``corrected`` that of the choice; ``chosen`` says in which share of the resamples
    each candidate came out best.
    """

    winner: str
    plain: float
    corrected: Estimate
    chosen: dict[str, float]


def correct_selection(
    flat: dict[str, pd.DataFrame], found: dict[str, Replicates], endpoint: Endpoint, weights: Counts
) -> Selection | None:
    """Bootstrap bias-corrected estimate of the ranking metric of the best candidate.

    In each resample of patients the candidate that is best there is taken, and measured on the patients whom the
    resample left out. The estimate is the mean over the resamples, the interval their 2.5th to 97.5th percentile; it is
    wide rather than narrow, since only about 37% of the patients are left out each time.

    Parameters
    ----------
    flat
        Pooled out-of-fold predictions (n rows) by candidate, all of the same rows.
    found
        Their metrics on these rows and in these resamples, by candidate.
    weights
        (resamples, n): how often each row stands in each resample; rows of a patient have the same weight.

    Returns
    -------
    Selection or None
        None where there is one candidate, and so no choice, or where no resample leaves out patients to measure on.

    References
    ----------
    Tsamardinos I, Greasidou E, Borboudakis G (2018). Bootstrapping the out-of-sample predictions for efficient and
    accurate cross-validation. Machine Learning 107, 1895-1922.
    """
    names = list(flat)
    if len(names) < 2:
        return None
    measured = np.array([found[name][endpoint.primary.key] for name in names])
    whole, inside = measured[:, 0].tolist(), measured[:, 1:]
    left_out = (weights == 0).astype(weights.dtype)
    outside = np.array([primary_replicates(table, endpoint, left_out) for table in flat.values()])
    known = np.isfinite(inside).all(axis=0) & np.isfinite(outside).all(axis=0)
    if known.sum() < 2:
        return None
    # Of equals the one declared first, as everywhere.
    best = inside[:, known].argmax(axis=0)
    reached = outside[:, known][best, np.arange(best.size)]
    lower, upper = np.quantile(reached, [0.025, 0.975])
    winner = int(np.argmax(whole))
    return Selection(
        winner=names[winner],
        plain=whole[winner],
        corrected=Estimate(
            float(reached.mean()), float(lower), float(upper), float(reached.std(ddof=1)), "bootstrap bias-corrected"
        ),
        chosen={name: float((best == number).mean()) for number, name in enumerate(names)},
    )
