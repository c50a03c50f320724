"""From patients to predictions: the champion answers, or the reference for whom a whole block is missing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from relapse.bundle.eyes import noise
from relapse.bundle.fallback import without_blocks
from relapse.bundle.load import Bundle
from relapse.cohorts.blocked import IMAGE
from relapse.cohorts.schema import Cohort
from relapse.cohorts.typical import typical_values
from relapse.serving.answering import Answerer, Answering
from relapse.serving.contract import Explanation, Prediction, Role, ServedModel
from relapse.serving.patients import Patient, patient_model


class PredictionFailed(Exception):
    """The model raised; the message says which error and where, and holds nothing of its text."""


class Predictor:
    """A loaded bundle, ready to answer.

    One prediction of each model is made at once, for a patient made up from the declaration: what the models import
    late is then there before the first request, and a bundle that cannot predict stops the start.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        champion = Answering(
            bundle.cohort,
            bundle.model,
            bundle.refits,
            bundle.reference,
            bundle.training,
            bundle.manifest.size,
            bundle.eyes,
        )
        self._champion, self._reference = Answerer(champion), None
        self._served = ServedModel(
            name=bundle.manifest.name,
            version=bundle.manifest.version,
            role=Role.CHAMPION,
            title=bundle.manifest.title,
            because=None,
        )
        if bundle.fallback and bundle.fallback_model:
            self._reference = Answerer(
                replace(
                    champion,
                    cohort=without_blocks(bundle.cohort),
                    model=bundle.fallback_model,
                    refits=bundle.fallback_refits,
                    reference=bundle.fallback.reference,
                    eyes=None,
                )
            )
        typical = typical_patient(bundle.cohort, bundle.optional_blocks)
        bare = typical.model_copy(update={name: None for block in typical.blocks for name in block.features})
        for patient in [typical, bare] if bundle.optional_blocks else [typical]:
            self.predict([patient], curve=True)
            self.explain(patient)

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
            A model raised an error.
        """
        served = [self._answering(patient) for patient in patients]
        found: dict[int, Prediction] = {}
        for role in Role:
            rows = [row for row, model in enumerate(served) if model.role is role]
            if rows:
                asked, models = [patients[row] for row in rows], [served[row] for row in rows]
                with quiet():
                    found |= zip(rows, self._answerer(role).predict(asked, models, curve=curve), strict=True)
        return [found[row] for row in range(len(patients))]

    def explain(self, patient: Patient) -> Explanation:
        """Shapley values of one prediction, by the model that makes it.

        Raises
        ------
        PredictionFailed
            The model raised an error.
        """
        served = self._answering(patient)
        with quiet():
            return self._answerer(served.role).explain(patient, served)

    def _answerer(self, role: Role) -> Answerer:
        return self._reference if self._reference and role is Role.REFERENCE else self._champion

    def _answering(self, patient: Patient) -> ServedModel:
        """Who answers for a patient; a champion that is the reference itself needs no block."""
        left_out, fallback = patient.left_out, self._bundle.fallback
        if not left_out or fallback is None:
            return self._served
        titles = [self._bundle.cohort.blocks[name].title for name in left_out]
        named = [f"{name} ({title})" if title else name for name, title in zip(left_out, titles, strict=True)]
        because = f"no value of {'block' if len(named) == 1 else 'blocks'} {' and '.join(named)} was given"
        return self._served.model_copy(update={"role": Role.REFERENCE, "title": fallback.title, "because": because})


def typical_patient(cohort: Cohort, optional_blocks: Sequence[str] = ()) -> Patient:
    """A patient in the middle of every declared range, at the first of every feature's levels."""
    values: dict[str, Any] = {**typical_values(cohort)}
    if cohort.volumes:
        from relapse.imaging.uploads import as_text

        values[IMAGE] = as_text(noise(cohort.volumes))
    return patient_model(cohort, optional_blocks)(**values)


@contextmanager
def quiet(besides: type[Exception] | tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Raise :class:`PredictionFailed` in place of all else: it may quote a patient, and the server logs its text."""
    try:
        yield
    except besides:
        raise
    except Exception as error:
        raise PredictionFailed(f"{type(error).__name__} at {_origin(error)}.") from None


def _origin(error: BaseException) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_qualname}, line {trace.tb_lineno}" if trace else "an unknown place"
