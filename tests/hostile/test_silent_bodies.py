"""Bodies that are announced and never arrive do not hold up any other request."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus

import aiohttp
import pytest

from ccari.ports.access import Role
from ccari.store.opened import Store
from ccari.web import endpoint
from ccari.web.console.signing_in import MOST_SIGN_INS_OF_ONE
from ccari.web.console.window import SIGN_IN
from ccari.web.endpoint import AT_ONCE, LONG_AT_ONCE, MOST_BODIES_OF_ONE
from ccari.web.front import Front
from tests.unit.web.api import AS_WRITTEN, Api, serving
from tests.unit.web.console.browsing import Visitor, browser, signed_in

SECONDS = 20.0
FORM, WITH_A_FILE = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
RECORDING = "00000000-0000-4000-8000-000000000000"


@contextlib.asynccontextmanager
async def silent(api: Api, path: str, count: int, headers: str = "", kind: str = FORM) -> AsyncIterator[None]:
    """That many forms that are waited for: each client asked to send its body (Expect), and was told to go on."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\n{headers}content-type: {kind}\r\ncontent-length: 10\r\n"
        "expect: 100-continue\r\n\r\n"
    )
    opened = []
    try:
        for _ in range(count):
            opened.append(await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2])))
            reader, writer = opened[-1]
            writer.write(head.encode())
            async with asyncio.timeout(SECONDS):
                assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        yield
    finally:
        for _, writer in opened:
            writer.transport.abort()


async def test_who_has_no_token_keeps_the_diallers_from_the_gate(
    store: Store, front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "MOST_REQUESTS", MOST_SIGN_INS_OF_ONE)
    async with serving(store, front) as api, silent(api, SIGN_IN, MOST_SIGN_INS_OF_ONE):
        asked = {"number": AS_WRITTEN, "campaign": "renewals"}
        assert (await api.ask("POST", "/v1/gate", asked, role=Role.DIALER)).status == HTTPStatus.OK
        # nor are there ever more of them
        more = await api.ask("POST", SIGN_IN, role=None, data=b"token=x", headers={"content-type": FORM})
        assert (more.status, more.headers["retry-after"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "1")


async def test_who_has_no_token_keeps_people_elsewhere_from_signing_in(api: Api) -> None:
    elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with (
        silent(api, SIGN_IN, MOST_SIGN_INS_OF_ONE),
        aiohttp.ClientSession(connector=elsewhere, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        assert (await signed_in(api, Visitor(api.url, session), Role.AGENT)).cookie


@pytest.mark.parametrize(
    ("role", "form", "kind", "count", "asked"),
    [
        (Role.AGENT, "/console/sign-out", FORM, AT_ONCE, "/v1/requests"),
        (Role.DPO, "/console/requests/ACME-2026-000001/subject/export", FORM, LONG_AT_ONCE, "/v1/requests/export.csv"),
        (Role.DPO, f"/console/recordings/{RECORDING}/play", WITH_A_FILE, LONG_AT_ONCE, "/v1/requests/export.csv"),
    ],
    ids=["signing out", "an export", "listening"],
)  # fmt: skip
async def test_forms_that_never_come_have_their_turn_while_others_wait(
    api: Api, monkeypatch: pytest.MonkeyPatch, role: Role, form: str, kind: str, count: int, asked: str
) -> None:
    async with browser() as session:
        cookie = (await signed_in(api, Visitor(api.url, session), role)).cookie
        monkeypatch.setattr("ccari.web.turns.TURN_SECONDS", 0.1)
        async with silent(api, form, count, f"cookie: ccari_session={cookie}\r\n", kind):
            # once for each of them, whose client may still be identified
            for _ in range(count):
                assert (await api.ask("GET", asked)).status == HTTPStatus.OK


@pytest.mark.parametrize("form", [None, "/console/sign-out"], ids=["the API", "the console"])
async def test_one_token_whose_bodies_never_come_keeps_the_diallers_from_the_gate(
    store: Store, front: Front, monkeypatch: pytest.MonkeyPatch, form: str | None
) -> None:
    """It took all places again and again, each for as long as a body may take."""
    monkeypatch.setattr(endpoint, "MOST_REQUESTS", most := MOST_BODIES_OF_ONE + 2)
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 600.0)
    monkeypatch.setattr("ccari.web.console.forms.BODY_SECONDS", 600.0)
    asked = {"number": AS_WRITTEN, "campaign": "renewals"}
    async with serving(store, front) as api, browser() as session:
        if form is None:
            path, kind, header = (
                "/v1/suppressions",
                "application/json",
                f"authorization: Bearer {await api.of(Role.OPS)}",
            )
        else:
            visitor = await signed_in(api, Visitor(api.url, session), Role.AGENT)
            path, kind, header = form, FORM, f"cookie: ccari_session={visitor.cookie}"
        async with silent(api, path, most, f"{header}\r\n", kind), asyncio.timeout(SECONDS):
            # those above the limit are refused once their token is known
            while (await api.ask("POST", "/v1/gate", asked, role=Role.DIALER)).status != HTTPStatus.OK:  # noqa: ASYNC110 - a server's
                await asyncio.sleep(0.01)
            # and a complete request is not held up by the same token's others
            told = await api.ask("GET", "/v1/campaigns", role=Role.OPS)
            assert told.status == HTTPStatus.OK
