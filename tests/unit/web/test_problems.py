"""Errors: always a problem document, with each fault and its place, and never a number or a traceback."""

import asyncio
import io
import json
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest
from structlog.testing import capture_logs

from ccari import log
from ccari.errors import ConfigError, StoreError
from ccari.ports.access import Role
from ccari.store.opened import Store
from ccari.web.front import Front
from ccari.web.problems import BODY_BYTES
from tests.lab.waiting import until
from tests.unit.web.api import AS_WRITTEN, NUMBER, SECONDS, Api, serving

GATE = "/v1/gate"
GOOD = {"number": NUMBER, "campaign": "renewals"}


async def test_what_is_not_there_or_not_so_is_told_otherwise_than_as_a_problem(api: Api) -> None:
    (await api.ask("GET", f"/{NUMBER}")).problem(HTTPStatus.NOT_FOUND)
    (await api.ask("GET", f"/v1/calls/{NUMBER}")).problem(HTTPStatus.NOT_FOUND)
    (await api.ask("GET", f"/v1/requests/{NUMBER}")).problem(HTTPStatus.NOT_FOUND)
    (await api.ask("POST", "/v1/requests/ACME-2026-000001/start")).problem(HTTPStatus.NOT_FOUND)
    wrong = await api.ask("PUT", GATE, {})
    wrong.problem(HTTPStatus.METHOD_NOT_ALLOWED)
    assert wrong.headers["allow"] == "POST"
    assert wrong.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b" " * (BODY_BYTES + 1), "application/json", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (b"{" + NUMBER.encode(), "application/json", HTTPStatus.BAD_REQUEST),
        (b"\xff\xfe", "application/json", HTTPStatus.BAD_REQUEST),
        (b"number=" + NUMBER.encode(), "application/x-www-form-urlencoded", HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        (json.dumps(GOOD).encode(), "text/plain", HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        (b'"' + NUMBER.encode() + b'"', "application/json", HTTPStatus.UNPROCESSABLE_ENTITY),
        (b"[" * 30_000, "application/json", HTTPStatus.BAD_REQUEST),
        (b"", "application/json", HTTPStatus.UNPROCESSABLE_ENTITY),
    ],
)  # fmt: skip
async def test_an_invalid_body_is_accepted_or_refused_in_unclear_words(
    api: Api, data: bytes, kind: str, status: int
) -> None:
    (await api.ask("POST", GATE, data=data, headers={"content-type": kind})).problem(status)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"#/number", "#/campaign"}),
        ({"number": 48600100001, "campaign": None}, {"#/number", "#/campaign"}),
        ({**GOOD, NUMBER: 1, AS_WRITTEN: 2}, {"#"}),
        ({**GOOD, "number": NUMBER * 9}, {"#/number"}),
        ({**GOOD, "campaign": "a\nb"}, {"#/campaign"}),
    ],
)
async def test_a_fault_is_left_out_or_quotes_what_it_is_about(
    api: Api, body: dict[str, Any], pointers: set[str]
) -> None:
    told = (await api.ask("POST", GATE, body)).problem(HTTPStatus.UNPROCESSABLE_ENTITY)
    assert {each["pointer"] for each in told["errors"]} == pointers
    assert all(each["detail"] for each in told["errors"])


async def test_a_parameter_that_is_wrong_is_ignored(api: Api) -> None:
    for query, parameter in (
        ("limit=0", "limit"), ("limit=501", "limit"), ("limit=1&limit=2", "limit"), ("since=yesterday", "since"),
        ("since=0001-01-01T00:00:00%2B14:00", "since"), ("since=2026-01-01T00:00:00", "since"), ("after=x", "after"),
        ("after=WzEsMl0", "after"), ("campaign=a%00b", "campaign"),
    ):  # fmt: skip
        told = (await api.ask("GET", f"/v1/calls?{query}")).problem(HTTPStatus.UNPROCESSABLE_ENTITY)
        assert [each.get("parameter") for each in told["errors"]] == [parameter], query


async def test_a_parameter_that_is_not_known_is_ignored_or_quoted(api: Api) -> None:
    for path in (
        "/v1/calls",
        "/v1/suppressions",
        "/v1/requests",
        "/v1/calls/00000000-0000-4000-8000-000000000000",
    ):
        (await api.ask("GET", f"{path}?number={NUMBER}&600100001=1")).problem(HTTPStatus.UNPROCESSABLE_ENTITY)


async def test_what_fails_tells_its_insides_or_is_not_logged(store: Store, front: Front) -> None:
    class Broken:
        error: Exception

        async def facts_and_bearer(self, *_: object) -> Any:
            raise self.error

    broken = Broken()
    async with serving(store, replace(front, facts=broken)) as api:
        for error, status, event in (
            (
                StoreError(f"the database at db.example is away {NUMBER}"),
                HTTPStatus.SERVICE_UNAVAILABLE,
                "database_away",
            ),
            (ConfigError("cannot read /etc/secret"), HTTPStatus.INTERNAL_SERVER_ERROR, "http_unfit"),
            (RuntimeError(f"{NUMBER} broke it"), HTTPStatus.INTERNAL_SERVER_ERROR, "http_failed"),
        ):
            broken.error = error
            with capture_logs() as logs:
                answer = await api.ask("POST", GATE, GOOD)
            answer.problem(status)
            assert "db.example" not in answer.text
            assert "secret" not in answer.text
            assert [each["event"] for each in logs] == [event, "http_request"]
        assert any("test_problems.py" in each for each in logs[0]["where"])
        assert NUMBER not in str(logs)


