"""The BentoML service: one bundle, served.

The bundle is the folder named by ``RELAPSE_BUNDLE``, or ``bundle`` beside this file (inside a Bento). Its declaration
makes the request and answer models below; its model is loaded in the worker alone.
"""

from functools import partial
from pathlib import Path
from typing import Any

import bentoml
from bentoml._internal.utils.analytics.usage_stats import do_not_track
from starlette.concurrency import run_in_threadpool
from threadpoolctl import threadpool_limits

from relapse.bundle.load import check_packages, describe_bundle, load_bundle
from relapse.ground.console import readable_errors
from relapse.ground.environment import BUNDLE, check_environment
from relapse.serving.access import listening_host, require_token_beyond_loopback
from relapse.serving.contract import Explanation, prediction_model
from relapse.serving.desk import Desk
from relapse.serving.guard import Guard
from relapse.serving.names import PATIENT_HEADER, named
from relapse.serving.pages import ENDPOINTS, HEALTH, PUBLIC, pages
from relapse.serving.patients import batch_model, patient_model
from relapse.serving.recorded import recorded
from relapse.serving.settings import serving
from relapse.serving.traffic import Traffic

# The command line has asked before this module was imported, and keeps the answer: it has to ask again.
do_not_track.cache_clear()

with readable_errors():
    FOLDER = BUNDLE.get() or Path(__file__).parent / "bundle"
    check_environment()
    SETTINGS = serving()
    require_token_beyond_loopback(SETTINGS.token, listening_host())
    DESCRIPTION = describe_bundle(FOLDER)
    check_packages(DESCRIPTION.manifest.packages)

HEADER = PATIENT_HEADER.decode()

Patient: Any = patient_model(DESCRIPTION.cohort, DESCRIPTION.optional_blocks)
Patients: Any = batch_model(Patient)
Prediction: Any = prediction_model(DESCRIPTION.cohort)


def _specification() -> dict[str, Any]:
    document: dict[str, Any] = RelapseService.openapi_spec.asdict()  # type: ignore[attr-defined]
    return document


# BentoML's own metrics and access log take paths as they were sent: see relapse.serving.traffic.
@bentoml.service(
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    # The door keeps the time. BentoML keeps a timer for each request until its own limit, so that one is close behind.
    traffic={"timeout": SETTINGS.seconds + 1},
    http={"cors": {"enabled": False}},
)
@bentoml.asgi_app(pages(DESCRIPTION, _specification), path="/")
class RelapseService:
    """Risk of relapse for one patient or many."""

    def __init__(self) -> None:
        if DESCRIPTION.cohort.images:
            # A picture or a film is many small products of matrices. Threads that wait for each other in each made an
            # answer twenty times slower where something else runs on the machine.
            threadpool_limits(1)
        if DESCRIPTION.film_reader:
            # A reader that cannot be opened stops the start.
            DESCRIPTION.film_reader.opened()
        self._desk = Desk(load_bundle(FOLDER), SETTINGS)

    # A single positional body: BentoML then validates the model itself, which keeps values out of its messages.
    # A prediction takes a few milliseconds, less than a change of threads does under load. All else has a thread, and
    # so has a prediction that looks at a picture.
    @bentoml.api
    async def predict(self, patient: Patient, /, ctx: bentoml.Context) -> Prediction:
        """The risk of one patient."""
        curve = ctx.request.query_params.get("curve") == "true"
        names = named(ctx.request.headers.get(HEADER)) or ()

        def answer() -> Any:
            return self._desk.predict([patient], endpoint="predict", curve=curve, names=names)[0]

        return await run_in_threadpool(recorded, answer, ctx) if DESCRIPTION.cohort.volumes else recorded(answer, ctx)

    @bentoml.api
    def predict_batch(self, patients: Patients, /, ctx: bentoml.Context) -> list[Prediction]:
        """The risks of 1 to 1000 patients, in their order."""
        names = named(ctx.request.headers.get(HEADER)) or ()
        return recorded(partial(self._desk.predict, patients.root, endpoint="predict_batch", names=names), ctx)

    @bentoml.api
    def explain(self, patient: Patient, /, ctx: bentoml.Context) -> Explanation:
        """What raised and what lowered the model's output for one patient."""
        return recorded(partial(self._desk.explain, patient), ctx)


# The first one added stands outermost: what the door refuses is counted too.
RelapseService.add_asgi_middleware(Traffic, paths=ENDPOINTS)  # type: ignore[attr-defined]
RelapseService.add_asgi_middleware(  # type: ignore[attr-defined]
    Guard,
    bodies={"/predict": Patient, "/predict_batch": Patients, "/explain": Patient},
    public=PUBLIC,
    health=HEALTH,
    cohort=DESCRIPTION.cohort,
    settings=SETTINGS,
)
