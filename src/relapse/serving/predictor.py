"""From patients to predictions: risk at each horizon, and the notes that say how far to trust it."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from relapse.bundle.load import Bundle
from relapse.bundle.summary import LevelSummary
from relapse.cohorts.schema import Categorical, Cohort, Numeric
from relapse.serving.contract import (
    BinaryPrediction,
    HorizonRisk,
    Note,
    NoteKind,
    Patient,
    Prediction,
    ServedModel,
    SurvivalPrediction,
    patient_model,
)

if TYPE_CHECKING:
    import pandas as pd


class PredictionFailed(Exception):
    """The model raised; the message says which error and where, and holds nothing of its text."""


class Predictor:
    """A loaded bundle, ready to answer.

    One prediction is made at once, for a patient made up from the declaration: what the model imports late is then
    there before the first request, and a bundle that cannot predict stops the start.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._served = ServedModel(name=bundle.manifest.name, version=bundle.manifest.version)
        self.predict([typical_patient(bundle.cohort)])

    def predict(self, patients: Sequence[Patient]) -> list[Prediction]:
        """Predictions in the order of ``patients``; each is the same alone and among others, up to rounding.

        Raises
        ------
        PredictionFailed
            The model raised an error.
        """
        model, survival = self._bundle.model, self._bundle.cohort.survival
        table = patients_table(patients, self._bundle.cohort)
        try:
            scores = model.predict_score(table)
            risks = model.predict_risk(table, [item.time for item in survival.horizons] if survival else None)
        except Exception as error:
            # Whatever a library raises may quote a patient's value, and the server logs it with its text.
            raise PredictionFailed(f"{type(error).__name__} at {_origin(error)}.") from None
        return [
            self._prediction(patient, float(score), [min(max(float(risk), 0.0), 1.0) for risk in row])
            for patient, score, row in zip(patients, scores, risks, strict=True)
        ]

    def _prediction(self, patient: Patient, score: float, risks: list[float]) -> Prediction:
        endpoint = self._bundle.cohort.endpoint
        common: dict[str, Any] = {
            "model": self._served,
            "outcome": endpoint.label,
            "score": score,
            "notes": self._notes(patient),
        }
        survival, threshold = self._bundle.cohort.survival, self._bundle.model.threshold
        if survival is None:
            positive = None if threshold is None else risks[0] >= threshold
            return BinaryPrediction(**common, risk=risks[0], positive=positive, threshold=threshold)
        labels = [item.label for item in survival.horizons]
        return SurvivalPrediction(
            **common,
            risk=risks[-1],
            horizon=labels[-1],
            risks=[HorizonRisk(horizon=label, risk=risk) for label, risk in zip(labels, risks, strict=True)],
        )

    def _notes(self, patient: Patient) -> list[Note]:
        notes = []
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


def patients_table(patients: Sequence[Patient], cohort: Cohort) -> "pd.DataFrame":
    """The predictors of ``patients`` as the model takes them: a typed canonical table (n, predictors)."""
    import pandas as pd

    from relapse.cohorts.table import typed

    return typed(
        pd.DataFrame({name: [getattr(patient, name) for patient in patients] for name in cohort.predictors}), cohort
    )


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


def _origin(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_qualname}, line {trace.tb_lineno}" if trace else "an unknown place"
