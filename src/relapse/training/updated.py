"""A model recalibrated on new patients: the update that a closed test asks for, and what it is worth to others.

No patient is judged by what was learnt from her: her predictions come from a choice of the update, and its numbers, of
the other nine tenths of the patients.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from relapse.candidates.risk_model import RiskModel, Shift
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.declared.endpoint import horizon
from relapse.cohorts.schema import Cohort
from relapse.cohorts.translation import as_features_of
from relapse.evaluation.statistics.calibration.regression import logistic, poisson
from relapse.evaluation.statistics.calibration.updating import (
    IN_THE_LARGE,
    WITH_SLOPE,
    Update,
    update_asked_for,
)
from relapse.training.external import FOLDS, Newcomers, external_predictions, newcomers, update_for
from relapse.training.splits import fold_numbers

Array = NDArray[np.float64]

#: The updates that are recalibrations: two numbers at most, and the order of patients stays.
RECALIBRATIONS = (IN_THE_LARGE, WITH_SLOPE)


@dataclass(frozen=True, slots=True)
class Recalibrated:
    """What became of a model on new patients.

    ``update`` is what the closed test of all of them asks for, None where nobody or everybody has the event; ``shift``
    are its numbers by all of them, None where no recalibration is asked for, or none can be fitted. ``plain`` and
    ``crossed`` are predictions of the model as it is, and cross-fitted. ``gain`` (n,) is what cross-fitting adds to
    each patient's log-likelihood. ``known`` has a row a patient with the model's features, ``patient``, ``row``,
    ``event``, ``time`` where there is one (in the model's unit), and the cross-fitted ``risk`` at the model's first
    horizon.
    """

    update: Update | None
    shift: Shift | None
    plain: pd.DataFrame
    crossed: pd.DataFrame
    gain: Array
    known: pd.DataFrame


def recalibrated(
    model: RiskModel,
    trained_on: Cohort,
    table: pd.DataFrame,
    cohort: Cohort,
    *,
    seed: int,
    events_per_parameter: float,
) -> Recalibrated:
    """Recalibrate a model on patients of another cohort, as far as they ask for it.

    Parameters
    ----------
    table
        Typed table of ``cohort``, as for :func:`relapse.training.external.external_predictions`.
    events_per_parameter
        How many events are needed for each column whose weight may move in the closed test.

    References
    ----------
    Vergouwe Y, et al. (2017). A closed testing procedure to select an appropriate method for updating prediction
    models. Statistics in Medicine 36:4529-4539.
    """
    update = update_for(model, trained_on, table, cohort, events_per_parameter=events_per_parameter)
    new = newcomers(model, trained_on, table, cohort)
    plain = next(iter(external_predictions(model, trained_on, table, cohort, seed=seed).values()))
    asked = update.chosen if update and update.chosen in RECALIBRATIONS else None
    shift = _fitted(asked, new, np.ones(new.event.size, dtype=bool)) if asked else None
    folds = dict(
        zip(plain["patient"].astype(str), fold_numbers(plain, folds=FOLDS, seed=seed, setting=""), strict=True)
    )
    mine = np.array([folds[patient] for patient in new.patient])
    shifts = {int(fold): _chosen(new, mine != fold) for fold in np.unique(mine)}
    return Recalibrated(
        update=update,
        shift=shift,
        plain=plain,
        crossed=_crossed(model, trained_on, table, cohort, plain, folds, shifts),
        gain=_gain(new, mine, shifts),
        known=_known(model, trained_on, new, mine, shifts),
    )


def _chosen(new: Newcomers, seen: NDArray[np.bool_]) -> Shift | None:
    """The recalibration that the patients seen ask for, by the same test; None where they ask for none."""
    event = new.event[seen]
    if event.all() or not event.any():
        return None
    exposure = None if new.exposure is None else new.exposure[seen]
    update = update_asked_for(event, new.score[seen], exposure=exposure)
    return _fitted(update.chosen, new, seen) if update.chosen in RECALIBRATIONS else None


def _fitted(how: str, new: Newcomers, seen: NDArray[np.bool_]) -> Shift | None:
    """Intercept, and slope where it may move, by the patients seen; None without a finite fit that keeps the order."""
    line, event = new.score[seen], new.event[seen]
    base = line if new.exposure is None else np.log(new.exposure[seen])
    design = np.ones((line.size, 1)) if how == IN_THE_LARGE else np.column_stack([np.ones(line.size), line])
    fit = (logistic if new.exposure is None else poisson)(design, event, base)
    if fit is None:
        return None
    slope = 1.0 if how == IN_THE_LARGE else 1.0 + float(fit.coefficients[1])
    return Shift(float(fit.coefficients[0]), slope) if slope > 0 else None


def _crossed(
    model: RiskModel,
    trained_on: Cohort,
    table: pd.DataFrame,
    cohort: Cohort,
    plain: pd.DataFrame,
    folds: dict[str, int],
    shifts: dict[int, Shift | None],
) -> pd.DataFrame:
    """The plain predictions with each patient's risks by the shift that the others asked for."""
    times = None
    if cohort.survival and trained_on.survival:
        times = [horizon(item.label, trained_on.survival.unit).time for item in cohort.survival.horizons]
    # Not always of the ascending integer rows: the order of `plain` is that of the row numbers.
    ordered = table.sort_values("row", ignore_index=True)
    features = as_features_of(ordered, cohort, trained_on)
    if IMAGE in ordered:
        features[IMAGE] = ordered[IMAGE].to_numpy()
    found, fold = plain.copy(), plain["patient"].astype(str).map(folds).to_numpy()
    for number, shift in shifts.items():
        rows = fold == number
        if shift is not None and rows.any():
            moved = model.shifted(shift)
            found.loc[rows, cohort.endpoint.risk_columns] = moved.predict_risk(features[rows], times)
            if moved.threshold is not None:
                found.loc[rows, "threshold"] = moved.threshold
    return found


def _gain(new: Newcomers, mine: NDArray[np.int_], shifts: dict[int, Shift | None]) -> Array:
    """What each patient's log-likelihood gains by the shift that the others asked for (binomial; Poisson)."""
    gain = np.zeros(new.event.size)
    for number, shift in shifts.items():
        if shift is None:
            continue
        rows = mine == number
        line, event = new.score[rows], new.event[rows]
        moved = shift.of(line)
        if new.exposure is None:
            gain[rows] = event * (moved - line) - (np.logaddexp(0.0, moved) - np.logaddexp(0.0, line))
        else:
            exposure = new.exposure[rows]
            gain[rows] = event * (moved - line) - exposure * np.expm1(moved - line)
    return gain


def _known(
    model: RiskModel, trained_on: Cohort, new: Newcomers, mine: NDArray[np.int_], shifts: dict[int, Shift | None]
) -> pd.DataFrame:
    times = [trained_on.survival.horizons[0].time] if trained_on.survival else None
    risk = np.empty(new.event.size)
    for number, shift in shifts.items():
        rows = mine == number
        moved = model if shift is None else model.shifted(shift)
        risk[rows] = moved.predict_risk(new.features[rows], times)[:, 0]
    known = new.features.assign(
        row=np.arange(1, new.event.size + 1), patient=new.patient, event=new.event.astype("int8"), risk=risk
    )
    return known if new.time is None else known.assign(time=new.time)
