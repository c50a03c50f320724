"""What the service gives without asking for a patient: the page, the model, what to ask for, metrics, OpenAPI."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from relapse.bundle.load import Description
from relapse.bundle.validations import in_words, section
from relapse.cohorts.declared.images import DceMri
from relapse.cohorts.schema import Cohort
from relapse.documents import Document, html, markdown
from relapse.serving import films, volumes
from relapse.serving.contract import (
    Explanation,
    FallbackCard,
    FilmRead,
    Form,
    ModelCard,
    Pictured,
    form,
    prediction_model,
)
from relapse.serving.patients import (
    FILM,
    PICTURE,
    batch_model,
    feature_blocks,
    patient_model,
    proposed_features,
    with_blocks,
)
from relapse.serving.problems import Problems
from relapse.serving.traffic import exposition
from relapse.serving.uploads import Upload, route
from relapse.serving.volumes import MASK, PHASE

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_REFERENCE = "#/components/schemas/{model}"

STATIC = Path(__file__).parent / "static"

_STATIC = {
    f"/static/{path.name}": path for path in sorted(STATIC.glob("*.*")) if path.suffix in (".css", ".js", ".svg")
}

#: What tells whether the service is well.
HEALTH = ("/livez", "/readyz", "/healthz")

#: Paths that hold nothing to protect: the empty page and the health checks.
PUBLIC = ("/", "/ui", *_STATIC, *HEALTH)

#: Every path of the service.
ENDPOINTS = (
    *PUBLIC,
    f"/{PICTURE}",
    f"/{FILM}",
    "/predict",
    "/predict_batch",
    "/explain",
    "/model",
    "/card",
    "/schema",
    "/docs.json",
    "/metrics",
)

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

_STRANGERS = {
    "401": "A token is set, and the request does not carry it.",
    "403": "No token is set, and the request came from beyond this machine.",
    "421": "The request names a host that the service is not asked for under.",
}

_REFUSALS = _STRANGERS | {
    "400": "The body is not valid JSON.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is not sent as application/json.",
    "422": "The body is JSON and not what the endpoint takes; each problem names field and allowed values.",
    "503": "Not answered in time, or the answer could not be recorded.",
}

#: Files are read as they arrive, in the time of the request: there is no 408.
_UPLOAD_REFUSALS = _STRANGERS | {
    "400": "The body is not readable as a form of files.",
    "413": "The files are too large.",
    "415": "The body is not sent as multipart/form-data, or compressed as a whole.",
    "422": "The form cannot be worked on; the message says what is wrong with which part.",
    "503": "Not arrived and made in time.",
}


def model_card(description: Description) -> ModelCard:
    """What is served."""
    manifest = description.manifest
    return ModelCard(
        name=manifest.name,
        version=manifest.version,
        manifest=manifest,
        decision=description.decision,
        metrics=[metric.model_dump() for metric in description.metrics],
        training={name: summary.model_dump() for name, summary in description.training.items()},
        declaration=description.cohort.model_dump(mode="json", by_alias=True),
        card=markdown(_card(description)),
        checklist=markdown(description.checklist),
        validations=description.validations,
        validated=in_words(description.validations),
        groups=description.reference.groups,
        blocks=feature_blocks(description.cohort, description.optional_blocks),
        fallback=_fallback(description),
    )


def _fallback(description: Description) -> FallbackCard | None:
    found = description.fallback
    if found is None:
        return None
    return FallbackCard(title=found.title, features=list(found.reference.typical), groups=found.reference.groups)


def _card(description: Description) -> Document:
    """The sealed model card, and what became known after it was sealed."""
    sealed = description.card
    return Document(sealed.title, (*sealed.sections, section(description.validations)))


def pages(description: Description, specification: Callable[[], dict[str, Any]]) -> "Starlette":
    """An application with the page and everything else that is read with ``GET``.

    Parameters
    ----------
    description
        What is served.
    specification
        BentoML's own OpenAPI document, which :func:`complete` corrects.
    """
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, RedirectResponse, Response
    from starlette.routing import Route

    def fixed(content: bytes, media_type: str) -> "Callable[[Request], Response]":
        return lambda request: Response(content, media_type=media_type)

    async def get_docs(request: "Request") -> "Response":
        return JSONResponse(complete(specification(), description))

    async def get_metrics(request: "Request") -> "Response":
        return Response(await run_in_threadpool(exposition), media_type="text/plain; version=0.0.4")

    contents = {
        "/ui": ((STATIC / "index.html").read_bytes(), "text/html"),
        "/model": (model_card(description).model_dump_json().encode(), "application/json"),
        "/schema": (form(description).model_dump_json().encode(), "application/json"),
        "/card": (html(_card(description), level=3).encode(), "text/html"),
        **{name: (path.read_bytes(), _TYPES[path.suffix]) for name, path in _STATIC.items()},
    }
    # BentoML's own page at / loads scripts from outside hosts.
    return Starlette(
        routes=[
            Route("/", lambda request: RedirectResponse("ui"), methods=["GET"]),
            *(Route(path, fixed(*content), methods=["GET"]) for path, content in contents.items()),
            Route("/docs.json", get_docs, methods=["GET"]),
            Route("/metrics", get_metrics, methods=["GET"]),
            *map(route, _uploads(description)),
        ]
    )


def _uploads(description: Description) -> list[Upload]:
    """The forms of files that are taken."""
    cohort, reader = description.cohort, description.film_reader
    found = [volumes.upload(cohort.volumes)] if cohort.volumes else []
    return [*found, films.upload(cohort, reader)] if reader else found


def complete(document: dict[str, Any], description: Description) -> dict[str, Any]:
    """Bring BentoML's OpenAPI document in line with what the service does.

    It is written as OpenAPI 3.1, whose schemas are plain JSON Schema (3.0 knows no null); bodies and answers are
    those of :mod:`relapse.serving.contract` by name; the answers to refused requests are the ones that
    :mod:`relapse.serving.guard` gives; and what is read with ``GET`` is added.
    """
    patient = patient_model(description.cohort, description.optional_blocks)
    answer = prediction_model(description.cohort)
    models: tuple[type[BaseModel], ...] = (
        patient,
        batch_model(patient),
        answer,
        Explanation,
        Problems,
        ModelCard,
        Form,
    )
    if description.cohort.volumes:
        models = (*models, Pictured)
    if description.film_reader:
        models = (*models, FilmRead)
    schemas = _schemas(*models)
    schemas["Patient"] = with_blocks(schemas["Patient"], patient)
    document["components"] = {
        "schemas": schemas,
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
    }
    several = {"type": "array", "items": _reference(answer.__name__)}
    refused = {status: _response(text, _reference("Problems")) for status, text in _REFUSALS.items()}
    posts = (
        ("/predict", "Patient", _reference(answer.__name__)),
        ("/predict_batch", "Patients", several),
        ("/explain", "Patient", _reference("Explanation")),
    )
    # The token is optional: whoever starts the service decides.
    security: dict[str, Any] = {"security": [{"token": []}, {}]}
    found = document["paths"]
    document["paths"] = {}
    for path, body, given in posts:
        post = found[path]["post"] | security
        post["requestBody"] = {"required": True, "content": {"application/json": {"schema": _reference(body)}}}
        post["responses"] = {"200": _response("The answer.", given), **refused}
        document["paths"][path] = {"post": post}
    document["paths"]["/predict"]["post"]["parameters"] = [
        {
            "name": "curve",
            "in": "query",
            "required": False,
            "description": "Whether to give the whole curve, where the outcome has a time.",
            "schema": {"type": "boolean", "default": False},
        }
    ]
    refusals = {status: _response(text, _reference("Problems")) for status, text in _UPLOAD_REFUSALS.items()}
    if description.cohort.volumes:
        document["paths"][f"/{PICTURE}"] = {"post": security | _of_volumes(description.cohort.volumes, refusals)}
    if description.film_reader:
        document["paths"][f"/{FILM}"] = {"post": security | _of_film(description.cohort, refusals)}
    for path, text, name in (
        ("/model", "What is served: name, version, manifest, decision, metrics, declaration, model card.", "ModelCard"),
        ("/schema", "What to ask for: fields with labels, units, ranges and levels.", "Form"),
    ):
        responses = {"200": _response(text, _reference(name)), **{status: refused[status] for status in _STRANGERS}}
        document["paths"][path] = {"get": security | {"operationId": path[1:], "summary": text, "responses": responses}}
    for path, text in (("/livez", "Whether the process runs."), ("/readyz", "Whether it can answer.")):
        plain = {"description": text, "content": {"text/plain": {"schema": {"type": "string"}}}}
        document["paths"][path] = {"get": {"operationId": path[1:], "summary": text, "responses": {"200": plain}}}
    document["openapi"] = "3.1.0"
    document["info"] = {
        "title": description.manifest.name,
        "version": description.manifest.version,
        "description": f"{description.cohort.title}: risk of {description.cohort.endpoint.label}. No medical device.",
    }
    return document


def _of_volumes(images: DceMri, refused: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI says of the volumes that are taken."""
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    count = len(images.phases)
    properties = {PHASE: {"type": "array", "items": file, "minItems": count, "maxItems": count}, MASK: file}
    schema = {"type": "object", "properties": properties, "required": [PHASE, MASK]}
    text = (
        f"Volumes as the model looks at them: phases {', '.join(map(str, images.phases))} in this order and the "
        "tumour's mask, each NIfTI, gzipped NIfTI, or a zip archive of the slices of one DICOM series."
    )
    return {
        "operationId": PICTURE,
        "summary": text,
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}},
        "responses": {"200": _response("The picture.", _reference("Pictured")), **refused},
    }


