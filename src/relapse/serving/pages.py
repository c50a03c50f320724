"""What the service gives without asking for a patient: the model, the list of endpoints, the OpenAPI document."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from relapse.bundle.load import Description
from relapse.serving.contract import ModelCard
from relapse.serving.problems import Problems

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

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

    It is written as OpenAPI 3.1, whose schemas are plain JSON Schema (3.0 knows no null); the answers to refused
    requests are the ones that :mod:`relapse.serving.guard` gives; and ``GET /model`` is added.
    """
    reference = "#/components/schemas/{model}"
    schemas = document["components"]["schemas"]
    for model in (Problems, ModelCard):
        schema = model.model_json_schema(ref_template=reference, mode="serialization")
        schemas.update(schema.pop("$defs", {}))
        schemas[model.__name__] = schema
    for path in ("/predict", "/predict_batch"):
        answers = document["paths"][path]["post"]["responses"]
        document["paths"][path]["post"]["requestBody"]["required"] = True
        for status in [status for status in answers if not str(status).startswith("2")]:
            del answers[status]
        for status, text in _REFUSALS.items():
            answers[status] = {"description": text, "content": _json(reference.format(model="Problems"))}
    document["paths"]["/model"] = {
        "get": {
            "operationId": "model",
            "summary": "What is served: name, version, manifest, decision, metrics, declaration.",
            "responses": {
                "200": {"description": "The model.", "content": _json(reference.format(model="ModelCard"))},
            },
        }
    }
    document["openapi"] = "3.1.0"
    document["info"] = {
        "title": description.manifest.name,
        "version": description.manifest.version,
        "description": f"{description.cohort.title}: risk of {description.cohort.endpoint.label}. No medical device.",
    }
    return document


def _json(reference: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": reference}}}
