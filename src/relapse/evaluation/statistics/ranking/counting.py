"""Counting pairs in O(n log n): the machinery under every AUC and every concordance.

Two questions cover all of them. *How much of a reference lies below each value* (:func:`placements`) needs one sort.
*Which pairs stand in the same order in two sequences* (:func:`ordered_pairs`, :func:`partners`) is answered by merge
counting, written for whole arrays: positions are halved level by level, a pair is separated at exactly one level, and
there one cumulative sum counts it. Ties are met by one rule throughout: count once with tied pairs in order, once with
tied pairs out of order, and take the mean, so that a tied pair counts one half.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import FloatArray, IntArray

Array = npt.NDArray[Any]
Index = npt.NDArray[np.int32]


def placements(values: FloatArray, reference: FloatArray, weights: FloatArray | None = None) -> FloatArray:
    """Return for each value the weight of the reference below it, plus half of what equals it.

    Parameters
    ----------
    values : array (m,)
    reference : array (n,)
    weights : array (n,), optional
        Weights of the reference; 1 each when left out, and then the result is exact.

    Returns
    -------
    array (m,)
    """
    order = np.argsort(reference)
    ordered = reference[order]
    # looked up in ascending order, several times faster: neighbours share the processor's cache
    turn = np.argsort(values)
    ends = np.searchsorted(ordered, values[turn], side="left"), np.searchsorted(ordered, values[turn], side="right")
    total = np.arange(reference.size + 1) if weights is None else np.concatenate([[0.0], np.cumsum(weights[order])])
    below = np.empty(values.size)
    below[turn] = (total[ends[0]] + total[ends[1]]) / 2
    return below


def dense_rank(values: Array) -> IntArray:
    """Rank 0, 1, … with equal values on one rank."""
    order = np.argsort(values)
    ordered = values[order]
    rank = np.empty(values.size, dtype=np.int64)
    rank[order] = np.concatenate([[0], np.cumsum(ordered[1:] != ordered[:-1])])
    return rank


def arrange(first: IntArray, second: IntArray, *, ties: bool) -> tuple[Index, Index]:
    """Place rows by ``first`` and list the places by ``second``.

    Rows equal in ``first`` are placed against their order in ``second``, so that they never form a pair that both
    sequences order alike. Rows equal in ``second`` alone do so exactly if ``ties``.

    Parameters
    ----------
    first, second : int array (n,)
        Ranks, smaller is earlier.
    ties : bool
        Whether a pair tied in ``second`` counts as ordered alike.

    Returns
    -------
    order : int array (n,)
        The places, in the order of ``second``.
    rows : int array (n,)
        The row that stands at each place.
    """
    size = first.size
    span = int(first.max()) + 1
    listed = np.argsort(second * span + (first if ties else span - 1 - first))
    turn = np.empty(size, dtype=np.int64)
    turn[listed] = np.arange(size)
    rows = np.argsort(first * size + (size - 1 - turn))
    place = np.empty(size, dtype=np.int32)
    place[rows] = np.arange(size, dtype=np.int32)
    return place[listed], rows.astype(np.int32)


def padded_size(size: int) -> int:
    """Return the smallest power of two that is not below ``size``."""
    return 1 << max(size - 1, 0).bit_length()


def pad(values: Array, size: int) -> Array:
    """Append zeros along the last axis up to ``size``: places without weight."""
    width = [(0, 0)] * (values.ndim - 1) + [(0, size - values.shape[-1])]
    return np.pad(values, width)


class Level(NamedTuple):
    """Blocks of places halved once.

    Attributes
    ----------
    places : int array (N,)
        The places, block after block, each block in the given order.
    low, high : int array (N/2,)
        Those in the lower and in the upper half of their block, in the same order.
    low_before, high_before : int array (N/2,)
        For each of ``high`` how many of ``low`` stand before it in ``places``, and the reverse.
    half : int
        Size of a half block. Two places of one block in different halves meet at this level only.
    """

    places: Index
    low: Index
    high: Index
    low_before: IntArray
    high_before: IntArray
    half: int


def halvings(order: Index, size: int) -> Iterator[Level]:
    """Halve blocks of places down to single ones, each block listed in the given order.

    Parameters
    ----------
    order : int array (N,)
        Places, N a multiple of ``size``; the places of block b, b·size … (b+1)·size − 1, fill the b-th stretch.
    size : int
        Size of the first blocks, a power of two.
    """
    places, count = order, np.arange(order.size // 2)
    while size > 1:
        half = size // 2
        upper = (places & np.int32(half)) != 0
        # index forms are several times faster than masks, whose branches are random
        low, high = np.flatnonzero(~upper), np.flatnonzero(upper)
        level = Level(places, places[low], places[high], high - count, low - count, half)
        yield level
        places = np.concatenate([level.low.reshape(-1, half), level.high.reshape(-1, half)], axis=1).ravel()
        size = half


def ordered_pairs(order: Index, early: Array, late: Array, *, size: int | None = None) -> Array:
    """Sum early[p]·late[q] over pairs of places p < q that stand in this order in ``order`` too.

    Parameters
    ----------
    order : int array (n,)
        Places 0 … n−1 in the order of the second sequence.
    early, late : int array (k, n)
        Integer weights by place, k problems at once. Sums must fit into their type.
    size : int, optional
        Count only pairs within blocks of this size (see :func:`halvings`; n must then be a multiple of it).

    Returns
    -------
    array (k,)

    Notes
    -----
    O(k·n·log n) time, O(k·n) memory. One running sum serves all blocks of a level: what it held at the start of a
    block is taken off afterwards, once a block.
    """
    if size is None:
        size = padded_size(order.size)
        order = np.concatenate([order, np.arange(order.size, size, dtype=np.int32)])
        early, late = pad(early, size), pad(late, size)
    total = np.zeros(early.shape[0], dtype=early.dtype)
    late_sums = running_sums(late)
    for level in halvings(order, size):
        running = running_sums(np.take(early, level.low, axis=1))
        before = np.take(running, level.low_before, axis=1)
        total += np.einsum("kq,kq->k", before, np.take(late, level.high, axis=1))
        halves = late_sums[:, :: level.half]
        total -= np.einsum("kb,kb->k", running[:, : -1 : level.half], halves[:, 2::2] - halves[:, 1::2])
    return total


def running_sums(values: Array) -> Array:
    """Sum (k, n) along rows, from 0 before the first: (k, n + 1), in the same type."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1), dtype=values.dtype)
    np.cumsum(values, axis=1, dtype=values.dtype, out=sums[:, 1:])
    return sums


def partners(order: Index, early: IntArray, late: IntArray) -> tuple[IntArray, IntArray]:
    """Count for every place its partners among the pairs p < q that stand in this order in ``order`` too.

    Parameters
    ----------
    order : int array (n,)
        Places 0 … n−1 in the order of the second sequence.
    early, late : int array (n,)
        Weights by place, of a place as the first and as the second of a pair.

    Returns
    -------
    earlier : int array (n,)
        For q, the sum of early[p] over its pairs.
    later : int array (n,)
        For p, the sum of late[q] over its pairs.
    """
    count = order.size
    size = padded_size(count)
    order = np.concatenate([order, np.arange(count, size, dtype=np.int32)])
    early, late = pad(early, size), pad(late, size)
    earlier, later = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for level in halvings(order, size):
        shape = (-1, level.half)
        before = running_sums(early[None, level.low])[0]
        earlier[level.high] += (before[level.low_before].reshape(shape) - before[: -1 : level.half, None]).ravel()
        passed = running_sums(late[None, level.high])[0]
        later[level.low] += (passed[level.half :: level.half, None] - passed[level.high_before].reshape(shape)).ravel()
    return earlier[:count], later[:count]
