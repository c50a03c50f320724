"""How many patients a model needs: the criteria of Riley et al. for binary outcomes and times to an event.

References
----------
Riley RD, Ensor J, Snell KIE et al. Calculating the sample size required for developing a clinical prediction model. BMJ
2020;368:m441. Riley RD, Snell KIE, Ensor J et al. Minimum sample size for developing a multivariable prediction model:
part II, binary and time-to-event outcomes. Stat Med 2019;38:1276-1296 (part I, continuous outcomes, from which the
shrinkage criterion is taken over, 38:1262-1275). van Smeden M et al. Sample size for binary logistic prediction models:
beyond events per variable criteria. Stat Methods Med Res 2019;28:2455-2474.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import counts, parameters

if TYPE_CHECKING:
    import pandas as pd

#: How near the mean risk has to be known (half the width of its 95% interval), and how much better than in truth R² may
#: look in the data that a model was made of.
MARGIN = 0.05

#: The mean absolute error of a risk that is wanted, and the most parameters that its formula was made for.
MEAN_ERROR, MOST_PARAMETERS = 0.05, 30

#: 97.5% quantile of the normal distribution, as the papers round it.
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Needed:
    """One criterion: what it asks for, and the patients and events that it takes, rounded up."""

    criterion: str
    patients: int
    events: int


@dataclass(frozen=True, slots=True)
class Needs:
    """What one model needs, and what there is: ``expected_shrinkage`` is the factor that its effects are too large by.

    ``parameters`` are those estimated, ``r2`` the Cox-Snell R² that is expected, ``largest`` the largest there can be.
    """

    model: str
    parameters: int
    r2: float
    largest: float
    patients: int
    events: int
    criteria: tuple[Needed, ...]
    expected_shrinkage: float

    @property
    def needed(self) -> Needed:
        """The criterion that asks for most."""
        return max(self.criteria, key=lambda item: item.patients)


def for_shrinkage(parameters: int, r2: float, shrinkage: float) -> int:
    """Patients for an expected uniform shrinkage of at least ``shrinkage``.

    n = P / ((S - 1) ln(1 - R² / S)), with the Cox-Snell R² that is expected (Stat Med 2019;38:1276, equation 11).

    Raises
    ------
    ValueError
        R² does not lie between 0 and S: nothing would then be left of it.
    """
    if not 0 < r2 < shrinkage < 1:
        raise ValueError(f"R² = {r2:g} and shrinkage {shrinkage:g}: needed is 0 < R² < shrinkage < 1.")
    return math.ceil(parameters / ((shrinkage - 1) * math.log1p(-r2 / shrinkage)))


def for_optimism(parameters: int, r2: float, largest: float, margin: float = MARGIN) -> int:
    """Patients for Nagelkerke's R² to look better by at most ``margin`` than it is.

    S = R² / (R² + margin × largest R²) is the shrinkage that :func:`for_shrinkage` then takes (38:1276, section 4.2).
    """
    return for_shrinkage(parameters, r2, r2 / (r2 + margin * largest))


def for_mean_risk(share: float, margin: float = MARGIN) -> int:
    """Patients for the mean risk to be known to ``margin``: n = (1.96 / margin)² φ (1 - φ), φ being the ``share``.

    That with the event: BMJ 2020;368:m441, first step.
    """
    return math.ceil((_Z / margin) ** 2 * share * (1 - share))


def for_mean_error(share: float, parameters: int, error: float = MEAN_ERROR) -> int:
    """Patients for a mean absolute ``error`` of the risks of new patients (BMJ 2020;368:m441, second step).

    n = exp((-0.508 + 0.259 ln φ + 0.504 ln P - ln MAPE) / 0.544), by van Smeden et al., from simulations of at most
    :data:`MOST_PARAMETERS` parameters. φ is the share of the rarer outcome.
    """
    rarer = min(share, 1 - share)
    exponent = -0.508 + 0.259 * math.log(rarer) + 0.504 * math.log(parameters) - math.log(error)
    return math.ceil(math.exp(exponent / 0.544))


def for_risk_by(horizon: float, rate: float, follow_up: float, margin: float = MARGIN) -> int:
    """Patients for the mean risk by a horizon to be known to ``margin``, with a constant rate of events.

    The risk is 1 - exp(-λ t), and λ's standard error √(λ / n T), with mean follow-up T (38:1276, section 5.3). The
    wider side of the interval counts. All in one unit of time.
    """
    survival = math.exp(-rate * horizon)
    reach = [abs(-math.log(survival + margin) / horizon - rate)] if survival + margin < 1 else []
    if survival > margin:
        reach.append(-math.log(survival - margin) / horizon - rate)
    return math.ceil(max((_Z / width) ** 2 * rate / follow_up for width in reach)) if reach else 1


def largest_r2(share: float) -> float:
    """The largest Cox-Snell R² of a binary outcome: 1 - (φ^φ (1 - φ)^(1 - φ))² (38:1276, equation 23)."""
    return 1 - math.exp(2 * (share * math.log(share) + (1 - share) * math.log(1 - share)))


def largest_r2_timed(events_each: float) -> float:
    """The largest Cox-Snell R² of a time to an event, ``events_each`` being events over patients, λ T.

    1 - exp(2 (e ln e - e)), the likelihood of an exponential model without predictors with T as the unit of time
    (38:1276, section 4.2, as the package pmsampsize of its authors reckons it).
    """
    return 1 - math.exp(2 * (events_each * math.log(events_each) - events_each))


def shrinkage_of(parameters: int, r2: float, patients: int) -> float:
    """The shrinkage to be expected with so many patients: :func:`for_shrinkage` solved for S; 0 where none does."""
    from scipy.optimize import brentq

    def beyond(shrinkage: float) -> float:
        return parameters / ((shrinkage - 1) * math.log1p(-r2 / shrinkage)) - patients

    lowest, highest = r2 * (1 + 1e-9) + 1e-12, 1 - 1e-12
    return float(brentq(beyond, lowest, highest)) if beyond(lowest) < 0 < beyond(highest) else 0.0


def needs(table: "pd.DataFrame", cohort: Cohort, *, share: float = 0.15, shrinkage: float = 0.9) -> list[Needs]:
    """What a model of all predictors needs, and the reference, beside what there is in a typed table.

    Parameters
    ----------
    share
        The R² that is expected, as a share of the largest; 0.15 is what the BMJ paper takes where nothing is known.
    shrinkage
        The shrinkage that is wanted.
    """
    found = counts(table)
    return [
        _needs(model, parameters(cohort, names), table, cohort, found.patients, found.with_event, share, shrinkage)
        for model, names in (("all predictors", cohort.predictors), ("reference", list(cohort.reference)))
    ]


def _needs(
    model: str,
    count: int,
    table: "pd.DataFrame",
    cohort: Cohort,
    patients: int,
    events: int,
    share: float,
    shrinkage: float,
) -> Needs:
    each = events / patients
    endpoint = cohort.survival
    largest = largest_r2_timed(each) if endpoint else largest_r2(each)
    r2 = share * largest
    asked = {
        f"shrinkage of {shrinkage:g}": for_shrinkage(count, r2, shrinkage),
        f"R² no more than {MARGIN:g} better than it is": for_optimism(count, r2, largest),
    }
    if endpoint:
        follow_up = float(table.groupby("patient", observed=True)["time"].first().mean())
        rate = events / (patients * follow_up)
        for item in endpoint.horizons:
            asked[f"mean risk by {item.label} to {MARGIN:g}"] = for_risk_by(item.time, rate, follow_up)
    else:
        asked[f"mean risk to {MARGIN:g}"] = for_mean_risk(each)
        if count <= MOST_PARAMETERS:
            asked[f"mean error of a risk {MEAN_ERROR:g}"] = for_mean_error(each, count)
    return Needs(
        model=model,
        parameters=count,
        r2=r2,
        largest=largest,
        patients=patients,
        events=events,
        criteria=tuple(Needed(name, number, math.ceil(number * each)) for name, number in asked.items()),
        expected_shrinkage=shrinkage_of(count, r2, patients),
    )
