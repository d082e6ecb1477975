"""Channels of an earlier run to which something may still be playing: Asterisk sets a channel's variables, and takes it
out of a bridge, only between two prompts, and serves the requests of one WebSocket one after the other.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest
import pytest_asyncio

from ccari.calls import transport as transports
from ccari.calls.admission import Admission
from ccari.calls.ari import Ari
from ccari.calls.desk import Desk
from ccari.calls.recovery import recover
from ccari.calls.strays import AT_ONCE
from ccari.calls.switchboard import Switchboard
from ccari.calls.transport import Credentials, LinkLost, Refused, Transport, connect
from tests.unit.calls.ari_server import AriServer, Message

WITHIN_SECONDS = 30.0
READ = "GET channels/x/variable"
CALLER = "PJSIP/trunk-0000001"
TOLD = {"variable": "ARRAY(CCARI_OUTCOME,CCARI_REASON)", "value": "unavailable,service_away"}


class Asterisk:
    """An Asterisk with a caller to whom an earlier run plays, until the server ``is_quiet``; with ARI's operations as
    asyncari offers them.
    """

    def __init__(self, server: AriServer, transport: Transport) -> None:
        self.server = server
        self.transport = transport
        self.bodies: dict[str, object] = {
            "applications/ccari": {"channel_ids": [CALLER]},
            "bridges": [],
            "channels/x/variable": {"value": "callee_hangup"},
        }
        server.answer = self.answer

    async def answer(self, request: Message) -> None:
        if request["uri"].endswith("/variable") and request["method"] == "POST":
            await self.server.is_quiet.wait()
        await self.server.reply(request, body=self.bodies.get(request["uri"]))

    def __getattr__(self, _: str) -> "Asterisk":
        return self

    @property
    def asked(self) -> list[str]:
        return [f"{each['method']} {each['uri']}" for each in self.server.requests]

    async def _request(self, method: str, uri: str) -> Any:
        return await self.transport.request(method, f"http://pbx/ari/{uri}")

    async def setChannelVar(self, **_: Any) -> Any:  # noqa: N802 - ARI's name
        return await self._request("POST", "channels/x/variable")

    async def getChannelVar(self, **_: Any) -> Any:  # noqa: N802
        return await self._request("GET", "channels/x/variable")

    async def continueInDialplan(self, **_: Any) -> Any:  # noqa: N802
        return await self._request("POST", "channels/x/continue")

    async def get(self, **_: Any) -> Any:
        return await self._request("GET", "applications/ccari")

    async def list(self) -> Any:
        return await self._request("GET", "bridges")


@pytest_asyncio.fixture
async def transport(server: AriServer) -> AsyncIterator[Transport]:
    async with aiohttp.ClientSession() as session, asyncio.timeout(WITHIN_SECONDS):
        made = await connect(session, Credentials(server.url, "ccari", "secret", "ccari"))
        reader = asyncio.create_task(made.read(lambda _: None))
        yield made
        server.is_quiet.set()
        await made.close()
        await reader


@pytest.fixture
def asterisk(server: AriServer, transport: Transport) -> Asterisk:
    return Asterisk(server, transport)


@pytest.fixture
def desk(server: AriServer, asterisk: Asterisk) -> Desk:
    async def none(*_: Any, **__: Any) -> list[Any]:
        return []

    ari = Ari(asterisk, asterisk.transport, Credentials(server.url, "ccari", "secret", "ccari"))
    rows = SimpleNamespace(
        clock=none, left_talks=none, unfinished=none, waiting_on=none, close_abandoned=none
    )
    return cast("Desk", SimpleNamespace(ari=ari, store=rows, recordings=rows, asterisk="pbx"))


async def test_invariant_5_stock_is_taken_only_when_a_prompt_of_the_earlier_run_is_over(
    desk: Desk, asterisk: Asterisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then the connection counts as dead, and the keys that came over it are lost with it."""
    monkeypatch.setattr(transports, "REQUEST_SECONDS", 0.5)
    found = await recover(desk, set)
    assert (found.handed_over, found.counts["swept_channels"]) == ([CALLER], 1)
    assert asterisk.asked == ["GET bridges", "GET applications/ccari", "GET bridges"]


async def test_a_caller_who_is_still_played_to_holds_up_all_other_calls(
    desk: Desk, asterisk: Asterisk, server: AriServer
) -> None:
    board = Switchboard(Admission(1000))
    board.give_back([CALLER], desk)
    assert await asyncio.wait_for(server.told.get(), WITHIN_SECONDS) == (CALLER, TOLD)
    await desk.ari.bridges()
    assert asterisk.asked == [READ, "GET bridges"]
    server.is_quiet.set()
    await board.drain()
    assert asterisk.asked == [READ, "GET bridges", "POST channels/x/continue"]
    # asked of an Asterisk that counts its sessions
    assert server.handshakes[-1].headers["Connection"] == "close"


