"""The WebSocket that carries requests and events: what a peer can do to it, and what must never be on it."""

import asyncio
import contextlib
from base64 import b64encode
from collections.abc import AsyncIterator
from io import StringIO
from typing import Any

import aiohttp
import pytest

from ccari import log
from ccari.calls import transport as transports
from ccari.calls.identity import identify
from ccari.calls.transport import Credentials, LinkLost, Refused, Transport, connect
from ccari.errors import AsteriskError, UnsuitableError
from tests.unit.calls.ari_server import AriServer, Message

PASSWORD = "s3cret-p4ssword"  # noqa: S105 - of the test's own server
WITHIN_SECONDS = 30.0


class Line:
    """A transport under test, with its reader running, and the events that it passed on."""

    def __init__(self) -> None:
        self.events: list[Message] = []
        self.heard = asyncio.Event()

    def take(self, event: Message) -> None:
        self.events.append(event)
        self.heard.set()
        if event["type"] == "Raise":
            raise RuntimeError("a handler's fault")

    @contextlib.asynccontextmanager
    async def open(self, server: AriServer) -> AsyncIterator[Transport]:
        async with aiohttp.ClientSession() as session, asyncio.timeout(WITHIN_SECONDS):
            opened = await connect(session, credentials(server))
            reader = asyncio.create_task(opened.read(self.take))
            try:
                yield opened
            finally:
                await opened.close()
                await reader


def credentials(server: AriServer) -> Credentials:
    return Credentials(server.url, "ccari", PASSWORD, "ccari")


async def get(transport: Transport, uri: str, **params: Any) -> Any:
    return (await transport.request("GET", f"http://any/ari/{uri}", params)).json()


async def test_the_password_is_in_the_url(server: AriServer) -> None:
    async with aiohttp.ClientSession() as session:
        await identify(session, credentials(server))
    async with Line().open(server) as transport:
        await transport.request("POST", f"{server.url}/ari/channels/7/answer", {"a": True})
    basic = "Basic " + b64encode(f"ccari:{PASSWORD}".encode()).decode()
    for handshake in server.handshakes:
        assert handshake.headers["Authorization"] == basic
        assert PASSWORD not in str(handshake.url)
        assert "api_key" not in handshake.query
    assert PASSWORD not in str(server.requests)
    assert PASSWORD not in repr(credentials(server))


async def test_more_than_one_connection_is_opened_for_a_hundred_requests(server: AriServer) -> None:
    async with Line().open(server) as transport:
        await asyncio.gather(*(transport.request("GET", "http://any/ari/x") for _ in range(100)))
        assert len(server.requests) == 100
    assert len(server.handshakes) == 1


async def test_a_silent_asterisk_passes_for_one_that_answers_or_one_that_speaks_is_asked(
    server: AriServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "LATELY_SECONDS", WITHIN_SECONDS)
    line = Line()
    async with line.open(server) as transport:
        assert await transport.answers(within=WITHIN_SECONDS)
        assert await transport.answers(within=WITHIN_SECONDS)
        assert [each["uri"] for each in server.requests] == ["asterisk/ping"]

        async def ignore(_: Message) -> None:
            pass

        server.answer = ignore
        monkeypatch.setattr(transports, "LATELY_SECONDS", 0.0)
        assert not await transport.answers(within=0.0)
        monkeypatch.setattr(transports, "LATELY_SECONDS", WITHIN_SECONDS)
        # an event tells as much as an answer
        await server.send({"type": "ChannelVarset"})
        await line.heard.wait()
        assert await transport.answers(within=WITHIN_SECONDS)
        assert len(server.requests) == 2
        transport.fence()
        assert not await transport.answers(within=WITHIN_SECONDS)


@pytest.mark.parametrize("status", [401, 403])
async def test_an_asterisk_that_refuses_the_question_passes_for_one_that_takes_calls(
    server: AriServer, status: int
) -> None:
    async def refuse(request: Message) -> None:
        await server.reply(request, status)

    server.answer = refuse
    async with Line().open(server) as transport:
        assert not await transport.answers(within=WITHIN_SECONDS)
        assert transport.shut_out.is_set()


async def test_each_of_those_who_ask_at_once_asks_asterisk(server: AriServer) -> None:
    async with Line().open(server) as transport:
        asked = [transport.answers(within=WITHIN_SECONDS) for _ in range(10)]
        assert await asyncio.gather(*asked) == [True] * 10
    assert len(server.requests) == 1


