"""Rows of different patients that agree in all values, or in all but one: how likely that is by chance.

Each value is given a random 64-bit number, each row their sum; rows that agree in all columns but one have the same sum
once that column's number is taken out. So all pairs are found by sorting, without comparing each row with each.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

#: Columns with up to this many values are told apart together, by how often their combination stands in the table.
COARSE = 12

#: A value that a larger share of the rows has is told together as well: zeros of one receptor go with zeros of another.
COMMON = 0.05


@dataclass(frozen=True, slots=True)
class Pair:
    """Two positions in the table that agree in all columns but ``differs`` (None: in all).

    ``chance`` is the expected number of pairs that agree so by chance in a table of this size.
    """

    first: int
    second: int
    differs: str | None
    chance: float


def alike(values: pd.DataFrame, patient: pd.Series) -> list[Pair]:
    """Neighbouring pairs of different patients among the rows that agree in all columns of ``values`` but at most one.

    The chance takes all columns with few values, and common values of the others, as one combination, however they
    depend on each other; rare values count each for itself. For rows that agree in all columns the strongest one is
    left out: it may follow from the others (a body mass index from height and weight), and a copy is still no chance.
    """
    codes = np.column_stack([pd.factorize(values[name], sort=True)[0] + 1 for name in values])
    person = pd.factorize(patient)[0]
    order = np.argsort(person, kind="stable")
    codes, person = codes[order], person[order]
    tokens = _tokens(codes)
    whole = tokens.sum(axis=1, dtype=np.uint64)
    evidence = _evidence(codes)
    common = np.where(evidence == 0, tokens, 0)
    together = common.sum(axis=1, dtype=np.uint64)
    full = -_log_share(together)
    rows, columns = codes.shape
    names = [str(name) for name in values]
    pairs = {}
    for column in range(-1, columns):
        rest = whole if column < 0 else whole - tokens[:, column]
        by_rest = np.argsort(rest, kind="stable")
        one, other = by_rest[:-1], by_rest[1:]
        same = (rest[one] == rest[other]) & (person[one] != person[other])
        if column >= 0:
            same &= whole[one] != whole[other]
        if not same.any():
            continue
        one, other = one[same], other[same]
        shared = evidence[one].copy()
        combined = full
        if column >= 0:
            shared[:, column] = 0
            combined = -_log_share(together - common[:, column]) if common[:, column].any() else full
        surprise = shared.sum(axis=1) + combined[one]
        if column < 0:
            surprise -= shared.max(axis=1)
        tries = np.log(rows) * 2 - np.log(2) + (np.log(columns) if column >= 0 else 0)
        for left, right, chance in zip(one, other, np.exp(np.minimum(tries - surprise, 50)), strict=True):
            first, second = sorted((int(order[left]), int(order[right])))
            pairs[first, second] = Pair(first, second, names[column] if column >= 0 else None, float(chance))
    return [pairs[key] for key in sorted(pairs)]


def _tokens(codes: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A number for each value, as good as random and the same in every run (splitmix64)."""
    mixed = codes.astype(np.uint64) + (np.arange(codes.shape[1], dtype=np.uint64) << np.uint64(32))
    mixed = (mixed + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _evidence(codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """How surprising it is (−log) that another row has a row's value, by column; zero where that is told together."""
    rows, columns = codes.shape
    evidence = np.zeros((rows, columns))
    seen: set[bytes] = set()
    for column in range(columns):
        code = codes[:, column]
        counts = np.bincount(code)
        if np.count_nonzero(counts[1:]) <= COARSE:
            continue
        # The same quantity in another unit, or its reciprocal, is no evidence of its own.
        if not seen.isdisjoint(ranks := {code.tobytes(), np.where(code, code.max() + 1 - code, 0).tobytes()}):
            continue
        seen |= ranks
        others = np.maximum(counts[code] - 1, 1) / rows
        evidence[:, column] = np.where((code == 0) | (others > COMMON), 0.0, -np.log(others))
    return evidence


def _log_share(combination: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Log share of the other rows that have a row's combination; one other at least."""
    _, code, counts = np.unique(combination, return_inverse=True, return_counts=True)
    return np.asarray(np.log(np.maximum(counts[code] - 1, 1) / len(combination)))