async def test_a_callee_who_is_still_played_to_holds_up_all_other_calls_before_their_last_words(
    desk: Desk, asterisk: Asterisk, server: AriServer
) -> None:
    async with asyncio.TaskGroup() as tasks:
        parted = tasks.create_task(desk.ari.take_from_bridge("talk", "callee", beside=True))
        assert await asyncio.wait_for(server.told.get(), WITHIN_SECONDS) == ("talk", {"channel": "callee"})
        await desk.ari.bridges()
        assert not parted.done()
        # they have hung up meanwhile
        server.beside_status = HTTPStatus.UNPROCESSABLE_ENTITY
        server.is_quiet.set()
    assert asterisk.asked == ["GET bridges"]


async def test_many_callers_who_are_still_played_to_are_told_all_at_once_or_one_who_finds_no_room_waits_for_them(
    desk: Desk, asterisk: Asterisk, server: AriServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = asyncio.Event()

    async def turn_away(_channel: str, _reason: str) -> None:
        turned.set()

    monkeypatch.setattr(desk.ari, "turn_away", turn_away)
    board = Switchboard(Admission(0))
    board.attach(desk)
    board.give_back([f"caller-{each}" for each in range(3 * AT_ONCE)], desk)
    for _each in range(AT_ONCE):
        await asyncio.wait_for(server.told.get(), WITHIN_SECONDS)
    board.take({"type": "StasisStart", "channel": {"id": "another"}, "args": ["inbound", "renewals"]})
    await asyncio.wait_for(turned.wait(), WITHIN_SECONDS)
    assert server.told.empty()
    # some hang up before their turn
    for each in range(AT_ONCE, 2 * AT_ONCE):
        board.take({"type": "StasisEnd", "channel": {"id": f"caller-{each}"}})
    server.is_quiet.set()
    await board.drain()
    assert server.told.qsize() == AT_ONCE
    assert [each for each in asterisk.asked if each != READ] == ["POST channels/x/continue"] * 2 * AT_ONCE


async def test_a_connection_that_is_lost_leaves_requests_of_its_own_behind(
    desk: Desk, asterisk: Asterisk, server: AriServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would bypass the fence, and the next stock-taking would wait for them."""
    board = Switchboard(Admission(1000))
    board.attach(desk)
    board.give_back([f"caller-{each}" for each in range(2 * AT_ONCE)], desk)
    for _each in range(AT_ONCE):
        await asyncio.wait_for(server.told.get(), WITHIN_SECONDS)
    board.detach("asterisk_lost")
    monkeypatch.setattr("ccari.calls.switchboard.DRAIN_SECONDS", 2 * WITHIN_SECONDS)
    async with asyncio.timeout(WITHIN_SECONDS):
        await board.drain()
    assert server.told.empty()
    assert set(asterisk.asked) == {READ}


async def test_a_caller_whose_talk_ended_unwatched_is_put_through_again_as_if_nobody_had_talked_to_them(
    desk: Desk, asterisk: Asterisk, server: AriServer
) -> None:
    """By ``ccari-inbound``, with CCARI_INBOUND_WITHOUT = connect: without notice and unrecorded."""
    asterisk.bodies["channels/x/variable"] = {"value": "bridged"}
    await desk.ari.give_back(CALLER, "service_away")
    assert asterisk.asked[-1] == "POST channels/x/continue"
    assert server.told.empty()


async def test_a_password_that_was_changed_is_noticed_only_by_what_is_asked_over_the_websocket(
    server: AriServer, transport: Transport
) -> None:
    server.beside_status = HTTPStatus.UNAUTHORIZED
    server.is_quiet.set()
    with pytest.raises(LinkLost):
        await transport.post_beside(f"{server.url}/ari/channels/x/variable", TOLD, WITHIN_SECONDS)
    assert transport.shut_out.is_set()


@pytest.mark.parametrize("status", [HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR])
async def test_a_caller_who_cannot_be_told_is_left_in_silence(
    desk: Desk, asterisk: Asterisk, server: AriServer, status: HTTPStatus
) -> None:
    server.beside_status = status
    server.is_quiet.set()
    await desk.ari.give_back(CALLER, "service_away")
    assert asterisk.asked == [READ, "POST channels/x/continue"]


async def test_a_request_beside_the_connection_fails_as_no_other_does_or_tells_of_a_number(
    server: AriServer, transport: Transport
) -> None:
    url = f"{server.url}/ari/channels/caller-1/variable"
    with pytest.raises(LinkLost, match="no answer to POST channels/variable"):
        await transport.post_beside(url, TOLD, 0.2)
    server.is_quiet.set()
    server.beside_status = 404
    with pytest.raises(Refused, match="Channel not found") as refused:
        await transport.post_beside(url, TOLD, WITHIN_SECONDS)
    assert refused.value.status == HTTPStatus.NOT_FOUND
    with pytest.raises(LinkLost):
        await transport.post_beside("http://127.0.0.1:1/ari/channels/x/variable", TOLD, WITHIN_SECONDS)
    asked = server.told.qsize()
    transport.fence()
    with contextlib.suppress(LinkLost):
        await transport.post_beside(url, TOLD, WITHIN_SECONDS)
    assert server.told.qsize() == asked