async def test_replies_out_of_order_reach_another_caller(server: AriServer) -> None:
    waiting: list[Message] = []

    async def keep_back(request: Message) -> None:
        waiting.append(request)
        if len(waiting) == 10:
            for each in reversed(waiting):
                await server.reply(each, body={"of": each["uri"]})

    server.answer = keep_back
    async with Line().open(server) as transport:
        replies = await asyncio.gather(*(get(transport, f"n/{n}") for n in range(10)))
    assert [reply["of"] for reply in replies] == [f"n/{n}" for n in range(10)]


@pytest.mark.parametrize(("status", "told"), [(401, LinkLost), (403, Refused)])
async def test_a_connection_that_may_do_nothing_any_more_passes_for_a_good_one(
    server: AriServer, status: int, told: type[Exception]
) -> None:
    """Asterisk checks user and password again with each request, and goes on sending events."""

    async def refuse(request: Message) -> None:
        await server.reply(request, status)

    async with Line().open(server) as transport:
        await transport.request("GET", "http://any/ari/x")
        assert not transport.shut_out.is_set()
        server.answer = refuse
        with pytest.raises(told):
            await transport.request("GET", "http://any/ari/x")
        assert transport.shut_out.is_set()
        asked = len(server.requests)
        with pytest.raises(LinkLost):
            await transport.request("GET", "http://any/ari/x")
        assert len(server.requests) == asked


@pytest.mark.parametrize(
    "oddity",
    [
        '{"type": "SomethingNew", "channel": 5}',
        '{"no": "type"}',
        "[]",
        "7",
        "null",
        "{",
        "",
        "\x00",
        '{"type": "RESTResponse"}',
        '{"type": "RESTResponse", "request_id": "999", "status_code": 200}',
        '{"type": "Raise"}',
    ],
)
async def test_an_odd_message_ends_the_reader(server: AriServer, oddity: str) -> None:
    """An unknown event, garbage, a reply to nobody, a handler that raises: later replies and events still come."""
    line = Line()
    async with line.open(server) as transport:
        await server.send_text(oddity)
        await server.sockets[-1].send_bytes(b"\x00\x01")
        await transport.request("GET", "http://any/ari/after")
        line.heard.clear()
        await server.send({"type": "StasisStart"})
        await line.heard.wait()
    assert line.events[-1]["type"] == "StasisStart"


async def test_a_repeated_event_is_fatal_or_swallowed(server: AriServer) -> None:
    """An assertion in asyncari fails here."""
    line = Line()
    async with line.open(server) as transport:
        for _ in range(2):
            await server.send({"type": "StasisStart", "channel": {"id": "1"}})
        await transport.request("GET", "http://any/ari/after")
    assert len(line.events) == 2


async def test_a_repeated_reply_answers_the_next_request(server: AriServer) -> None:
    async def twice(request: Message) -> None:
        for _ in range(2):
            await server.reply(request, body={"of": request["uri"]})

    server.answer = twice
    async with Line().open(server) as transport:
        assert [await get(transport, each) for each in ("a", "b")] == [{"of": "a"}, {"of": "b"}]


