"""What stands behind the endpoints: a predictor, the audit log that records each answer before it is given, the store.

An answer that the audit log cannot record is not given. What only monitoring misses is given, logged and counted.
"""

import logging
from collections.abc import Sequence
from typing import Any

from relapse.bundle.load import Bundle
from relapse.bundle.monitoring import required
from relapse.ground.errors import BundleError, ServingError
from relapse.monitoring.store import Store
from relapse.serving.audit_log import AuditLog
from relapse.serving.contract import Explanation, NoteKind, Prediction, Role, SurvivalPrediction
from relapse.serving.patients import Patient
from relapse.serving.predictor import Predictor
from relapse.serving.settings import Serving
from relapse.serving.traffic import kept

#: Notes that say that a patient is unlike those of the training, as a table's rows can be, too.
UNLIKE = (NoteKind.UNUSUAL, NoteKind.OUTSIDE_TRAINING)

_log = logging.getLogger("relapse.monitoring")


class Desk:
    """A loaded bundle that answers and keeps the log.

    Raises
    ------
    AuditLogError
        While it is made or while it answers: an answer that cannot be recorded is not given.
    ServingError
        While it is made: a store is asked for, and the bundle holds nothing to compare with.
    SourceError
        While it is made: the store cannot be written into.
    """

    def __init__(self, bundle: Bundle, settings: Serving) -> None:
        self._predictor = Predictor(bundle)
        self._log: AuditLog | None = None
        if settings.audit_log and settings.audit_key:
            manifest = bundle.manifest
            self._log = AuditLog(settings.audit_log, settings.audit_key, model=manifest.name, version=manifest.version)
        self._store = _store(bundle, settings)

    def predict(
        self, patients: Sequence[Patient], *, endpoint: str, curve: bool = False, names: Sequence[str] = ()
    ) -> list[Prediction]:
        """As :meth:`relapse.serving.predictor.Predictor.predict`.

        ``endpoint`` is what the log calls it; ``names`` are those of the patients for the store, or none.
        """
        answers = self._predictor.predict(patients, curve=curve)
        kept = {"score", "risk", "risks", "interval", "group", "positive"}
        outputs = [{"role": answer.model.role, **answer.model_dump(mode="json", include=kept)} for answer in answers]
        self._record(endpoint, patients, outputs)
        self._keep(patients, answers, names)
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

    def _keep(self, patients: Sequence[Patient], answers: Sequence[Prediction], names: Sequence[str]) -> None:
        """Keep what monitoring looks at; an answer that cannot be kept is given all the same."""
        store = self._store
        if store is None:
            return
        # Without a name, the same values are the same patient.
        known = [name.encode() for name in names] or [b"\0" + each.model_dump_json().encode() for each in patients]
        lines = []
        for name, patient, answer in zip(known, patients, answers, strict=True):
            champion = answer.model.role is Role.CHAMPION
            risk = answer.risks[0].risk if isinstance(answer, SurvivalPrediction) else answer.risk
            unlike = any(note.kind in UNLIKE for note in answer.notes)
            lines.append(
                store.line(
                    name,
                    lambda feature, of=patient: getattr(of, feature),  # type: ignore[misc]
                    risk=risk if champion else None,
                    unlike=unlike if champion else None,
                )
            )
        try:
            store.append(lines)
        except OSError as error:
            _log.error("%d answers could not be kept for monitoring (%s)", len(lines), error.strerror or error)
            kept("no", len(lines))
        else:
            kept("yes", len(lines))


def _store(bundle: Bundle, settings: Serving) -> Store | None:
    if not (settings.monitor and settings.monitor_key):
        return None
    manifest = bundle.manifest
    try:
        training = required(bundle.monitored, where="RELAPSE_MONITOR")
    except BundleError as error:
        raise ServingError(str(error)) from None
    return Store(
        settings.monitor, settings.monitor_key, model=manifest.name, version=manifest.version, training=training
    )