def _of_film(cohort: Cohort, refused: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI says of the film that is taken."""
    numbers = {name: {"type": "number", "description": films.FIELDS[name]} for name in ("spacing", "x", "y", "radius")}
    properties = {
        "film": {"type": "string", "contentMediaType": "application/octet-stream"},
        **numbers,
        "laterality": {"enum": ["L", "R"], "description": films.FIELDS["laterality"]},
        "view": {"enum": ["CC", "MLO"], "description": films.FIELDS["view"]},
        "inverted": {"type": "boolean", "description": films.FIELDS["inverted"]},
    }
    schema = {"type": "object", "properties": properties, "required": ["film"], "additionalProperties": False}
    text = (
        "One mammogram (DICOM, PNG, PGM or TIFF, in grey levels) is read, and values are proposed for "
        f"{', '.join(proposed_features(cohort).values())}. A place in the film may be marked by x and y."
    )
    return {
        "operationId": FILM,
        "summary": text,
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}},
        "responses": {"200": _response("What was read.", _reference("FilmRead")), **refused},
    }


def _schemas(*models: type[BaseModel]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(ref_template=_REFERENCE)
        found.update(schema.pop("$defs", {}))
        found[model.__name__] = schema
    return found


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": _REFERENCE.format(model=name)}


def _response(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