async def test_a_lost_reply_is_waited_for_for_ever_or_the_request_repeated(
    server: AriServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lose_the_dial(request: Message) -> None:
        if not request["uri"].endswith("dial"):
            await server.reply(request)

    server.answer = lose_the_dial
    async with Line().open(server) as transport:
        with monkeypatch.context() as patch:
            patch.setattr(transports, "REQUEST_SECONDS", 0.2)
            with pytest.raises(LinkLost, match="no answer to POST channels/dial"):
                await transport.request("POST", "http://any/ari/channels/1-2/dial")
        await transport.request("GET", "http://any/ari/still/there")
    assert [each["uri"] for each in server.requests] == ["channels/1-2/dial", "still/there"]


async def test_a_reply_that_comes_too_late_answers_another_request(
    server: AriServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def only_with_the_next(request: Message) -> None:
        if len(server.requests) == 2:
            await server.reply(server.requests[0], body="late")
            await server.reply(request, body="right")

    server.answer = only_with_the_next
    async with Line().open(server) as transport:
        with monkeypatch.context() as patch:
            patch.setattr(transports, "REQUEST_SECONDS", 0.1)
            with pytest.raises(LinkLost):
                await get(transport, "first")
        assert await get(transport, "second") == "right"


async def test_a_request_waits_on_after_the_connection_was_lost(server: AriServer) -> None:
    async def hang_up(request: Message) -> None:
        await server.sockets[-1].close()

    server.answer = hang_up
    async with Line().open(server) as transport:
        with pytest.raises(LinkLost):
            await transport.request("POST", "http://any/ari/channels")
        with pytest.raises(LinkLost):
            await transport.request("POST", "http://any/ari/channels")
    assert len(server.requests) == 1


async def test_anything_is_sent_after_the_fence(server: AriServer) -> None:
    async with Line().open(server) as transport:
        await transport.request("GET", "http://any/ari/before")
        transport.fence()
        for method in ("GET", "POST", "DELETE"):
            with pytest.raises(LinkLost):
                await transport.request(method, "http://any/ari/channels/1")
    assert [each["uri"] for each in server.requests] == ["before"]


async def test_a_refusal_quotes_the_number_or_the_password(server: AriServer) -> None:
    async def refuse(request: Message) -> None:
        await server.reply(
            request, 400, {"message": "Allocation failed: PJSIP/+48600100001@trunk, 48600100002"}
        )

    server.answer = refuse
    async with Line().open(server) as transport:
        with pytest.raises(Refused) as refusal:
            await transport.request(
                "POST", "http://any/ari/channels/create", {"endpoint": "PJSIP/48600100001@trunk"}
            )
    assert str(refusal.value) == (
        "Asterisk refused to POST channels/create: Allocation failed: PJSIP/…@trunk, … (400)"
    )


@pytest.mark.parametrize("body", [None, [], "text", {"message": None}, 5])
async def test_a_refusal_without_words_is_no_refusal(server: AriServer, body: object) -> None:
    async def refuse(request: Message) -> None:
        await server.reply(request, 500, body)

    server.answer = refuse
    async with Line().open(server) as transport:
        with pytest.raises(Refused, match=r"\(500\)"):
            await transport.request("GET", "http://any/ari/x")


async def test_a_lost_request_names_the_number_it_was_about(
    server: AriServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "REQUEST_SECONDS", 0.05)

    async def lose(request: Message) -> None:
        pass

    server.answer = lose
    async with Line().open(server) as transport:
        with pytest.raises(LinkLost) as lost:
            await transport.request(
                "GET", "http://any/ari/endpoints/PJSIP/+48600100001", {"n": "48600100001"}
            )
    assert "48600" not in str(lost.value)


@pytest.mark.usefixtures("logging_as_before")
async def test_an_odd_event_is_logged_with_the_number_in_it(server: AriServer) -> None:
    written = StringIO()
    log.configure("json", "debug", written)
    async with Line().open(server) as transport:
        await server.send({"type": "Raise", "channel": {"caller": {"number": "48600100001"}}})
        await transport.request("GET", "http://any/ari/after")
    assert "ari_event_failed" in written.getvalue()
    assert "48600100001" not in written.getvalue()


async def test_a_server_that_accepts_and_says_nothing_holds_the_service(
    server: AriServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "CONNECT_SECONDS", 0.2)
    server.mute_events = True
    with pytest.raises(AsteriskError, match="did not answer within"):
        async with Line().open(server):
            pass


async def test_a_link_that_swallows_everything_is_never_noticed(
    server: AriServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packets are dropped, and nobody says goodbye: our own heartbeat goes unanswered."""
    monkeypatch.setattr(transports, "HEARTBEAT_SECONDS", 0.2)
    server.answers_pings = False

    async def swallow(request: Message) -> None:
        pass

    server.answer = swallow
    async with Line().open(server) as transport:
        with pytest.raises(LinkLost, match="the connection to Asterisk was lost"):
            await transport.request("GET", "http://any/ari/x")


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, UnsuitableError, "refused the ARI user ccari: check its name and password"),
        (403, UnsuitableError, "remove read_only in ari.conf"),
        (404, AsteriskError, "has no ARI: load res_ari.so"),
        (500, AsteriskError, "is no ARI: it answered 500"),
        (503, AsteriskError, "is still starting"),
    ],
)
async def test_a_refused_connection_does_not_say_what_to_do(
    server: AriServer, status: int, kind: type[AsteriskError], words: str
) -> None:
    server.events_status = status
    with pytest.raises(AsteriskError, match=words) as refused:
        async with Line().open(server):
            pass
    assert type(refused.value) is kind
    assert PASSWORD not in str(refused.value)


async def test_whoever_is_ended_while_closing_leaves_the_connection_open(server: AriServer) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(WITHIN_SECONDS):
        opened = await connect(session, credentials(server))
        reader = asyncio.create_task(opened.read(Line().take))
        await opened.request("GET", "http://any/ari/x")
        closing = asyncio.create_task(opened.close())
        # as far as its wait for the reader, which hears of it only afterwards
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await reader
        assert server.sockets[-1].close_code == aiohttp.WSCloseCode.OK
