"""One model answering: risk at each horizon, and the notes that say how far to trust it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relapse.bundle.eyes import Eyes
from relapse.bundle.reference import USUAL, Distance, Reference
from relapse.bundle.summary import LevelSummary, Summary
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.declared.features import Categorical, Feature, Numeric
from relapse.cohorts.schema import Cohort
from relapse.cohorts.size import Counts
from relapse.cohorts.table import typed
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
    Prediction,
    ServedModel,
    SurvivalPrediction,
)
from relapse.serving.encoding import quick, quickly_explained
from relapse.serving.lacking import lacking
from relapse.serving.patients import Patient
from relapse.serving.uncertainty import FEWEST, LEVEL, interval

if TYPE_CHECKING:
    from relapse.candidates.picture_score import Sight
    from relapse.candidates.risk_model import RiskModel
    from relapse.imaging.familiarity import Verdict
    from relapse.imaging.slices import Picture

Array = NDArray[np.float64]

#: Steps of a curve.
STEPS = 60


@dataclass(frozen=True, slots=True)
class Answering:
    """What answers are made from: ``cohort`` has the model's features as its predictors.

    ``eyes`` are there where the model looks at pictures.
    """

    cohort: Cohort
    model: "RiskModel"
    refits: "tuple[RiskModel, ...]"
    reference: Reference
    training: dict[str, Summary]
    size: Counts
    eyes: "Eyes | None"


@dataclass(frozen=True, slots=True)
class _Look:
    """A patient's picture, what was seen of it, and whether it is like those of the training."""

    picture: "Picture"
    sight: "Sight"
    verdict: "Verdict | None"


