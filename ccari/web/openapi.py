"""``/openapi.json``: OpenAPI 3.1, made from the table of routes. Its schemas are JSON Schema 2020-12, which pydantic writes.

No library that describes aiohttp's routes fits. aiohttp-pydantic writes OpenAPI 3.0 with errors in a form of its own, and takes
classes as handlers, while our routes have to name their roles as well. aiohttp-apischema and aiohttp-openapi are young, and the
latter reads YAML from docstrings. We have the models and the table anyway.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from ccari import __version__
from ccari.web.problems import PROBLEM_TYPE, Problem
from ccari.web.repeats import HEADER
from ccari.web.routes import JSON, Route
from ccari.web.uploads import CSV, PLAIN

#: A line or header may be too long anywhere (400), and a compressed body is refused (415) also where none is expected.
_ALWAYS = (
    HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE,
)  # fmt: skip
_OF_BODIES = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
#: Problems that may say when to try again; with an Idempotency-Key also 409, while the first request is in progress.
_AGAIN = (HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)

_RETRY_AFTER = {
    "description": "If it is known when to try again: in so many seconds.", "schema": {"type": "integer", "minimum": 0},
}  # fmt: skip
_KEY = {
    "name": HEADER, "in": "header", "required": False, "schema": {"type": "string", "maxLength": 200},
    "description": "Such as a UUID. A request that is repeated with the same key within a day is done once, and answered as before.",
}  # fmt: skip

_Mode = Literal["validation", "serialization"]
_Schemas = Mapping[Any, dict[str, Any]]


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI document of these routes."""
    used: dict[tuple[type[BaseModel], _Mode], None] = {(Problem, "serialization"): None}
    for route in routes:
        if route.reply is not None:
            used[route.reply, "serialization"] = None
        for model in (route.in_path, route.query, route.body):
            if model is not None:
                used[model, "validation"] = None
    schemas, definitions = _schemas(tuple(used))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(
            route, schemas, definitions["$defs"]
        )
    # these become parameters, not schemas
    in_url = {each.__name__ for route in routes for each in (route.in_path, route.query) if each is not None}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ccari", "version": __version__,
            "description": "The compliance layer of an Asterisk call centre. Numbers go in bodies, never in URLs.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Made by ccari token create."}
            },
            "schemas": {name: each for name, each in definitions["$defs"].items() if name not in in_url},
        },
    }  # fmt: skip


@cache
def _schemas(used: tuple[tuple[type[BaseModel], _Mode], ...]) -> tuple[_Schemas, dict[str, Any]]:
    """The schemas of the models, cached because they take a tenth of a second, most of a server's start-up time."""
    return models_json_schema(used, ref_template="#/components/schemas/{model}")


def _operation(route: Route, schemas: _Schemas, definitions: Mapping[str, Any]) -> dict[str, Any]:
    roles = ", ".join(sorted(route.roles))
    described: dict[str, Any] = {
        "operationId": _name(route),
        "summary": inspect.getdoc(route.handler),
        "description": f"For the roles {roles}.",
        "parameters": [
            *_parameters(route.in_path, "path", definitions),
            *_parameters(route.query, "query", definitions),
            *([_KEY] if route.repeats else ()),
        ],
        "responses": {
            str(route.status.value): _answer(route, schemas),
            **{str(each.value): _problem(each, schemas) for each in sorted(_refusals(route))},
        },
    }
    if route.takes_list:
        described["requestBody"] = {
            "required": True,
            "description": "A CSV with a header that has `number`, or one number a line.",
            "content": {each: {"schema": {"type": "string"}} for each in (CSV, PLAIN)},
        }
    if route.body is not None:
        described["requestBody"] = {
            "required": any(each.is_required() for each in route.body.model_fields.values()),
            "content": {"application/json": {"schema": schemas[route.body, "validation"]}},
        }
    return described


def _name(route: Route) -> str:
    parts = [route.method.lower(), *re.findall(r"\w+", route.path.removeprefix("/v1"))]
    return "_".join(parts)


def _refusals(route: Route) -> Iterable[HTTPStatus]:
    return {
        *_ALWAYS, *route.refuses, *(_OF_BODIES if route.body or route.takes_list else ()), *([HTTPStatus.NOT_FOUND] if route.in_path else []),
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }  # fmt: skip


def _answer(route: Route, schemas: _Schemas) -> dict[str, Any]:
    kind = "text/event-stream" if route.streams else route.gives
    if route.reply is not None:
        schema = schemas[route.reply, "serialization"]
    elif route.gives == JSON:
        schema = {"type": "array", "items": {"type": "object"}}
    else:
        # JSON Schema has no keyword for bytes; client generators know OpenAPI 3.0's, and without it decode a ZIP as text
        schema = {"type": "string"} if kind.startswith("text/") else {"type": "string", "format": "binary"}
    described: dict[str, Any] = {"description": route.status.phrase, "content": {kind: {"schema": schema}}}
    if route.headers:
        described["headers"] = {
            name: {"description": told, "schema": {"type": "string"}} for name, told in route.headers
        }
    if route.status is HTTPStatus.CREATED:
        described["headers"] = {"Location": {"schema": {"type": "string", "format": "uri-reference"}}}
    return described


def _problem(status: HTTPStatus, schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": status.phrase,
        "content": {PROBLEM_TYPE: {"schema": schemas[Problem, "serialization"]}},
    }
    if status in _AGAIN:
        described["headers"] = {"Retry-After": _RETRY_AFTER}
    return described


def _parameters(
    model: type[BaseModel] | None, place: str, definitions: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    if model is None:
        return
    schema = definitions[model.__name__]
    for name, each in schema["properties"].items():
        yield {
            "name": name, "in": place, "required": name in schema.get("required", ()), "schema": each,
            **({"description": each["description"]} if "description" in each else {}),
        }  # fmt: skip
