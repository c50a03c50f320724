"""Which update new patients ask of a model: none, its mean risk, its spread as well, or its weights.

Three models are nested above the one at hand, each free to move more of it: the intercept (recalibration in the large),
the intercept and the slope, and also the weight of every column beside the model's own score. A closed testing
procedure takes the smallest that is not shown to fit worse than the largest: with few patients that is the model as it
is, which a plain refit would spoil.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from relapse.evaluation.statistics.arrays import FloatArray, numbers
from relapse.evaluation.statistics.calibration.regression import logistic, poisson

#: The model as it is, and the updates, from the smallest to the largest.
AS_IT_IS, IN_THE_LARGE, WITH_SLOPE, REVISED = (
    "as it is",
    "recalibrated in the large",
    "recalibrated, slope too",
    "revised",
)


@dataclass(frozen=True, slots=True)
class Step:
    """The largest update against a smaller one: twice the log-likelihood gained, its degrees of freedom, and p."""

    against: str
    statistic: float
    freedom: int
    p: float


@dataclass(frozen=True, slots=True)
class Update:
    """The update that was chosen, and the tests on the way to it.

    ``intercept`` and ``slope`` are those of the recalibrations, on the scale of the score, with NaN where there is no
    finite fit. ``largest`` is the largest update that was compared, since the columns may be too many to be weighed.
    """

    chosen: str
    largest: str
    steps: tuple[Step, ...]
    intercept: float
    slope: float


def update_asked_for(
    event: npt.ArrayLike,
    score: npt.ArrayLike,
    columns: npt.ArrayLike | None = None,
    *,
    exposure: npt.ArrayLike | None = None,
    level: float = 0.05,
) -> Update:
    """Closed test of the updates of a model on patients whom it has not seen, one row each.

    Parameters
    ----------
    event : array (n,)
        Whether the patient relapsed.
    score : array (n,)
        Log-odds of the model's risk; with ``exposure``, the log cumulative hazard that the model gave the patient at a
        horizon.
    columns : array (n, p), optional
        What the model was made from; without them its weights are left alone. Those that say nothing that the score and
        the others do not say are not counted.
    exposure : array (n,), optional
        For a time to relapse: the cumulative hazard that the model gave the patient over her own follow-up. Relapses
        are then counts with this expectation (Poisson), which is Cox's model with the model's own baseline.
    level : float
        Of each test; that of the choice as a whole, since the procedure is closed.

    Returns
    -------
    Update

    Raises
    ------
    ValueError
        Lengths differ, nobody or everybody relapsed, or an exposure is not positive.

    References
    ----------
    Vergouwe Y, Nieboer D, Oostenbrink R, et al. (2017). A closed testing procedure to select an appropriate method for
    updating prediction models. Statistics in Medicine 36:4529-4539.
    Crowson CS, Atkinson EJ, Therneau TM (2016). Assessing calibration of prognostic risk scores. Statistical Methods in
    Medical Research 25:1692-1706.
    """
    relapsed = np.asarray(event, dtype=bool)
    line = numbers("score", score, relapsed.size)
    if relapsed.all() or not relapsed.any():
        raise ValueError("event: patients with and without relapse are needed")
    base = line
    if exposure is not None:
        expected = numbers("exposure", exposure, relapsed.size)
        if (expected <= 0).any():
            raise ValueError("exposure: a cumulative hazard above 0 is needed of every patient")
        base = np.log(expected)
    centred = (line - line.mean()) / (line.std() or 1.0)
    ones = np.ones((relapsed.size, 1))
    designs = {
        AS_IT_IS: ones[:, :0],
        IN_THE_LARGE: ones,
        WITH_SLOPE: _independent(np.column_stack([ones, centred])),
    }
    if columns is not None:
        given = np.asarray(columns, dtype=np.float64).reshape(relapsed.size, -1)
        spread = given.std(axis=0)
        standard = (given - given.mean(axis=0))[:, spread > 0] / spread[spread > 0]
        designs[REVISED] = _independent(np.column_stack([designs[WITH_SLOPE], standard]))
    regression = logistic if exposure is None else poisson
    tried = {name: regression(design, relapsed, base) for name, design in designs.items()}
    fits = {name: fit for name, fit in tried.items() if fit is not None}
    *smaller, largest = fits
    steps: list[Step] = []
    for name in smaller:
        gained = max(2 * (fits[largest].log_likelihood - fits[name].log_likelihood), 0.0)
        freedom = designs[largest].shape[1] - designs[name].shape[1]
        steps.append(Step(name, float(gained), freedom, float(chi2.sf(gained, freedom)) if freedom else 1.0))
        if steps[-1].p > level:
            break
    kept = bool(steps) and steps[-1].p > level
    sloped = fits[WITH_SLOPE].coefficients if WITH_SLOPE in fits else np.empty(0)
    return Update(
        chosen=steps[-1].against if kept else largest,
        largest=largest,
        steps=tuple(steps),
        intercept=float(fits[IN_THE_LARGE].coefficients[0]) if IN_THE_LARGE in fits else float("nan"),
        slope=1.0 + float(sloped[1] / line.std()) if sloped.size > 1 else float("nan"),
    )


def _independent(design: FloatArray) -> FloatArray:
    """The columns that are not made of those before them."""
    kept: list[int] = []
    for column in range(design.shape[1]):
        if np.linalg.matrix_rank(design[:, [*kept, column]]) > len(kept):
            kept.append(column)
    return design[:, kept]
