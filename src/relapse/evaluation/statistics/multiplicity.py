"""Many tests at once (Holm), and association of many columns (Kendall's tau-b)."""

import numpy as np
import numpy.typing as npt
from scipy import stats

from relapse.evaluation.statistics.arrays import FloatArray


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Holm's adjusted p-values of a family of tests.

    Parameters
    ----------
    p_values : array (k,)
        Raw p-values in [0, 1]. NaN marks a test that could not be made: it stays NaN and does not count.

    Returns
    -------
    array (k,)
        In the order given, at most 1, never below the raw value.

    Raises
    ------
    ValueError
        If the array is not 1-d, or a p-value lies outside [0, 1].

    References
    ----------
    Holm S (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6.
    """
    raw = np.asarray(p_values, dtype=np.float64)
    if raw.ndim != 1:
        raise ValueError(f"p_values: expected one dimension, found {raw.ndim}")
    adjusted = np.full(raw.size, np.nan)
    made = np.flatnonzero(~np.isnan(raw))
    outside = int(np.count_nonzero((raw[made] < 0) | (raw[made] > 1)))
    if outside:
        raise ValueError(f"p_values: {outside} of {raw.size} values lie outside [0, 1]")
    order = made[np.argsort(raw[made], kind="stable")]
    steps = raw[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def kendall_tau_b_matrix(columns: npt.ArrayLike, *, exact: bool = False) -> tuple[FloatArray, FloatArray]:
    """Kendall's tau-b of every pair of columns, with p-values.

    Parameters
    ----------
    columns : array (n, k)
        One column a variable. Rows with NaN in either column of a pair are left out of that pair.
    exact : bool
        Take the exact p-value for pairs of columns without ties; meant for few rows.

    Returns
    -------
    tau : array (k, k)
        1 on the diagonal; NaN where a column is constant or fewer than two rows remain.
    p : array (k, k)
        Two-sided, from the normal approximation with the variance for ties (as R's ``cor.test(exact=FALSE)``).

    Raises
    ------
    ValueError
        If the table is not 2-d.

    References
    ----------
    Kendall MG (1945). The treatment of ties in ranking problems. Biometrika 33.
    """
    table = np.asarray(columns, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"columns: expected two dimensions (rows, variables), found {table.ndim}")
    width = table.shape[1]
    tau, p = np.full((width, width), np.nan), np.full((width, width), np.nan)
    for one in range(width):
        for two in range(one, width):
            pair = table[:, [one, two]]
            pair = pair[~np.isnan(pair).any(axis=1)]
            if len(pair) < 2 or np.any(pair.min(axis=0) == pair.max(axis=0)):
                continue
            untied = all(np.unique(column).size == len(pair) for column in pair.T)
            result = stats.kendalltau(pair[:, 0], pair[:, 1], method="exact" if exact and untied else "asymptotic")
            tau[one, two] = tau[two, one] = 1.0 if one == two else result.statistic
            p[one, two] = p[two, one] = result.pvalue
    return tau, p
