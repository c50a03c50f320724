"""What the service gives without asking for a patient: the model, the list of endpoints, the OpenAPI document."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from relapse.bundle.load import Description
from relapse.documents import markdown
from relapse.serving.contract import ModelCard, batch_model, patient_model, prediction_model
from relapse.serving.problems import Problems

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_REFERENCE = "#/components/schemas/{model}"

_REFUSALS = {
    "400": "The body is not valid JSON.",
    "413": "The body is too large.",
    "415": "The body is not sent as application/json.",
    "422": "The body is JSON and not what the endpoint takes; each problem names field and allowed values.",
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
        declaration=description.cohort.model_dump(mode="json"),
        card=markdown(description.card),
    )


def pages(description: Description, specification: Callable[[], dict[str, Any]]) -> "Starlette":
    """An application with ``GET /``, ``/model`` and ``/docs.json``.

    Parameters
    ----------
    description
        What is served.
    specification
        BentoML's own OpenAPI document, which :func:`complete` corrects.
    """
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    card = model_card(description)
    body = card.model_dump_json().encode()
    index = {
        "model": {"name": card.name, "version": card.version},
        "endpoints": ["POST /predict", "POST /predict_batch", "GET /model", "GET /docs.json", "GET /readyz"],
    }

    async def get_index(request: "Request") -> "Response":
        return JSONResponse(index)

    async def get_model(request: "Request") -> "Response":
        return Response(body, media_type="application/json")

    async def get_docs(request: "Request") -> "Response":
        return JSONResponse(complete(specification(), description))

    # BentoML's own page at / loads scripts from outside hosts.
    return Starlette(
        routes=[
            Route("/", get_index, methods=["GET"]),
            Route("/model", get_model, methods=["GET"]),
            Route("/docs.json", get_docs, methods=["GET"]),
        ]
    )


def complete(document: dict[str, Any], description: Description) -> dict[str, Any]:
    """Bring BentoML's OpenAPI document in line with what the service does.

    It is written as OpenAPI 3.1, whose schemas are plain JSON Schema (3.0 knows no null); bodies and answers are
    those of :mod:`relapse.serving.contract` by name; the answers to refused requests are the ones that
    :mod:`relapse.serving.guard` gives; and ``GET /model`` is added.
    """
    patient, answer = patient_model(description.cohort), prediction_model(description.cohort)
    document["components"] = {"schemas": _schemas(patient, batch_model(patient), answer, Problems, ModelCard)}
    several = {"type": "array", "items": _reference(answer.__name__)}
    for path, body, given in (
        ("/predict", _reference("Patient"), _reference(answer.__name__)),
        ("/predict_batch", _reference("Patients"), several),
    ):
        refused = {status: _response(text, _reference("Problems")) for status, text in _REFUSALS.items()}
        document["paths"][path]["post"] |= {
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {"200": _response("The prediction.", given), **refused},
        }
    document["paths"]["/model"] = {
        "get": {
            "operationId": "model",
            "summary": "What is served: name, version, manifest, decision, metrics, declaration.",
            "responses": {"200": _response("The model.", _reference("ModelCard"))},
        }
    }
    document["openapi"] = "3.1.0"
    document["info"] = {
        "title": description.manifest.name,
        "version": description.manifest.version,
        "description": f"{description.cohort.title}: risk of {description.cohort.endpoint.label}. No medical device.",
    }
    return document


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
