"""The API against its own description: a request that fits it, or almost does, is answered as it says."""

import asyncio
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccari.ports.access import Role
from ccari.recordings.evidence.keys import SigningKeys
from tests.unit.web.api import NUMBER, Api, reference_of_this_year

EXAMPLES = 200
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND")
DIGITS = NUMBER.removeprefix("+")
HEADERS = [
    {}, {"accept": "text/html"}, {"accept": "\xff"}, {"content-type": "text/plain"}, {"content-type": "application/json; charset=utf-16"},
    {"idempotency-key": ""}, {"idempotency-key": "x" * 300}, {"idempotency-key": NUMBER}, {"x-http-method-override": "DELETE"},
    {"origin": f"http://{DIGITS}.example"}, {"range": "bytes=0-"}, {"if-match": '"x"'}, {"x-forwarded-for": DIGITS},
    {"content-encoding": "gzip"}, {"cookie": f"token={DIGITS}"},
]  # fmt: skip
_ANY = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.lists(st.none(), max_size=2), st.just({"x": DIGITS}),
    st.sampled_from([NUMBER, "acme", "renewals", "L2", "erasure", "2026-12-31", 2**70, -1, "\x00", "=1+1", "x" * 3000]),
)  # fmt: skip


def like(schema: dict[str, Any], known: dict[str, Any]) -> st.SearchStrategy[Any]:
    """A value that more or less fits a schema: patterns and formats are left to chance."""
    if "$ref" in schema:
        return like(known[schema["$ref"].rpartition("/")[2]], known)
    if "anyOf" in schema:
        return st.one_of([like(each, known) for each in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "object" if "properties" in schema:
            required = {name for name in schema["properties"] if name in schema.get("required", ())}
            fields = {name: like(each, known) for name, each in schema["properties"].items()}
            return st.fixed_dictionaries(
                {name: fields[name] for name in required},
                optional={name: each for name, each in fields.items() if name not in required},
            )
        case "string":
            return st.one_of(
                st.sampled_from(schema.get("examples", [NUMBER, "acme", "renewals", "anna"])),
                st.text(max_size=10),
            )
        case "integer":
            return st.integers(schema.get("minimum", 0), schema.get("maximum", 1000))
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "array":
            return st.lists(like(schema.get("items", {}), known), max_size=2)
        case _:
            return _ANY


def spoilt(made: dict[str, Any], name: str, value: Any, how: int) -> Any:
    """The value as it was made, or with one wrong thing in it."""
    match how:
        case 0:
            return {**made, name: value}
        case 1:
            return {each: one for each, one in made.items() if each != name}
        case 2:
            return value
        case _:
            return made


def asks(document: dict[str, Any]) -> st.SearchStrategy[tuple[str, str, Any, dict[str, str], dict[str, Any]]]:
    known, each = document["components"]["schemas"], []
    for path, operations in document["paths"].items():
        for method, told in operations.items():
            if path.endswith("/events"):
                continue
            body: st.SearchStrategy[Any] = st.none()
            if "application/json" in told.get("requestBody", {}).get("content", ()):
                fits = like(told["requestBody"]["content"]["application/json"]["schema"], known)
                body = st.builds(
                    spoilt,
                    fits,
                    st.sampled_from(["number", "controller", "why", "x"]),
                    _ANY,
                    st.integers(0, 5),
                )
            query = {
                one["name"]: st.one_of(like(one["schema"], known), _ANY)
                for one in told["parameters"]
                if one["in"] == "query"
            }
            each.append(
                st.tuples(
                    st.just(method.upper()),
                    st.just(path),
                    body,
                    st.sampled_from(HEADERS),
                    st.fixed_dictionaries({}, optional=query),
                )
            )
    return st.one_of(each)


def somewhere(path: str) -> str:
    return (
        path.replace("{reference}", reference_of_this_year(1))
        .replace("{id}", "00000000-0000-4000-8000-000000000000")
        .replace("{number}", "1")
    )


async def test_a_compressed_body_is_answered_with_something_that_is_not_described(api: Api) -> None:
    document = (await api.ask("GET", "/openapi.json", role=None)).json
    asked = [(path, method) for path, operations in document["paths"].items() for method in operations]
    for path, method in asked:
        answer = await api.ask(
            method.upper(),
            somewhere(path),
            data=b"{}",
            headers={"content-encoding": "gzip", "connection": "close"},
            role=Role.DPO,
        )
        answer.problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        assert str(answer.status) in document["paths"][path][method]["responses"], (method, path)
    assert asked


async def test_what_is_answered_is_not_described_or_a_failure_of_ours(api: Api, tmp_path: Path) -> None:
    # it is left to chance whether a drawn request exists, and its evidence is asked for
    SigningKeys(tmp_path / "keys").create()
    document = (await api.ask("GET", "/openapi.json", role=None)).json
    drawn: list[tuple[str, str, Any, dict[str, str], dict[str, Any]]] = []

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(asks(document))
    def draw(ask: tuple[str, str, Any, dict[str, str], dict[str, Any]]) -> None:
        drawn.append(ask)

    await asyncio.to_thread(draw)
    seen: set[int] = set()
    for method, path, body, headers, query in drawn:
        url = somewhere(path)
        if query:
            url += "?" + "&".join(
                f"{name}={quote(str(value), errors='replace')}" for name, value in query.items()
            )
        data = None if method == "GET" else json.dumps(body).encode()
        # a body that is not gzip, and was refused unread, ends the connection
        answer = await api.ask(
            method, url, data=data, headers={**headers, "connection": "close"}, role=Role.DPO
        )
        sent = (method, url, body, headers, answer)
        seen.add(answer.status)
        assert str(answer.status) in document["paths"][path][method.lower()]["responses"], sent
        assert answer.status < 500 or (
            answer.status == HTTPStatus.SERVICE_UNAVAILABLE and "not possible here" in answer.text
        ), sent
        if answer.status >= 400:
            answer.problem(answer.status)
    assert {200, 422} <= seen


async def test_a_method_that_is_not_described_does_something_or_fails(api: Api) -> None:
    document = (await api.ask("GET", "/openapi.json", role=None)).json
    paths = [
        *map(somewhere, document["paths"]),
        "/healthz",
        "/readyz",
        "/openapi.json",
        f"/v1/{DIGITS}",
        f"/{DIGITS}",
        "/v1",
        "/",
    ]
    described = {somewhere(path): {each.upper() for each in told} for path, told in document["paths"].items()}
    for path in paths:
        for method in METHODS:
            known = described.get(
                path, {"GET", "HEAD"} if path in {"/healthz", "/readyz", "/openapi.json", "/"} else set()
            )
            if method in known:
                continue
            answer = await api.ask(method, path, {} if method == "POST" else None)
            assert answer.status in {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_FOUND}, (
                method,
                path,
                answer,
            )
            if method != "HEAD":
                answer.problem(answer.status)
            assert DIGITS not in answer.text


async def test_a_line_that_is_too_long_is_answered_as_nothing_describes(api: Api) -> None:
    document = (await api.ask("GET", "/openapi.json", role=None)).json
    answer = await api.ask("GET", f"/v1/webhooks?state={'x' * 10_000}", role=Role.DPO)
    assert answer.status == HTTPStatus.BAD_REQUEST
    assert str(answer.status) in document["paths"]["/v1/webhooks"]["get"]["responses"]
