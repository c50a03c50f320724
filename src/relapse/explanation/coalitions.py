"""Interventional Shapley values of any function of a matrix: exact over all coalitions, or sampled over orders.

A coalition's worth for a patient is the output averaged over the background, with the coalition's features taken from
the patient and all others from the background (Janzing, Minorics and Blöbaum 2020, AISTATS, 2907-2916).

Own code, since shap's explainers of any function, which ask it one patient at a time, take 1 to 29 times as long
(``benchmarks/explanation.py``).
"""

from collections.abc import Callable, Iterable, Iterator
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from relapse.candidates.sums import OfSums

Array = NDArray[np.float64]
Output = Callable[[Array], Array]

#: Rows that a function is asked about at once.
BATCH = 8192

#: With up to this many features all coalitions are gone through: 512 of them.
EXACT = 9

#: Orders, each walked in both directions, that are drawn for each background row where there are more features. With
#: 32 features and 14 background rows, values of networks are off by 2% of the largest mean one (3% with 2 orders).
ORDERS = 4


def exact(
    output: Output, matrix: Array, background: Array, *, weights: Array, owner: NDArray[np.int_], features: int
) -> Array:
    """Shapley values (n, features) over all 2^features coalitions.

    Parameters
    ----------
    output
        (n, c) to (n,).
    matrix, background
        Patients (n, c) and background rows (m, c).
    weights
        Of the background rows (m,), with sum 1.
    owner
        The feature (c,) that each column belongs to, 0 to ``features`` - 1.
    """
    sets = np.arange(2**features)
    members = (sets[:, None] >> np.arange(features)) & 1
    taken = members[:, owner].astype(bool)
    worth = np.stack([_worth(output, row, background, taken, sets, owner) @ weights for row in matrix])
    share = _shares(features)[members.sum(axis=1)]
    values = np.empty((len(matrix), features))
    for feature in range(features):
        without = np.flatnonzero(members[:, feature] == 0)
        # Differences first: a feature that changes nothing gets exactly 0.
        values[:, feature] = (worth[:, without + 2**feature] - worth[:, without]) @ share[without]
    return values


def _worth(
    output: Output, row: Array, background: Array, taken: NDArray[np.bool_], sets: NDArray[np.int_], owner: NDArray[Any]
) -> Array:
    """The output (coalitions, m) of one patient's coalitions with each background row.

    A feature that both have alike changes nothing, so that only coalitions of the others are asked about: with levels
    among the features half of them, or fewer.
    """
    unlike = np.zeros(len(background), dtype=sets.dtype)
    for column, feature in enumerate(owner):
        unlike |= (background[:, column] != row[column]).astype(sets.dtype) << feature
    needed = (sets[:, None] & ~unlike) == 0
    which, beside = np.nonzero(needed)
    place = np.empty(needed.shape, dtype=np.int64)
    place[needed] = np.arange(len(which))
    found = _batched(output, np.where(taken[which], row, background[beside]))
    return found[place[sets[:, None] & unlike, np.arange(len(background))]]


def sampled(
    output: Output,
    matrix: Array,
    background: Array,
    *,
    weights: Array,
    owner: NDArray[np.int_],
    features: int,
    orders: int = ORDERS,
    seed: int = 0,
    of_sums: OfSums | None = None,
) -> Array:
    """Shapley values (n, features) estimated from random orders, each also walked backwards.

    For every background row, ``orders`` orders lead from it to the patient, one feature after another (Štrumbelj and
    Kononenko 2014, Knowl Inf Syst 41:647-665); the backward walk cancels the error of a pair (Mitchell, Cooper, Frank
    and Holmes 2022, JMLR 23:43). The values of a patient always add up to output minus base, do not hang on who else
    is asked about, and are the same for the same seed. Parameters as for :func:`exact`; ``of_sums`` is the same
    function taken apart, if it can be: along a walk its sums are running sums, and no column is asked about twice.
    """
    rng = np.random.default_rng(seed)
    values = np.zeros((len(matrix), features))
    for row, weight in zip(background, weights, strict=True):
        forward = rng.permuted(np.tile(np.arange(features), (orders, 1)), axis=1)
        walks = np.concatenate([forward, forward[:, ::-1]])
        # place[w, j]: the step at which walk w takes feature j from the patient.
        place = np.argsort(walks, axis=1)
        if of_sums:
            worth = np.concatenate(list(_summed(of_sums, matrix, row, walks, owner)))
        else:
            taken = place[:, None, owner] < np.arange(features + 1)[None, :, None]
            asked = (np.where(taken, patient, row).reshape(-1, matrix.shape[1]) for patient in matrix)
            worth = np.concatenate([_batched(output, rows) for rows in _together(asked)])
        steps = np.diff(worth.reshape(len(matrix), len(walks), features + 1), axis=2)
        values += weight * np.take_along_axis(steps, np.broadcast_to(place, steps.shape), axis=2).mean(axis=1)
    return values


def _summed(
    of_sums: OfSums, matrix: Array, row: Array, walks: NDArray[np.int_], owner: NDArray[np.int_]
) -> Iterator[Array]:
    """The output along each walk from a background row to one patient after another."""
    number, features = walks.shape
    by_feature = csr_array((np.ones(len(owner)), (owner, np.arange(len(owner)))), shape=(features, len(owner)))
    start = by_feature @ of_sums.terms(row)
    for patient in matrix:
        # A feature that both have alike adds exactly 0.
        steps = by_feature @ of_sums.terms(patient) - start
        sums = np.empty((features + 1, number, steps.shape[1]))
        sums[0] = start.sum(axis=0)
        # Step by step: cumsum along an axis with others behind it took three times as long.
        for step in range(features):
            np.add(sums[step], steps[walks[:, step]], out=sums[step + 1])
        yield of_sums.output(sums.reshape(-1, steps.shape[1])).reshape(-1, number).T.ravel()


def _batched(output: Output, rows: Array) -> Array:
    return np.concatenate([output(rows[start : start + BATCH]) for start in range(0, len(rows), BATCH)])


def _together(parts: Iterable[Array]) -> Iterator[Array]:
    """The rows of some parts at a time, about as many as are asked about at once."""
    waiting: list[Array] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= BATCH:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def _shares(features: int) -> Array:
    """What joining a coalition of 0, 1, … features counts in a feature's Shapley value."""
    whole = factorial(features)
    return np.array([factorial(k) * factorial(max(features - k - 1, 0)) / whole for k in range(features + 1)])
