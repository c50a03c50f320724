"""The p-value of a statistic among those of permuted data."""

import math

import numpy as np
import numpy.typing as npt


def permutation_p(observed: float, permuted: npt.ArrayLike) -> float:
    """One-sided p-value of ``observed`` among the same statistic of permuted data: (1 + those as large) / (1 + B).

    Parameters
    ----------
    observed : float
        Large where the null hypothesis is wrong. NaN gives NaN.
    permuted : array (B,)
        From runs in which, for instance, the rows of a block of features were permuted and everything learnt anew. A
        run without a value (NaN) counts as one as large: it must not make the p-value smaller.

    Returns
    -------
    float
        In [1 / (1 + B), 1]; at most α with probability α at most, whatever B is.

    Raises
    ------
    ValueError
        If ``permuted`` is not 1-d or is empty.

    Notes
    -----
    Rows of a block that is tied to the clinic's covariates are no longer tied to them when permuted: the null
    hypothesis is then that the block is independent of covariates and outcome together.

    References
    ----------
    Phipson B, Smyth GK (2010). Permutation p-values should never be zero. Statistical Applications in Genetics and
    Molecular Biology 9.
    """
    values = np.asarray(permuted, dtype=np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"permuted: shape {values.shape} is not allowed; one statistic a permutation, at least one")
    if math.isnan(observed):
        return math.nan
    return (1 + int(np.count_nonzero(~(values < observed)))) / (1 + values.size)
