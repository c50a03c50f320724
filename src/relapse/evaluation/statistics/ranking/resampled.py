"""Counting pairs in many resamples of the same rows: between tiles by sums, within a strip by products of matrices.

Which pairs stand in the same order in two sequences does not depend on the resample, only how often each counts. Rows
lie on a grid, across by the first sequence and up by the second, cut into strips of equal size both ways. Pairs in
different strips both ways are counted by running sums over tiles, O(n) a resample; those that share a strip by a
product of the resamples with the strip's matrix of pairs, which is what processors are fastest at.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from relapse.evaluation.statistics.arrays import BoolArray, FloatArray
from relapse.evaluation.statistics.ranking.counting import Index

Counts = npt.NDArray[Any]
Array = npt.NDArray[Any]

# rows a strip has at least, so that its matrices are worth a product
_STRIP = 128

# tiles × resamples that are summed at once, and counts that are turned at once, so that those of a row lie together
_CELLS, _TURNED = 2**20, 2**28


def resampled_pairs(order: Index, rows: Index, first: BoolArray, counts: Counts) -> FloatArray:
    """Sum count[p]·count[q] over pairs of places p < q that stand in this order in ``order`` too, p one of ``first``.

    Parameters
    ----------
    order, rows : int array (n,)
        As of :func:`relapse.evaluation.statistics.ranking.counting.arrange`: the places in the order of the second
        sequence, and the row at each place.
    first : bool array (n,)
        By row, which can be the first of a pair.
    counts : integer array (B, n)
        By row, in each resample.

    Returns
    -------
    array (B,)
        Exact up to 2^53 pairs, if a strip's counts sum to less than 2^24.

    Notes
    -----
    O(B·n·m) time in products of matrices and O(B·n) beside them, with strips of m = max(128, √n) rows.
    """
    size = rows.size
    strip = max(_STRIP, math.isqrt(size))
    height = np.empty(size, dtype=np.int64)
    height[order] = np.arange(size)
    found, step = np.empty(len(counts)), max(1, _TURNED // size)
    for start in range(0, len(counts), step):
        by_row = np.ascontiguousarray(counts[start : start + step].T)
        found[start : start + step] = _in_strips(order, rows, height, first, by_row, strip)
    if size > strip:
        found += _between(np.arange(size) // strip, height // strip, rows, first, counts)
    return found


def _in_strips(order: Index, rows: Index, height: Array, first: BoolArray, by_row: Counts, strip: int) -> FloatArray:
    """The pairs that share a strip: of the places, or else of the order."""
    total = np.zeros(by_row.shape[1])
    for start in range(0, rows.size, strip):
        across = np.arange(start, min(start + strip, rows.size))
        total += _within(rows[across], first, by_row, np.triu(height[across][:, None] < height[across], 1))
        up = order[start : start + strip]
        apart = up // strip
        total += _within(rows[up], first, by_row, np.triu(apart[:, None] < apart, 1))
    return total


def _within(rows: Index, first: BoolArray, by_row: Counts, pairs: BoolArray) -> FloatArray:
    """The pairs (m, m) of one strip; counts (n, B), whose rows lie together in memory."""
    starting = first[rows]
    weight = np.take(by_row, rows, axis=0).astype(np.float32)
    earlier = pairs[starting].T.astype(np.float32) @ weight[starting]
    return np.einsum("qb,qb->b", earlier, weight, dtype=np.float64)


def _between(across: Array, up: Array, rows: Index, first: BoolArray, counts: Counts) -> FloatArray:
    """The pairs in different strips both ways: ``across`` and ``up`` tell the strip of each place."""
    side = int(across[-1]) + 1
    tile = np.empty(rows.size, dtype=np.int64)
    tile[rows] = across * side + up
    starting = np.flatnonzero(first)
    found, step = np.empty(len(counts)), max(1, _CELLS // max(side**2, rows.size))
    for start in range(0, len(counts), step):
        block = counts[start : start + step]
        begun = _tiles(tile[starting], block[:, starting], side)
        np.cumsum(begun, axis=1, out=begun)
        np.cumsum(begun, axis=2, out=begun)
        met = _tiles(tile, block, side)
        found[start : start + step] = np.einsum("bxy,bxy->b", begun[:, :-1, :-1], met[:, 1:, 1:])
    return found


def _tiles(tile: Array, counts: Counts, side: int) -> FloatArray:
    """Sums of ``counts`` (b, n) by tile: (b, side, side)."""
    places = tile + np.arange(len(counts))[:, None] * side**2
    sums = np.bincount(places.ravel(), weights=counts.ravel(), minlength=len(counts) * side**2)
    return np.asarray(sums, dtype=np.float64).reshape(-1, side, side)
