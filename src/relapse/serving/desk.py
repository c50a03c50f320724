"""What stands behind the endpoints: a predictor, and the audit log that records each answer before it is given."""

from collections.abc import Sequence
from typing import Any

from relapse.bundle.load import Bundle
from relapse.serving.audit_log import AuditLog
from relapse.serving.contract import Explanation, Prediction
from relapse.serving.patients import Patient
from relapse.serving.predictor import Predictor
from relapse.serving.settings import Serving


class Desk:
    """A loaded bundle that answers and keeps the log.

    Raises
    ------
    AuditLogError
        While it is made or while it answers: an answer that cannot be recorded is not given.
    """

    def __init__(self, bundle: Bundle, settings: Serving) -> None:
        self._predictor = Predictor(bundle)
        self._log: AuditLog | None = None
        if settings.audit_log and settings.audit_key:
            manifest = bundle.manifest
            self._log = AuditLog(settings.audit_log, settings.audit_key, model=manifest.name, version=manifest.version)

    def predict(self, patients: Sequence[Patient], *, endpoint: str, curve: bool = False) -> list[Prediction]:
        """As :meth:`relapse.serving.predictor.Predictor.predict`; ``endpoint`` is what the log calls it."""
        answers = self._predictor.predict(patients, curve=curve)
        kept = {"score", "risk", "risks", "interval", "group", "positive"}
        outputs = [{"role": answer.model.role, **answer.model_dump(mode="json", include=kept)} for answer in answers]
        self._record(endpoint, patients, outputs)
        return answers

    def explain(self, patient: Patient) -> Explanation:
        """As :meth:`relapse.serving.predictor.Predictor.explain`."""
        answer = self._predictor.explain(patient)
        self._record("explain", [patient], [{"role": answer.model.role, "base": answer.base, "output": answer.output}])
        return answer

    def _record(self, endpoint: str, patients: Sequence[Patient], outputs: Sequence[dict[str, Any]]) -> None:
        if self._log:
            inputs = [patient.model_dump_json().encode() for patient in patients]
            self._log.append(endpoint, list(zip(inputs, outputs, strict=True)))
