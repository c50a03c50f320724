"""Exact interventional Shapley values of a forest, leaf by leaf.

A leaf is a box. Between a patient and a background row, it is reached by a coalition exactly if the coalition holds all
features with which only the patient is inside the box (a of them), and none with which only the background row is (b of
them). The Shapley values of such a game are known: (a-1)! b! / (a+b)! to each of the first, -a! (b-1)! / (a+b)! to each
of the second (Laberge and Pequignot 2022, arXiv:2209.15123).

Own code, although shap takes a third of its time: for the service, which starts without shap, and for features of
several columns, of which shap has nothing. All other forests go through shap: :mod:`relapse.explanation.by_shap`.
"""

from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Bits = NDArray[np.uint64]

#: Features that fit into the bits of one number.
MOST_FEATURES = 64

#: Pairs of a leaf and a row that are held at once: all those of 1,000 patients and a forest of 50,000 took 8 GB.
_PAIRS = 4_000_000


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees of scikit-learn (``tree_`` objects), and the ``values`` (nodes,) of each that are averaged over them.

    ``scale`` says, for people, what the values are of.
    """

    trees: list[Any]
    values: list[Array]
    scale: str


@dataclass(frozen=True, slots=True)
class Leaves:
    """The leaves of a forest: boxes ``low`` < x <= ``high`` (leaves, c) and each one's ``value`` (leaves,).

    ``open`` (leaves, c) says whether a missing value is inside: it is where every split on the column that leads to the
    leaf sends missing values that way.
    """

    low: Array
    high: Array
    open: NDArray[np.bool_]
    value: Array

    @property
    def rows_at_once(self) -> int:
        """Rows that :meth:`inside` is best asked about at once."""
        return max(1, _PAIRS // len(self.value))

    def inside(self, matrix: Array, *, owner: NDArray[np.int_], features: int) -> Bits:
        """For each row and leaf (n, leaves), the features with which the row is inside the box, a bit each."""
        # Trees of scikit-learn compare in single precision.
        single = matrix.astype(np.float32).astype(np.float64)
        bits = np.full((len(matrix), len(self.value)), (1 << features) - 1, dtype=np.uint64)
        for column, feature in enumerate(owner):
            values = single[:, column, None]
            outside = (values <= self.low[:, column]) | (values > self.high[:, column])
            outside |= np.isnan(values) & ~self.open[:, column]
            bits &= ~(outside.astype(np.uint64) << np.uint64(feature))
        return bits


def leaves_of(trees: list[Any], values: list[Array], *, columns: int) -> Leaves:
    """The leaves of scikit-learn trees (``tree_`` objects), whose ``values`` (nodes,) are averaged over the trees."""
    low, high, is_open, found = [], [], [], []
    for tree, value in zip(trees, values, strict=True):
        boxes = np.empty((2, tree.node_count, columns))
        boxes[0, 0], boxes[1, 0] = -np.inf, np.inf
        missing = np.ones((tree.node_count, columns), dtype=np.bool_)
        # Children always come after their parent.
        for node in np.flatnonzero(tree.children_left >= 0):
            column, threshold = tree.feature[node], tree.threshold[node]
            left, right = tree.children_left[node], tree.children_right[node]
            boxes[:, left] = boxes[:, right] = boxes[:, node]
            # A split of known values from missing ones is at infinity, which bounds nothing.
            boxes[1, left, column] = min(threshold, boxes[1, node, column])
            boxes[0, right, column] = max(threshold, boxes[0, node, column])
            missing[left] = missing[right] = missing[node]
            missing[left if not tree.missing_go_to_left[node] else right, column] = False
        ends = tree.children_left < 0
        low.append(boxes[0, ends])
        high.append(boxes[1, ends])
        is_open.append(missing[ends])
        found.append(value[ends] / len(trees))
    return Leaves(np.concatenate(low), np.concatenate(high), np.concatenate(is_open), np.concatenate(found))


def forest_shapley(patients: Bits, background: Bits, value: Array, *, weights: Array, features: int) -> Array:
    """Shapley values (n, features).

    Parameters
    ----------
    patients, background
        As :meth:`Leaves.inside` gives them for patients (n, leaves) and for background rows (m, leaves).
    value
        Of each leaf.
    weights
        Of the background rows (m,), with sum 1.
    """
    joining, leaving = _shares(features)
    everything = np.uint64((1 << features) - 1)
    values = np.zeros((len(patients), features))
    step = max(1, _PAIRS // background.size)
    for start in range(0, len(patients), step):
        mine = patients[start : start + step, None, :]
        patient, row, leaf = np.nonzero((mine | background[None]) == everything)
        inside, other = mine[patient, 0, leaf], background[row, leaf]
        only_mine, only_other = inside & ~other, other & ~inside
        a, b = np.bitwise_count(only_mine), np.bitwise_count(only_other)
        weight = value[leaf] * weights[row]
        gained, lost = weight * joining[a, b], weight * leaving[a, b]
        for feature in range(features):
            bit = np.uint64(1 << feature)
            part = np.where(only_mine & bit, gained, 0.0) - np.where(only_other & bit, lost, 0.0)
            values[start : start + step, feature] = np.bincount(patient, part, minlength=mine.shape[0])
    return values


def _shares(features: int) -> tuple[Array, Array]:
    """What each feature of the first and of the second kind gets of a leaf's value, by how many there are of both."""
    joining, leaving = np.zeros((2, features + 1, features + 1))
    for a in range(features + 1):
        for b in range(features + 1 - a):
            whole = factorial(a + b)
            joining[a, b] = factorial(a - 1) * factorial(b) / whole if a else 0.0
            leaving[a, b] = factorial(a) * factorial(b - 1) / whole if b else 0.0
    return joining, leaving
