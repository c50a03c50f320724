"""Checks that every statistic makes of the arrays it is given.

Every check raises ``ValueError`` with the name of the argument, what was found and what is allowed. No message holds a
value of a patient: messages end up in logs.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def numbers(name: str, values: npt.ArrayLike, size: int | None = None) -> FloatArray:
    """Return ``values`` as a 1-d float array, finite and of length ``size``.

    Raises
    ------
    ValueError
        If the array is not 1-d, is empty, has another length than ``size``, or holds NaN or infinity.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected one dimension, found {array.ndim}")
    if array.size == 0:
        raise ValueError(f"{name}: empty; at least one row is needed")
    if size is not None and array.size != size:
        raise ValueError(f"{name}: {array.size} values, but {size} rows elsewhere; lengths must be equal")
    bad = int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise ValueError(f"{name}: {bad} of {array.size} values are NaN or infinite; all must be finite")
    return array


def indicator(name: str, values: npt.ArrayLike, size: int | None = None) -> BoolArray:
    """Return ``values`` (0/1 or bool) as a 1-d bool array.

    Raises
    ------
    ValueError
        If a value is neither 0 nor 1, or the shape is wrong (see :func:`numbers`).
    """
    array = numbers(name, values, size)
    bad = int(np.count_nonzero((array != 0) & (array != 1)))
    if bad:
        raise ValueError(f"{name}: {bad} of {array.size} values are neither 0 nor 1")
    return np.asarray(array == 1)


def both_classes(event: npt.ArrayLike) -> BoolArray:
    """Return ``event`` as bool, refusing an outcome with one class only.

    Raises
    ------
    ValueError
        If there is no row with the event, or none without.
    """
    outcome = indicator("event", event)
    positives = int(np.count_nonzero(outcome))
    if positives in (0, outcome.size):
        raise ValueError(f"event: {positives} of {outcome.size} rows have the event; both classes are needed")
    return outcome


def follow_up(time: npt.ArrayLike, event: npt.ArrayLike) -> tuple[FloatArray, BoolArray]:
    """Return follow-up times (any unit, not negative) and event indicators (1 relapse, 0 censored).

    Raises
    ------
    ValueError
        If a time is negative, lengths differ, or an event is neither 0 nor 1.
    """
    times = numbers("time", time)
    bad = int(np.count_nonzero(times < 0))
    if bad:
        raise ValueError(f"time: {bad} of {times.size} values are negative; follow-up starts at 0")
    return times, indicator("event", event, times.size)


def risks(values: npt.ArrayLike, size: int, name: str = "risk") -> FloatArray:
    """Return ``values`` as risks, that is, numbers in [0, 1].

    Raises
    ------
    ValueError
        If a value lies outside [0, 1], or the shape is wrong.
    """
    array = numbers(name, values, size)
    bad = int(np.count_nonzero((array < 0) | (array > 1)))
    if bad:
        raise ValueError(f"{name}: {bad} of {size} values lie outside [0, 1]")
    return array


def cluster_codes(clusters: npt.ArrayLike | None, size: int) -> IntArray:
    """Return the number 0, 1, … of each row's cluster (patient); every row is its own where ``clusters`` is None.

    Raises
    ------
    ValueError
        If there is not one label a row.
    """
    if clusters is None:
        return np.arange(size)
    labels = np.asarray(clusters)
    if labels.shape != (size,):
        raise ValueError(f"clusters: shape {labels.shape}, but {size} rows elsewhere; one label a row is needed")
    return np.asarray(np.unique(labels, return_inverse=True)[1], dtype=np.int64)


def sum_by(codes: IntArray, values: npt.NDArray[Any]) -> FloatArray:
    """Sum ``values`` (n,) or (k, n) over the last axis by cluster code; the result has one column a cluster."""
    rows = np.atleast_2d(values)
    size = int(codes.max()) + 1
    sums = np.stack([np.bincount(codes, weights=row, minlength=size) for row in rows]).astype(np.float64)
    return sums if np.ndim(values) == 2 else np.asarray(sums[0])


def positive_horizon(horizon: float) -> float:
    """Return the horizon as a float.

    Raises
    ------
    ValueError
        If it is not a positive finite number.
    """
    if not (np.isfinite(horizon) and horizon > 0):
        raise ValueError(f"horizon: {horizon} is not allowed; it must be positive and finite")
    return float(horizon)
