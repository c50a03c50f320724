"""From patients to predictions: risk at each horizon, and the notes that say how far to trust it."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relapse.bundle.load import Bundle
from relapse.bundle.reference import USUAL, Distance
from relapse.bundle.summary import LevelSummary
from relapse.cohorts.declared.features import Categorical, Feature, Numeric
from relapse.cohorts.schema import Cohort
from relapse.serving.contract import (
    BinaryPrediction,
    Contribution,
    Curve,
    Explanation,
    Group,
    HorizonRisk,
    Interval,
    Note,
    NoteKind,
    Patient,
    Prediction,
    ServedModel,
    SurvivalPrediction,
    patient_model,
)
from relapse.serving.encoding import quick, quickly_explained
from relapse.serving.uncertainty import FEWEST, LEVEL, interval

Array = NDArray[np.float64]

#: Steps of a curve.
STEPS = 60


class PredictionFailed(Exception):
    """The model raised; the message says which error and where, and holds nothing of its text."""


class Predictor:
    """A loaded bundle, ready to answer.

    One prediction is made at once, for a patient made up from the declaration: what the model imports late is then
    there before the first request, and a bundle that cannot predict stops the start.
    """

    def __init__(self, bundle: Bundle) -> None:
        from relapse.explanation.shapley import explainer

        self._bundle, self._cohort = bundle, bundle.cohort
        self._served = ServedModel(name=bundle.manifest.name, version=bundle.manifest.version)
        # Any: it takes positions where an explainer takes a table.
        self._explainer: Any = quickly_explained(
            explainer(bundle.model, bundle.reference.background(bundle.cohort), bundle.cohort), bundle.cohort
        )
        self._distance = Distance(bundle.reference, bundle.cohort)
        self._places = [(name, _places(bundle.cohort.features[name])) for name in bundle.cohort.predictors]
        survival = bundle.cohort.survival
        self._times = [item.time for item in survival.horizons] if survival else None
        self._grid = np.linspace(0, self._times[-1], STEPS + 1).round(6).tolist() if self._times else None
        # Any: these take positions where a RiskModel takes a table.
        models: list[Any] = [quick(model, bundle.cohort) for model in (bundle.model, *bundle.refits)]
        self._model, *self._refits = models
        typical = typical_patient(bundle.cohort)
        self.predict([typical], curve=True)
        self.explain(typical)

    def predict(self, patients: Sequence[Patient], *, curve: bool = False) -> list[Prediction]:
        """Predictions in the order of ``patients``; each is the same alone and among others, up to rounding.

        Parameters
        ----------
        patients
            Checked patients.
        curve
            Whether to give the whole curve where the endpoint has a time.

        Raises
        ------
        PredictionFailed
            The model raised an error.
        """
        with _quiet():
            values = self._positions(patients)
            scores, far = self._model.predict_score(values), self._distance(values)
            risks = self._risks(self._model, values, self._times)
            lower, upper = self._intervals(values, risks)
            curves = 1 - self._risks(self._model, values, self._grid) if self._grid and curve else None
        found = []
        for row, patient in enumerate(patients):
            intervals: list[Interval | None] = [None] * risks.shape[1]
            if lower is not None and upper is not None:
                pairs = zip(lower[row].tolist(), upper[row].tolist(), strict=True)
                intervals = [Interval(lower=low, upper=high, level=LEVEL) for low, high in pairs]
            common = {
                "model": self._served,
                "outcome": self._cohort.endpoint.label,
                "score": float(scores[row]),
                "risk": float(risks[row, -1]),
                "interval": intervals[-1],
                "certainty": self._certainty,
                "group": self._group(float(risks[row, -1])),
                "notes": self._notes(patient, unusual=bool(far[row] > self._bundle.reference.limit)),
            }
            drawn = None if curves is None else curves[row]
            found.append(self._prediction(common, risks[row], intervals, drawn))
        return found

    def explain(self, patient: Patient) -> Explanation:
        """Shapley values of one prediction.

        Raises
        ------
        PredictionFailed
            The model raised an error.
        """
        with _quiet():
            found = self._explainer(self._positions([patient]))
        return Explanation(
            model=self._served,
            scale=found.scale,
            base=found.base,
            output=float(found.output[0]),
            contributions=[
                Contribution(field=name, label=self._cohort.part_title(name), value=float(value))
                for name, value in zip(self._cohort.explained, found.values[0], strict=True)
            ],
        )

    def _prediction(
        self, common: dict[str, Any], risks: Array, intervals: Sequence[Interval | None], curve: Array | None
    ) -> Prediction:
        survival, threshold = self._cohort.survival, self._model.threshold
        if survival is None:
            positive = None if threshold is None else common["risk"] >= threshold
            return BinaryPrediction(**common, positive=positive, threshold=threshold)
        labels = [item.label for item in survival.horizons]
        return SurvivalPrediction(
            **common,
            horizon=labels[-1],
            risks=[
                HorizonRisk(horizon=label, risk=float(risk), interval=around)
                for label, risk, around in zip(labels, risks, intervals, strict=True)
            ],
            curve=None
            if curve is None or self._grid is None
            else Curve(unit=survival.unit, times=self._grid, event_free=curve.tolist()),
        )

    @property
    def _certainty(self) -> str:
        count = len(self._refits)
        if count < FEWEST:
            return "The bundle has no models fitted without a part of the patients, so nothing can be said."
        return f"Delete-a-group jackknife: {count} models, each fitted without another part of the patients."

    def _positions(self, patients: Sequence[Patient]) -> Array:
        """As :func:`relapse.bundle.reference.positions` of the patients' table would be."""
        found = np.empty((len(patients), len(self._places)))
        for row, patient in enumerate(patients):
            for column, (name, places) in enumerate(self._places):
                value = getattr(patient, name)
                found[row, column] = np.nan if value is None else value if places is None else places[value]
        return found

    def _risks(self, model: Any, values: Array, times: list[float] | None) -> Array:
        """Risks by a model that takes positions: see :func:`relapse.serving.encoding.quick`."""
        return np.clip(model.predict_risk(values, times), 0.0, 1.0)

    def _intervals(self, values: Array, risks: Array) -> tuple[Array, Array] | tuple[None, None]:
        if len(self._refits) < FEWEST:
            return None, None
        others = np.stack([self._risks(model, values, self._times) for model in self._refits])
        size = self._bundle.manifest.size
        return interval(
            risks,
            others,
            scale="log-hazard" if self._cohort.survival else "log-odds",
            events=size.with_event,
            patients=size.patients,
        )

    def _group(self, risk: float) -> Group | None:
        edges = self._bundle.reference.groups
        return None if edges is None else list(Group)[sum(risk > edge for edge in edges)]

    def _notes(self, patient: Patient, *, unusual: bool) -> list[Note]:
        notes = []
        if unusual:
            message = f"This combination of values is farther from typical patients than {USUAL:.0%} of the training's."
            notes.append(Note(field=None, kind=NoteKind.UNUSUAL, message=message))
        for name in self._bundle.cohort.predictors:
            value = getattr(patient, name)
            if value is None:
                message = "No value was given; the model fills in the one typical of its training."
                notes.append(Note(field=name, kind=NoteKind.IMPUTED, message=message))
            elif message := self._unlike_training(name, value):
                notes.append(Note(field=name, kind=NoteKind.OUTSIDE_TRAINING, message=message))
        return notes

    def _unlike_training(self, name: str, value: Any) -> str:
        seen, feature = self._bundle.training[name], self._bundle.cohort.features[name]
        if isinstance(seen, LevelSummary):
            return "" if seen.counts.get(value) else "No patient in training had this level."
        if seen.minimum is None or seen.maximum is None:
            return "No patient in training had a value."
        if seen.minimum <= value <= seen.maximum:
            return ""
        unit = f" {feature.unit}" if isinstance(feature, Numeric) and feature.unit else ""
        return f"Outside what was seen in training, {seen.minimum:.6g} to {seen.maximum:.6g}{unit}."


def _places(feature: Feature) -> dict[str, int] | None:
    """The place of each level; None for a number."""
    if not isinstance(feature, Categorical):
        return None
    return {level: place for place, level in enumerate(feature.names)}


def typical_patient(cohort: Cohort) -> Patient:
    """A patient in the middle of every declared range, at the first of every feature's levels."""
    values: dict[str, Any] = {}
    for name in cohort.predictors:
        feature = cohort.features[name]
        if isinstance(feature, Categorical):
            values[name] = feature.names[0]
        else:
            middle = sum(feature.range) / 2
            values[name] = math.floor(middle) if feature.type == "count" else middle
    return patient_model(cohort)(**values)


@contextmanager
def _quiet() -> Iterator[None]:
    """Whatever a library raises may quote a patient's value, and the server logs it with its text."""
    try:
        yield
    except Exception as error:
        raise PredictionFailed(f"{type(error).__name__} at {_origin(error)}.") from None


def _origin(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_qualname}, line {trace.tb_lineno}" if trace else "an unknown place"
