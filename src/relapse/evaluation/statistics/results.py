"""Typed results of evaluation: an estimate with its interval, and a paired test of two candidates."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its two-sided 95% interval.

    ``lower`` and ``upper`` are NaN where no interval can be given; ``method`` names how the interval was made
    (for instance ``"bootstrap"``, ``"DeLong"``, ``"DeLong, clustered"``). ``se`` is the standard error, where the
    method has one.
    """

    value: float
    lower: float = float("nan")
    upper: float = float("nan")
    se: float | None = None
    method: str = ""


@dataclass(frozen=True, slots=True)
class PairedTest:
    """A two-sided test of two candidates on the same patients.

    ``difference`` is first minus second of what is compared, with its 95% interval; ``statistic`` is z (or the
    chi-square, or None for an exact test); ``p`` is the raw two-sided p-value, ``method`` the name of the test.
    """

    difference: float
    lower: float
    upper: float
    statistic: float | None
    p: float
    method: str
