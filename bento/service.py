"""The BentoML service: one bundle, served.

The bundle is the folder named by ``RELAPSE_BUNDLE``, or ``bundle`` beside this file (inside a Bento). Its declaration
makes the request and answer models below; its model is loaded in the worker alone.
"""

import os
from pathlib import Path
from typing import Any

import bentoml
from bentoml._internal.utils.analytics.usage_stats import do_not_track

import relapse.settings  # noqa: F401  sets BENTOML_DO_NOT_TRACK
from relapse.bundle.load import check_packages, describe_bundle, load_bundle
from relapse.console import readable_errors
from relapse.serving.contract import batch_model, patient_model, prediction_model
from relapse.serving.guard import Guard
from relapse.serving.pages import pages
from relapse.serving.predictor import Predictor

# The command line has asked before this module was imported, and keeps the answer: it has to ask again.
do_not_track.cache_clear()

FOLDER = Path(os.environ.get("RELAPSE_BUNDLE") or Path(__file__).parent / "bundle")
with readable_errors():
    DESCRIPTION = describe_bundle(FOLDER)
    check_packages(DESCRIPTION.manifest)

Patient: Any = patient_model(DESCRIPTION.cohort)
Patients: Any = batch_model(Patient)
Prediction: Any = prediction_model(DESCRIPTION.cohort)


def _specification() -> dict[str, Any]:
    document: dict[str, Any] = RelapseService.openapi_spec.asdict()  # type: ignore[attr-defined]
    return document


@bentoml.service
@bentoml.asgi_app(pages(DESCRIPTION, _specification), path="/")
class RelapseService:
    """Risk of relapse for one patient or many."""

    def __init__(self) -> None:
        self._predictor = Predictor(load_bundle(FOLDER))

    # A single positional body: BentoML then validates the model itself, which keeps values out of its messages.
    @bentoml.api
    def predict(self, patient: Patient, /) -> Prediction:
        """The risk of one patient."""
        return self._predictor.predict([patient])[0]

    @bentoml.api
    def predict_batch(self, patients: Patients, /) -> list[Prediction]:
        """The risks of 1 to 1000 patients, in their order."""
        return self._predictor.predict(patients.root)


RelapseService.add_asgi_middleware(  # type: ignore[attr-defined]  # the decorator made a Service of the class
    Guard, bodies={"/predict": Patient, "/predict_batch": Patients}, cohort=DESCRIPTION.cohort
)
