"""Agreement of two scores over comparable pairs: the one three-way count that a paired C test needs."""

import numpy as np

from relapse.evaluation.statistics.arrays import BoolArray, IntArray
from relapse.evaluation.statistics.ranking.counting import Index, dense_rank, halvings, ordered_pairs, pad, padded_size


def sign_products(moment: IntArray, event: BoolArray, first: IntArray, second: IntArray) -> int:
    """Sum sign(first[i] − first[j])·sign(second[i] − second[j]) over comparable pairs.

    A pair is comparable if i has the event and moment[i] < moment[j].

    Parameters
    ----------
    moment : int array (n,)
        Rank of the time, such that a censoring follows the events at its time.
    event : bool array (n,)
    first, second : int array (n,)
        Ranks of the two scores.

    Returns
    -------
    int
        The exact sum.

    Notes
    -----
    Blocks of rows are halved by time; inside each block the pairs of an early event with a late row are counted in
    the orders of the two scores by :func:`~relapse.evaluation.statistics.ranking.counting.ordered_pairs`.
    O(n·log²n) time, O(n) memory.
    A pair tied in one score cancels between the two ways to break ties; a pair tied in both does not, and is taken off.
    """
    rows = np.argsort(moment, kind="stable")
    moment, event, first, second = moment[rows], event[rows], first[rows], second[rows]
    tied = min(int(first.max()), int(second.max())) + 1 < event.size
    total, ways = 0, (False, True) if tied else (False,)
    for flip in ways:
        total += _signed(event, first, second, flip=flip) - _signed_at_once(moment, event, first, second, flip=flip)
    return total // len(ways) - _tied_in_both(moment, event, first, second)


def _listed(score: IntArray, *, flip: bool) -> Index:
    """List places by score, tied ones in the order of places, or against it if ``flip``."""
    place = np.arange(score.size)
    return np.argsort(score * score.size + (place[::-1] if flip else place)).astype(np.int32)


def _signed(event: BoolArray, first: IntArray, second: IntArray, *, flip: bool) -> int:
    """Sum the sign products over all pairs of an event and a later place, ties broken by place."""
    count = event.size
    size = padded_size(count)
    padding = np.arange(count, size, dtype=np.int32)
    by_first = halvings(np.concatenate([_listed(first, flip=flip), padding]), size)
    by_second = halvings(np.concatenate([_listed(second, flip=flip), padding]), size)
    early, late = pad(event.astype(np.int64), size), pad(np.ones(count, dtype=np.int64), size)
    turn = np.empty(size, dtype=np.int32)
    total = 0
    for level, other in zip(by_first, by_second, strict=True):
        turn[level.places] = np.arange(size, dtype=np.int32)
        roles = np.zeros((2, size), dtype=np.int64)
        roles[0, turn[level.low]] = early[level.low]
        roles[1, turn[level.high]] = late[level.high]
        alike = ordered_pairs(turn[other.places], roles, roles[::-1], size=2 * level.half)
        per_block = roles.reshape(2, -1, 2 * level.half).sum(axis=2)
        total += 2 * int(alike.sum()) - int(per_block[0] @ per_block[1])
    return total


def _signed_at_once(moment: IntArray, event: BoolArray, first: IntArray, second: IntArray, *, flip: bool) -> int:
    """Sum the sign products over pairs of events at one time, ties broken as in :func:`_signed`.

    Ranks are taken within each time, so that pairs from different times are always in the same order.
    """
    groups = dense_rank(moment[event])
    sizes = np.bincount(groups)
    pairs = int((sizes * (sizes - 1) // 2).sum())
    if pairs == 0:
        return 0
    count = groups.size
    by_first = _listed(dense_rank(groups * event.size + first[event]), flip=flip)
    by_second = _listed(dense_rank(groups * event.size + second[event]), flip=flip)
    turn = np.empty(count, dtype=np.int32)
    turn[by_first] = np.arange(count, dtype=np.int32)
    ones = np.ones((1, count), dtype=np.int64)
    across = count * (count - 1) // 2 - pairs
    return 2 * (int(ordered_pairs(turn[by_second], ones, ones)[0]) - across) - pairs


def _tied_in_both(moment: IntArray, event: BoolArray, first: IntArray, second: IntArray) -> int:
    """Count comparable pairs that are tied in both scores."""
    group = dense_rank(first * first.size + second)
    span = int(moment.max()) + 1
    keys = group * span + moment
    events = np.sort(keys[event])
    return int((np.searchsorted(events, keys) - np.searchsorted(events, group * span)).sum())