async def test_a_request_is_not_logged_or_a_number_in_it_is(api: Api) -> None:
    path = f"/v1/calls/{NUMBER}"
    with capture_logs() as logs:
        await api.ask("POST", GATE, GOOD)
        await api.ask("GET", path)
        await api.ask("GET", f"/{NUMBER}?{AS_WRITTEN.replace(' ', '')}")
        await api.ask("GET", "/v1/calls", role=None)
    told = [each for each in logs if each["event"] == "http_request"]
    assert [(each["method"], each["route"], each["status"], each["token"]) for each in told] == [
        ("POST", "/v1/gate", 200, "the-dpo"), ("GET", "/v1/calls/{id}", 404, "the-dpo"), ("GET", None, 404, None),
        ("GET", "/v1/calls", 401, None),
    ]  # fmt: skip
    assert all(isinstance(each["ms"], int) for each in told)
    assert "600100001" not in str(logs)


@pytest.fixture
def said(logging_as_before: None) -> io.StringIO:
    """Everything that is logged, as a service logs it."""
    stream = io.StringIO()
    log.configure("json", "debug", stream)
    return stream


async def test_what_is_no_http_at_all_is_logged_as_it_came(api: Api, said: io.StringIO) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    lines = (
        f"{NUMBER}\r\n\r\n", f"GET /{NUMBER} HTTP/9.9\r\n\r\n", f"GET /x HTTP/1.1\r\n{NUMBER}\r\n\r\n",
        f"GET http://[{NUMBER} HTTP/1.1\r\nhost: x\r\n\r\n", f"{NUMBER} / HTTP/1.1\r\nhost: x\r\n\r\n",
    )  # fmt: skip
    for each in lines:
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(each.encode())
        writer.write_eof()
        async with asyncio.timeout(SECONDS):
            answer = await reader.read()
        writer.close()
        assert b"Traceback" not in answer
        assert b" 500 " not in answer
    assert "600100001" not in said.getvalue()
    assert "Error handling request" in said.getvalue()
    await api.ask("GET", "/healthz", role=None)
    assert json.loads(said.getvalue().splitlines()[-1])["route"] == "/healthz"


async def test_a_body_that_never_comes_holds_a_place(
    store: Store, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccari.web.endpoint.BODY_SECONDS", 0.1)
    async with serving(store, front) as api:
        token = await api.of(Role.DPO)
        host, port = api.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {GATE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}content-length: 10\r\n\r\n{{".encode())
        async with asyncio.timeout(SECONDS):
            assert b" 408 " in await reader.readline()
        writer.close()


class Hanging:
    """Looks at numbers until it may ``go_on``; ``inside`` counts them."""

    def __init__(self) -> None:
        self.go_on, self.inside = asyncio.Event(), asyncio.Semaphore(0)

    async def facts_and_bearer(self, *_: object) -> Any:
        self.inside.release()
        await self.go_on.wait()
        raise StoreError("at last")

    async def has(self, looks: int) -> None:
        async with asyncio.timeout(SECONDS):
            for _ in range(looks):
                await self.inside.acquire()


async def test_a_dialler_holds_up_whoever_works_or_its_own_gates(
    store: Store, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its gates are asked about together: if one waits for the database, so do all its others, but nobody else."""
    monkeypatch.setattr("ccari.web.endpoint.AT_ONCE", 2)
    hanging = Hanging()
    async with serving(store, replace(front, facts=hanging)) as api:
        token = await api.of(Role.DIALER)
        asking = [asyncio.create_task(api.ask("POST", GATE, GOOD, token=token)) for _ in range(10)]
        await hanging.has(len(asking))
        monkeypatch.setattr("ccari.web.turns.TURN_SECONDS", 0.1)
        assert (await api.ask("GET", "/v1/calls")).status == HTTPStatus.OK
        hanging.go_on.set()
        await asyncio.gather(*asking)


async def test_more_requests_than_there_is_room_for_wait_for_ever(
    store: Store, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are being worked on hang; the others are told so, within a bound."""
    monkeypatch.setattr("ccari.web.endpoint.AT_ONCE", 2)
    hangs = Hanging()
    async with serving(store, replace(front, facts=hangs)) as api:
        token = await api.of(Role.DPO)
        hanging = [asyncio.create_task(api.ask("POST", GATE, GOOD, token=token)) for _ in range(2)]
        await hangs.has(len(hanging))
        monkeypatch.setattr("ccari.web.turns.TURN_SECONDS", 0.1)
        late = await api.ask("POST", GATE, GOOD)
        late.problem(HTTPStatus.SERVICE_UNAVAILABLE)
        assert late.headers["retry-after"] == "1"
        hangs.go_on.set()
        for each in await asyncio.gather(*hanging):
            each.problem(HTTPStatus.SERVICE_UNAVAILABLE)
    monkeypatch.setattr("ccari.web.endpoint.MOST_REQUESTS", 0)
    async with serving(store, front) as api:
        (await api.ask("POST", GATE, GOOD)).problem(HTTPStatus.SERVICE_UNAVAILABLE)


async def test_whoever_goes_away_while_they_send_a_form_is_logged_as_an_error(
    api: Api, said: io.StringIO
) -> None:
    """A browser does this at each double click."""
    host, port = api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /console/sign-in HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
        b"content-type: application/x-www-form-urlencoded\r\ncontent-length: 500\r\n\r\n"
    )
    async with asyncio.timeout(SECONDS):
        assert b" 100 " in await reader.readline()
    writer.write(b"token=half")
    writer.transport.abort()
    await until(
        lambda: any(each in said.getvalue() for each in ("http_request", "library_message")), within=SECONDS
    )
    assert "library_message" not in said.getvalue()