class Answerer:
    """A model ready to answer."""

    def __init__(self, given: Answering) -> None:
        from relapse.explanation.shapley import explainer

        self._given, self._cohort = given, given.cohort
        made = explainer(given.model, given.reference.background(given.cohort), given.cohort)
        # Any: it takes positions where an explainer takes a table. A model that looks at pictures takes a table: beside
        # the time for the encoder, that for the table is nothing.
        self._explainer: Any = made if given.eyes else quickly_explained(made, given.cohort)
        self._lacking = lacking(given.model, given.cohort, given.training)
        self._distance = Distance(given.reference, given.cohort)
        self._places = [(name, _places(given.cohort.features[name])) for name in given.cohort.predictors]
        survival = given.cohort.survival
        self._times = [item.time for item in survival.horizons] if survival else None
        self._grid = np.linspace(0, self._times[-1], STEPS + 1).round(6).tolist() if self._times else None
        # Any: these take positions where a RiskModel takes a table.
        models: list[Any] = [
            model if given.eyes else quick(model, given.cohort) for model in (given.model, *given.refits)
        ]
        self._model, *self._refits = models

    def predict(
        self, patients: Sequence[Patient], served: Sequence[ServedModel], *, curve: bool = False
    ) -> list[Prediction]:
        """Predictions in the order of ``patients``; ``served`` is what each answer says of its model."""
        positions, looks = self._positions(patients), [self._look(patient) for patient in patients]
        values = self._table(patients, looks) if self._given.eyes else positions
        scores, far = self._model.predict_score(values), self._distance(positions)
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
                "model": served[row],
                "outcome": self._cohort.endpoint.label,
                "score": float(scores[row]),
                "risk": float(risks[row, -1]),
                "interval": intervals[-1],
                "certainty": self._certainty,
                "group": self._group(float(risks[row, -1])),
                "notes": [*self._notes(patient, far=float(far[row])), *_unlike(looks[row])],
            }
            drawn = None if curves is None else curves[row]
            found.append(self._prediction(common, risks[row], intervals, drawn))
        return found

    def explain(self, patient: Patient, served: ServedModel) -> Explanation:
        """Shapley values of one prediction."""
        look = self._look(patient)
        found = self._explainer(self._table([patient], [look]) if self._given.eyes else self._positions([patient]))
        return Explanation(
            model=served,
            scale=found.scale,
            base=found.base,
            output=float(found.output[0]),
            contributions=[
                Contribution(field=name, label=self._cohort.part_title(name), value=float(value))
                for name, value in zip(self._cohort.explained, found.values[0], strict=True)
            ],
            attention=self._attention(look),
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

    def _look(self, patient: Patient) -> _Look | None:
        """The patient's picture looked at; None where there is none, or nobody looks."""
        eyes, images = self._given.eyes, self._cohort.volumes
        text = getattr(patient, IMAGE, None)
        if eyes is None or images is None or text is None:
            return None
        from relapse.imaging.uploads import from_text

        picture = from_text(text, images)
        sight = eyes.see(picture)
        return _Look(picture, sight, eyes.judge(picture, sight))

    def _table(self, patients: Sequence[Patient], looks: Sequence[_Look | None]) -> Any:
        """The patients as a typed table, with what was seen of their pictures."""
        import pandas as pd

        columns = {name: [getattr(patient, name) for patient in patients] for name, _ in self._places}
        seen = pd.Series([look and look.sight for look in looks], dtype=object)
        return typed(pd.DataFrame(columns), self._cohort).assign(**{IMAGE: seen})

    def _attention(self, look: _Look | None) -> str | None:
        """Where in the picture the model sees a higher risk, painted over it."""
        if look is None:
            return None
        from relapse.candidates.picture_score import score_of
        from relapse.imaging.overlay import paint

        score = score_of(self._given.model)
        if score is None:
            return None
        return base64.b64encode(paint(look.picture, score.attention(look.sight))).decode()

    def _risks(self, model: Any, values: Array, times: list[float] | None) -> Array:
        """Risks by a model that takes positions: see :func:`relapse.serving.encoding.quick`."""
        return np.clip(model.predict_risk(values, times), 0.0, 1.0)

    def _intervals(self, values: Array, risks: Array) -> tuple[Array, Array] | tuple[None, None]:
        if len(self._refits) < FEWEST:
            return None, None
        others = np.stack([self._risks(model, values, self._times) for model in self._refits])
        size = self._given.size
        return interval(
            risks,
            others,
            scale="log-hazard" if self._cohort.survival else "log-odds",
            events=size.with_event,
            patients=size.patients,
        )

    def _group(self, risk: float) -> Group | None:
        edges = self._given.reference.groups
        return None if edges is None else list(Group)[sum(risk > edge for edge in edges)]

    def _notes(self, patient: Patient, *, far: float) -> list[Note]:
        # A model that takes a patient without a block does not look at it: nothing is filled in, nothing compared.
        left_out = patient.left_out
        unseen = {name for block in patient.blocks if block.name in left_out for name in block.features}
        notes = []
        if far > self._given.reference.limit and unseen.isdisjoint(self._cohort.predictors):
            message = f"This combination of values is farther from typical patients than {USUAL:.0%} of the training's."
            notes.append(Note(field=None, kind=NoteKind.UNUSUAL, message=message))
        for name in (name for name in self._cohort.predictors if name not in unseen):
            value = getattr(patient, name)
            if value is None:
                notes += [self._lacking[name]] if name in self._lacking else []
            elif message := self._unlike_training(name, value):
                notes.append(Note(field=name, kind=NoteKind.OUTSIDE_TRAINING, message=message))
        return notes

    def _unlike_training(self, name: str, value: Any) -> str:
        seen, feature = self._given.training[name], self._cohort.features[name]
        if isinstance(seen, LevelSummary):
            return "" if seen.counts.get(value) else "No patient in training had this level."
        if seen.minimum is None or seen.maximum is None:
            return "No patient in training had a value."
        if seen.minimum <= value <= seen.maximum:
            return ""
        unit = f" {feature.unit}" if isinstance(feature, Numeric) and feature.unit else ""
        return f"Outside what was seen in training, {seen.minimum:.6g} to {seen.maximum:.6g}{unit}."


def _unlike(look: _Look | None) -> list[Note]:
    """The note on a picture that is unlike those of the training."""
    if look is None or look.verdict is None or not look.verdict.unlike:
        return []
    message = "This picture is unlike those of the training: the encoder was never shown its kind."
    return [Note(field=IMAGE, kind=NoteKind.UNLIKE_PICTURE, message=message)]


def _places(feature: Feature) -> dict[str, int] | None:
    """The place of each level; None for a number."""
    if not isinstance(feature, Categorical):
        return None
    return {level: place for place, level in enumerate(feature.names)}
