"""The Yeo-Johnson transformation (2000, Biometrika 87:954-959), its powers found without SciPy's overhead.

SciPy (1.17) dispatches and checks anew at every step of the search for a column's power, which takes twenty times the
step's arithmetic where columns have a few hundred values (``benchmarks/training.py``). The likelihood, the bounds and
the search are SciPy's.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import fminbound
from sklearn.preprocessing import PowerTransformer

Array = NDArray[np.float64]

#: To which values of the largest size seen a transformed value, and the variance of many, shall be finite.
_BEYOND = 20.0


class YeoJohnson(PowerTransformer):
    """scikit-learn's transformer: each column to the power that makes it most like a normal distribution."""

    def _yeo_johnson_optimize(self, x: Array) -> float:
        x = x[~np.isnan(x)]
        if not x.any():
            return 1.0
        sign, size = np.where(x >= 0, 1.0, -1.0), np.log1p(np.abs(x))
        slope = float(sign @ size)

        def loss(power: float) -> float:
            # (x + 1) to the power, minus 1, over the power; on the other side of 0 mirrored, with 2 - power.
            power_of = np.where(sign > 0, power, 2.0 - power)
            still = np.abs(power_of) < np.finfo(np.float64).eps
            moved = np.where(still, size, np.expm1(power_of * size) / np.where(still, 1.0, power_of))
            spread = float((sign * moved).var())
            # Where all values fall together, the likelihood is of no use.
            return np.inf if spread < np.finfo(np.float64).tiny else len(x) / 2 * np.log(spread) - (power - 1) * slope

        return float(fminbound(loss, *_bounds(x), xtol=1.48e-8))


def _bounds(x: Array) -> tuple[float, float]:
    """Between which powers nothing overflows, half of the exponents being kept for the variance."""
    known = np.finfo(np.float64)
    reach, eps = np.log1p(_BEYOND * np.abs(x).max()), np.log(known.eps)
    low, high = (np.log(known.tiny) - eps) / 2 / reach, (np.log(known.max) + eps) / 2 / reach
    if (x < 0).all():
        return 2 - high, 2 - low
    if (x < 0).any():
        return max(2 - high, low), min(2 - low, high)
    return low, high
