"""Hypothesis strategies for outcomes, scores, follow-up and patients; ties of every kind are drawn on purpose."""

from typing import NamedTuple

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

# the same examples on every machine and in every run; no deadline, since shared machines stall
settings.register_profile("relapse", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("relapse")


class Binary(NamedTuple):
    """Outcome, two scores, and patients with up to a few rows each."""

    event: np.ndarray
    first: np.ndarray
    second: np.ndarray
    patient: np.ndarray


class Survival(NamedTuple):
    """Follow-up, relapse, two scores and patients."""

    time: np.ndarray
    event: np.ndarray
    first: np.ndarray
    second: np.ndarray
    patient: np.ndarray


def scores(size: int) -> st.SearchStrategy[np.ndarray]:
    """Scores with many ties (few levels), or with hardly any."""
    few = st.lists(st.integers(-2, 2), min_size=size, max_size=size)
    many = st.lists(st.integers(-10_000, 10_000), min_size=size, max_size=size)
    return st.one_of(few, many).map(lambda values: np.array(values, dtype=float) / 8)


def flags(size: int) -> st.SearchStrategy[np.ndarray]:
    """0/1 of a given length."""
    return st.lists(st.integers(0, 1), min_size=size, max_size=size).map(np.array)


@st.composite
def binary(draw: st.DrawFn, min_size: int = 4, max_size: int = 30) -> Binary:
    """Draw rows with both outcomes at least twice."""
    size = draw(st.integers(min_size, max_size))
    event = draw(flags(size))
    event[:4] = [0, 1, 0, 1]
    patient = draw(st.lists(st.integers(0, size), min_size=size, max_size=size).map(np.array))
    order = np.array(draw(st.permutations(range(size))))
    return Binary(event[order], draw(scores(size)), draw(scores(size)), patient)


@st.composite
def survival(draw: st.DrawFn, min_size: int = 5, max_size: int = 30) -> Survival:
    """Draw follow-up with at least one comparable pair, with tied times."""
    size = draw(st.integers(min_size, max_size))
    top = draw(st.sampled_from([3, 12, 1000]))
    time = np.array(draw(st.lists(st.integers(1, top), min_size=size, max_size=size)), dtype=float)
    event = draw(flags(size))
    time[0], event[0] = 0.5, 1
    patient = draw(st.lists(st.integers(0, size), min_size=size, max_size=size).map(np.array))
    return Survival(time, event, draw(scores(size)), draw(scores(size)), patient)


def permutation(size: int, seed: int) -> np.ndarray:
    """Shuffle rows."""
    return np.random.default_rng(seed).permutation(size)


seeds = st.integers(0, 2**32 - 1)
