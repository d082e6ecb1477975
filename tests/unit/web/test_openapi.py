"""The description of the API: complete, open to all, and made from the same models that validate."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from ccari.policy.call import Stage
from ccari.web.events import Streams
from ccari.web.front import Front
from ccari.web.routes import routes
from ccari.web.server import application
from tests.unit.web.api import Api, routes_of

VERBS = {"get", "post"}


def pointers(value: Any) -> Iterator[str]:
    match value:
        case {"$ref": str(reference)}:
            yield reference
        case dict():
            for each in value.values():
                yield from pointers(each)
        case list():
            for each in value:
                yield from pointers(each)


def operations(told: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, verbs in told["paths"].items():
        assert set(verbs) <= VERBS
        for verb, operation in verbs.items():
            yield verb, path, operation


async def test_a_route_or_a_schema_is_missing(api: Api, front: Front) -> None:
    answer = await api.ask("GET", "/openapi.json", role=None)
    told = answer.json
    assert (answer.status, told["openapi"]) == (HTTPStatus.OK, "3.1.0")
    described = {(verb.upper(), path) for verb, path, _ in operations(told)}
    assert described == {each for each in routes_of(application({}, front)) if each[1].startswith("/v1/")}
    schemas = {f"#/components/schemas/{name}" for name in told["components"]["schemas"]}
    assert set(pointers(told)) == schemas


async def test_whoever_reads_the_description_is_sent_to_the_source_code(api: Api) -> None:
    told = (await api.ask("GET", "/openapi.json", role=None)).text
    assert re.findall(r":[a-z]+:`[^`]*`", told) == []


async def test_a_watcher_of_calls_is_not_told_which_stages_there_are(api: Api) -> None:
    schemas = (await api.ask("GET", "/openapi.json", role=None)).json["components"]["schemas"]
    live = schemas["LiveCall"]["properties"]
    assert {name: live[name] for name in ("direction", "stage")} == {
        "direction": {"$ref": "#/components/schemas/Direction"},
        "stage": {"$ref": "#/components/schemas/Stage"},
    }
    assert set(schemas["Stage"]["enum"]) == {each.value for each in Stage}


async def test_an_operation_hides_what_it_takes_or_refuses(api: Api) -> None:
    told = (await api.ask("GET", "/openapi.json", role=None)).json
    names = [operation["operationId"] for _, _, operation in operations(told)]
    assert len(set(names)) == len(names)
    repeated = {(each.method, each.path) for each in routes(Streams()) if each.repeats}
    for verb, path, operation in operations(told):
        assert operation["summary"], path
        responses = operation["responses"]
        assert {"401", "403", "422", "429", "500", "503"} <= set(responses), path
        assert all(
            "application/problem+json" in each["content"] for code, each in responses.items() if code >= "400"
        )
        placed = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert placed == {part.strip("{}") for part in path.split("/") if part.startswith("{")}
        keyed = any(each["name"] == "Idempotency-Key" for each in operation["parameters"])
        assert keyed is ((verb.upper(), path) in repeated), path
        assert ("requestBody" in operation) is (verb == "post" and not path.endswith(("/start", "/retry"))), (
            path
        )
    number = told["components"]["schemas"]["GateAsk"]["properties"]["number"]
    assert number["maxLength"] == 64
    assert told["components"]["schemas"]["GateAsk"]["additionalProperties"] is False


async def test_a_client_that_is_generated_decodes_a_zip_or_a_recording_as_text(api: Api) -> None:
    told = (await api.ask("GET", "/openapi.json", role=None)).json
    given = {
        kind: each["schema"].get("format")
        for _, _, operation in operations(told)
        for kind, each in operation["responses"].get("200", {}).get("content", {}).items()
        if kind != "application/json"
    }
    assert given == {
        "application/zip": "binary",
        "application/octet-stream": "binary",
        "text/csv": None,
        "text/event-stream": None,
    }


async def test_what_is_said_in_a_header_is_missing_from_the_description(api: Api) -> None:
    told = (await api.ask("GET", "/openapi.json", role=None)).json
    headers: dict[str, set[str]] = {}
    for _, path, operation in operations(told):
        for status, answer in operation["responses"].items():
            for name in answer.get("headers", ()):
                headers.setdefault(name, set()).add(status if status >= "400" else path)
    assert headers == {
        "Ccari-Report": {"/v1/contacts/scrub"},
        "Repr-Digest": {"/v1/subjects/export"},
        "Location": {"/v1/calls", "/v1/requests"},
        "Retry-After": {"409", "429", "503"},
    }
