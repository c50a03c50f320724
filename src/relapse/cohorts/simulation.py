"""A simulated two-view mammographic table with published level frequencies and rank correlations; no real patient.

It has the shape of the private table of the study that compared a 1D-CNN with tree ensembles: 148 patients, 270 views,
five features. What is true of it is known, so that a protocol that reports more than the true risk allows is caught.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

PATIENTS, TWO_VIEWS, RELAPSES = 148, 122, 25

#: Share of each level, in the order of its code; the study gives them in words only ("most", "rare").
SUBTYPE = (0.40, 0.32, 0.13, 0.15)
DENSITY = (0.10, 0.50, 0.30, 0.10)
SHAPE = (0.15, 0.60, 0.05, 0.20)
MARGIN = (0.12, 0.28, 0.32, 0.28)

#: Tumour size in mm: lognormal with its peak near 10, nine in ten between 5 and 30.
SIZE_LOG_MEDIAN, SIZE_LOG_SPREAD, SIZE_LIMITS = 2.605, 0.55, (2.0, 90.0)

#: Correlation of the two views of a patient in the latent normals behind size, shape and margin.
WITHIN_SIZE, WITHIN_LEVELS = 0.95, 0.9

#: Latent correlation of shape and margin, and log-odds of relapse a unit of latent size and subtype: set so that
#: Kendall's tau-b over the views is 0.37 (shape-margin), 0.23 (relapse-size) and 0.24 (relapse-subtype).
SHAPE_MARGIN, SIZE_EFFECT, SUBTYPE_EFFECT = 0.565, 0.99, 0.91


def simulate_radiomics(seed: int) -> pd.DataFrame:
    """Draw the table; equal seeds give equal tables.

    Returns
    -------
    DataFrame
        270 rows: ``patient``, ``view`` (CC, MLO), ``size`` (mm), the codes 0 to 3 of ``shape``, ``margin``, ``density``
        and ``subtype``, ``relapse`` (0, 1), and ``true_risk``, the probability that relapse was drawn with. Views of a
        patient share relapse, subtype, density and true risk, and are alike in size, shape and margin.
    """
    rng = np.random.default_rng(seed)
    size, subtype, density, shape, margin = rng.standard_normal((5, PATIENTS))
    margin = _correlated(shape, margin, SHAPE_MARGIN)
    effect = SIZE_EFFECT * size + SUBTYPE_EFFECT * subtype
    relapse = np.zeros(PATIENTS, dtype=np.int64)
    # Logistic noise, and the same number of relapses in every table: the share would vary with the seed otherwise.
    relapse[np.argsort(-(effect + rng.logistic(size=PATIENTS)), kind="stable")[:RELAPSES]] = 1
    risk = expit(effect + _intercept(effect))

    second = np.sort(rng.choice(PATIENTS, TWO_VIEWS, replace=False))
    patient = np.concatenate([np.arange(PATIENTS), second])
    view = np.repeat(["CC", "MLO"], [PATIENTS, TWO_VIEWS])
    noise = rng.standard_normal((3, len(patient)))
    table = pd.DataFrame(
        {
            "patient": [f"P{number + 1:03d}" for number in patient],
            "view": view,
            "size": _millimetres(_correlated(size[patient], noise[0], np.sqrt(WITHIN_SIZE))),
            "shape": _levels(_correlated(shape[patient], noise[1], np.sqrt(WITHIN_LEVELS)), SHAPE),
            "margin": _levels(_correlated(margin[patient], noise[2], np.sqrt(WITHIN_LEVELS)), MARGIN),
            "density": _levels(density, DENSITY)[patient],
            "subtype": _levels(subtype, SUBTYPE)[patient],
            "relapse": relapse[patient],
            "true_risk": risk[patient],
        }
    )
    return table.sort_values(["patient", "view"], ignore_index=True)


def _correlated(first: NDArray[np.float64], second: NDArray[np.float64], correlation: float) -> NDArray[np.float64]:
    return np.asarray(correlation * first + np.sqrt(1 - correlation**2) * second)


def _levels(latent: NDArray[np.float64], shares: tuple[float, ...]) -> NDArray[np.int_]:
    """Codes whose expected shares are ``shares``, rising with a standard normal."""
    return np.searchsorted(norm.ppf(np.cumsum(shares)[:-1]), latent)


def _millimetres(latent: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.round(np.clip(np.exp(SIZE_LOG_MEDIAN + SIZE_LOG_SPREAD * latent), *SIZE_LIMITS), 1)


def _intercept(effect: NDArray[np.float64]) -> float:
    """The intercept with which the expected number of relapses is the drawn one."""
    from scipy.optimize import brentq

    return float(brentq(lambda shift: float(expit(effect + shift).sum()) - RELAPSES, -20.0, 20.0))
