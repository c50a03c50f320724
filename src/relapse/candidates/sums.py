"""Models that see the columns of their matrix by sums alone: who changes one value changes the sums by a difference."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OfSums:
    """A fitted model taken apart: what it says of a row is ``output(terms(row).sum(axis=0))``.

    Attributes
    ----------
    terms
        What each value of a row (c,) adds to each of u sums (c, u).
    output
        Log-odds or log-hazards (n,) of rows whose sums (n, u) are given.
    """

    terms: Callable[[Array], Array]
    output: Callable[[Array], Array]
