"""Overall fit of binary risks: the likelihood indices of ``rms::val.prob`` and Spiegelhalter's test."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from relapse.evaluation.statistics.arrays import both_classes, risks
from relapse.evaluation.statistics.calibration.regression import logistic


@dataclass(frozen=True)
class Validation:
    """Indices of overall fit.

    Attributes
    ----------
    r2 : Nagelkerke's R² of the risks as given
    discrimination, discrimination_chi2 : D, (likelihood ratio χ² − 1)/n, of the risks as given against the prevalence,
        and that χ²
    unreliability, unreliability_chi2, unreliability_p : U, and the 2-df test that slope 1 and intercept 0 are right
    quality : Q = D − U
    spiegelhalter_z, spiegelhalter_p : test that the Brier score is what the risks themselves promise
    """

    r2: float
    discrimination: float
    discrimination_chi2: float
    unreliability: float
    unreliability_chi2: float
    unreliability_p: float
    quality: float
    spiegelhalter_z: float
    spiegelhalter_p: float


def validation_indices(event: npt.ArrayLike, risk: npt.ArrayLike) -> Validation:
    """Compute indices of overall fit of risks of a binary outcome.

    Parameters
    ----------
    event : array (n,)
        1 relapse, 0 none.
    risk : array (n,)
        Probability of relapse, in [0, 1]. Rows at exactly 0 or 1 count in Spiegelhalter's test only.

    Returns
    -------
    Validation
        NaN where the recalibration has no finite maximum, or all risks are 0, ½ or 1 (Spiegelhalter).

    Raises
    ------
    ValueError
        If lengths differ, a risk lies outside [0, 1], an event is neither 0 nor 1, or one class is missing.

    References
    ----------
    Miller ME, Hui SL, Tierney WM (1991). Validation techniques for logistic regression models. Statistics in
    Medicine 10. Spiegelhalter DJ (1986). Probabilistic prediction in patient management and clinical trials.
    Statistics in Medicine 5. Nagelkerke NJD (1991). A note on a general definition of the coefficient of
    determination. Biometrika 78.
    """
    outcome = both_classes(event)
    values = risks(risk, outcome.size)
    expected_spread = float(np.sum((1 - 2 * values) ** 2 * values * (1 - values)))
    surplus = float(np.sum((outcome - values) * (1 - 2 * values)))
    z = surplus / math.sqrt(expected_spread) if expected_spread > 0 else float("nan")
    z_p = float(2 * stats.norm.sf(abs(z)))

    inside = (values > 0) & (values < 1)
    kept, line = outcome[inside], special.logit(values[inside])
    size = kept.size
    design = np.column_stack([np.ones(size), line])
    fit = logistic(design, kept, np.zeros(size)) if 0 < kept.sum() < size else None
    if fit is None:
        missing = float("nan")
        return Validation(missing, missing, missing, missing, missing, missing, missing, z, z_p)
    prevalence = float(kept.mean())
    null = size * float(-special.entr(prevalence) - special.entr(1 - prevalence))
    as_given = float(np.sum(kept * line - np.logaddexp(0.0, line)))
    gain = 2 * (as_given - null)
    misfit = 2 * (fit.log_likelihood - as_given)
    r2 = -math.expm1(-gain / size) / -math.expm1(2 * null / size)
    unreliability, discrimination = (misfit - 2) / size, (gain - 1) / size
    return Validation(
        r2=r2,
        discrimination=discrimination,
        discrimination_chi2=gain,
        unreliability=unreliability,
        unreliability_chi2=misfit,
        unreliability_p=float(stats.chi2.sf(misfit, 2)),
        quality=discrimination - unreliability,
        spiegelhalter_z=z,
        spiegelhalter_p=z_p,
    )
