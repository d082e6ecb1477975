"""What one token takes as often as it can leaves enough for the others."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus

import aiohttp
import pytest

from ccari.keyring.secrets import SecretStore
from ccari.policy.rights import RequestState, Right
from ccari.ports.access import Role
from ccari.ports.requests import Clock, Handling
from ccari.recordings.evidence.keys import SigningKeys
from ccari.store.opened import Store
from ccari.web import connections, downloads, endpoint, events, pace, uploads
from ccari.web.endpoint import AT_ONCE, LONG_AT_ONCE_OF_ONE
from ccari.web.front import Front
from tests.lab.waiting import until
from tests.unit.store import made
from tests.unit.store.server import connected
from tests.unit.store.test_requests import letter
from tests.unit.web.api import AS_WRITTEN, Api, serving
from tests.unit.web.coming_in import lists_coming_in
from tests.unit.web.console.browsing import Visitor, browser, signed_in

SECONDS = 60.0
#: More than the kernel takes in, twice.
PACKED_BYTES = 8 << 20
GATE = {"number": AS_WRITTEN, "campaign": "renewals"}


@contextlib.asynccontextmanager
async def waiting(
    dsn: str, session: aiohttp.ClientSession, url: str, headers: dict[str, str], count: int
) -> AsyncIterator[None]:
    """That many requests for recordings, whose table is locked. At the end, those that were refused are as many as there may not be."""

    async def ask() -> int:
        async with session.get(url, headers=headers, allow_redirects=False) as answer:
            return answer.status

    async with connected(dsn) as other, asyncio.timeout(SECONDS):

        async def all_turns_are_taken() -> bool:
            waiting_for_it: int = await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted")
            return waiting_for_it >= AT_ONCE

        async with asyncio.TaskGroup() as asking, other.transaction():
            await other.execute("LOCK TABLE recordings IN ACCESS EXCLUSIVE MODE")
            asked = [asking.create_task(ask()) for _ in range(count)]
            await until(all_turns_are_taken, within=SECONDS)
            yield
    refused = count - endpoint.MOST_REQUESTS_OF_ONE
    statuses = sorted(each.result() for each in asked)
    assert statuses == [HTTPStatus.OK] * (count - refused) + [HTTPStatus.SERVICE_UNAVAILABLE] * refused


@pytest.mark.parametrize("path", ["/v1/recordings", "/console/recordings"])
async def test_one_token_that_asks_and_asks_keeps_the_diallers_from_the_gate(
    store: Store, front: Front, dsn: str, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """It took every place with requests that waited for a turn."""
    monkeypatch.setattr(endpoint, "MOST_REQUESTS", 8)
    monkeypatch.setattr(endpoint, "MOST_REQUESTS_OF_ONE", 6)
    monkeypatch.setattr("ccari.web.turns.TURN_SECONDS", SECONDS)
    async with serving(store, front) as api, browser() as session:
        visitor = await signed_in(api, Visitor(api.url, session), Role.AUDITOR)
        headers = {
            "authorization": f"Bearer {await api.of(Role.AUDITOR)}", "cookie": f"ccari_session={visitor.cookie}",
        }  # fmt: skip
        await api.of(Role.DIALER)
        async with waiting(dsn, api.session, api.url + path, headers, 8):
            assert (await api.ask("POST", "/v1/gate", GATE, role=Role.DIALER)).status == HTTPStatus.OK


async def test_one_token_that_watches_agent_after_agent_keeps_the_others_from_watching(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_STREAMS", 4)
    monkeypatch.setattr(events, "MOST_STREAMS_OF_ONE", 3)
    watched = []
    async with contextlib.AsyncExitStack() as open_streams, asyncio.timeout(SECONDS):
        for role, agent in [(Role.DIALER, f"agent{each}") for each in range(4)] + [(Role.AGENT, "anna")]:
            stream = api.session.get(
                f"{api.url}/v1/agents/{agent}/events",
                headers={"authorization": f"Bearer {await api.of(role)}"},
            )
            watched.append((await open_streams.enter_async_context(stream)).status)
    assert watched == [200, 200, 200, 503, 200]


async def test_what_is_left_of_lists_fills_the_memory_until_somebody_reads_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty megabytes of each stayed there, and the next could be sent at once."""
    never_cut_off(monkeypatch)
    # more than the kernel takes in
    listed = b"number,text\n" + b"600100001,%b\n" % (b"x" * 4000) * 3000
    head = (
        f"POST /v1/contacts/scrub?campaign=renewals HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {await api.of(Role.OPS)}\r\n"
        f"content-type: text/csv\r\ncontent-length: {len(listed)}\r\n\r\n"
    )
    assert await unread(api, head.encode() + listed) == [b"200"] * LONG_AT_ONCE_OF_ONE + [b"503"]


async def test_packs_of_evidence_fill_the_memory_until_somebody_reads_them(
    api: Api, front: Front, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_cut_off(monkeypatch)
    assert isinstance(front.secrets, SecretStore)
    SigningKeys(front.secrets.folder).create()
    # random, so that it cannot be compressed
    long = Handling("cli:anna", Clock(datetime.now(UTC), {}), secrets.token_hex(PACKED_BYTES))
    reference = await store.requests.add("acme", letter(Right.ACCESS), made.digests())
    await store.requests.step(reference, RequestState.IN_PROGRESS, long)
    head = f"GET /v1/evidence/requests/{reference} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {await api.of(Role.DPO)}\r\n\r\n"
    assert await unread(api, head.encode()) == [b"200"] * LONG_AT_ONCE_OF_ONE + [b"503"]


def never_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is."""
    monkeypatch.setattr("ccari.web.turns.TURN_SECONDS", 0.1)
    for module, seconds in [
        (pace, "GRACE_SECONDS"), (downloads, "WRITE_SECONDS"), (uploads, "PIECE_SECONDS"), (connections, "UNREAD_SECONDS"),
    ]:  # fmt: skip
        monkeypatch.setattr(module, seconds, SECONDS)


async def unread(api: Api, request: bytes) -> list[bytes]:
    """The statuses of as many answers as one token may have at a time, and one more, none of which is read."""
    async with contextlib.AsyncExitStack() as connections, asyncio.timeout(SECONDS):
        answers, opened = [], []
        for _ in range(LONG_AT_ONCE_OF_ONE + 1):
            near = socket.socket()
            near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            near.connect(("127.0.0.1", int(api.url.rpartition(":")[2])))
            opened.append(await asyncio.open_connection(sock=near))
            reader, writer = opened[-1]
            connections.callback(writer.transport.abort)
            writer.write(request)
            answers.append((await reader.readline()).split()[1])
    return answers


async def test_one_token_whose_lists_take_hours_keeps_others_from_importing_one(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PIECE_SECONDS", SECONDS)
    monkeypatch.setattr(pace, "GRACE_SECONDS", SECONDS)
    one = [Role.OPS] * LONG_AT_ONCE_OF_ONE
    async with asyncio.timeout(SECONDS), lists_coming_in(api, monkeypatch, one):
        monkeypatch.setattr("ccari.web.turns.TURN_SECONDS", 0.1)
        assert await given(api, Role.OPS) == HTTPStatus.SERVICE_UNAVAILABLE
        assert await given(api, Role.DPO) == HTTPStatus.OK


async def given(api: Api, role: Role) -> int:
    """The answer to a short list."""
    path, headers = "/v1/suppressions/import?controller=acme", {"content-type": "text/plain"}
    answer = await api.ask("POST", path, role=role, data=b"600100002\n", headers=headers)
    return answer.status
