"""Lowess: the smooth curve behind a calibration plot, with the weights that its band needs."""

from dataclasses import dataclass

import numpy as np

from relapse.evaluation.statistics.arrays import FloatArray


@dataclass(frozen=True)
class Smooth:
    """A locally linear smooth.

    Attributes
    ----------
    fitted : array (n,)
        Smooth at each of the ascending x.
    noise : array (n,)
        Standard error at each x for outcomes of probability ``fitted``.
    """

    fitted: FloatArray
    noise: FloatArray


def lowess(x: FloatArray, y: FloatArray, *, span: float = 2 / 3) -> Smooth:
    """Locally linear smooth of a 0/1 outcome, as R's ``lowess(x, y, iter = 0)``.

    Parameters
    ----------
    x : array (n,)
        Ascending.
    y : array (n,)
        0 or 1. There is no robust iteration: it would take the rarer outcome for outliers.
    span : float
        Share of the rows in each window.

    Returns
    -------
    Smooth
        Fitted at points at least 1% of the range apart, as R does, and linear between them: O(n) for each of about 100.

    References
    ----------
    Cleveland WS (1979). Robust locally weighted regression and smoothing scatterplots. JASA 74.
    """
    size = x.size
    width = max(2, min(size, int(span * size + 1e-7)))
    anchors = _anchors(x, 0.01 * (x[-1] - x[0]))
    # the window slides right while that brings its farther end nearer
    starts = np.searchsorted(x[: size - width] + x[width:], 2 * x[anchors], side="left")
    weights = [_weights(x, x[anchor], int(start), width) for anchor, start in zip(anchors, starts, strict=True)]
    at_anchors = np.array([weight @ y[first : first + weight.size] for first, weight in weights])
    fitted = np.interp(x, x[anchors], at_anchors)
    share = np.clip(fitted, 0.0, 1.0)
    spread = share * (1 - share)
    variance = np.array([weight**2 @ spread[first : first + weight.size] for first, weight in weights])
    return Smooth(fitted, np.interp(x, x[anchors], np.sqrt(variance)))


def _anchors(x: FloatArray, gap: float) -> list[int]:
    """Choose the indices to fit at: the first, then the last within ``gap`` of the one before, or else the next x."""
    chosen = [0]
    while True:
        beyond_ties = int(np.searchsorted(x, x[chosen[-1]], side="right"))
        if beyond_ties >= x.size:
            return chosen
        within = int(np.searchsorted(x, x[chosen[-1]] + gap, side="right")) - 1
        chosen.append(max(beyond_ties, within))


def _weights(x: FloatArray, at: float, start: int, width: int) -> tuple[int, FloatArray]:
    """Weights of y, from index ``start`` on, that give the local line's value at ``at``."""
    reach = max(at - x[start], x[start + width - 1] - at)
    stop = int(np.searchsorted(x, at + reach, side="right"))
    near = x[start:stop]
    distance = np.abs(near - at)
    if reach == 0:
        return start, np.full(near.size, 1 / near.size)
    weight = np.where(distance <= 0.001 * reach, 1.0, (1 - np.minimum(distance / reach, 1.0) ** 3) ** 3)
    weight[distance > 0.999 * reach] = 0.0
    weight /= weight.sum()
    centre = weight @ near
    spread = weight @ (near - centre) ** 2
    if np.sqrt(spread) > 0.001 * (x[-1] - x[0]):
        weight *= 1 + (at - centre) / spread * (near - centre)
    return start, weight
