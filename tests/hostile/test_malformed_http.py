"""Bytes that are not HTTP, or almost are: a problem document in our own words, and nothing from them in the log."""

import asyncio
import contextlib
import json
import select
import socket
import zlib
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

import pytest
from aiohttp import http_parser, web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ccari.ports.access import Role
from ccari.web import connections, endpoint, server
from ccari.web.access import MOST_FAILURES
from tests.lab.waiting import until
from tests.unit.web.api import NUMBER, Api
from tests.unit.web.console.browsing import Visitor, browser, signed_in

#: A whole request must be read within WHOLE_SECONDS, beside all the others.
SECONDS, WHOLE_SECONDS, SOON_SECONDS = 60.0, 5.0, 1.0
EXAMPLES, SIDE_BY_SIDE = 200, 20
#: Enough answers to fill the kernel's buffers if a client does not read them.
UNREAD = 200
#: Requests sent in one piece.
MANY = 1000
HEALTH = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
POST_AND_CLOSE = POST.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
#: More than the kernel takes of an answer if its buffers are small.
UNSENT_BYTES = 60_000
DIGITS = NUMBER.removeprefix("+")
#: Put into a header or a line: it would show in an answer or a log that quotes it.
CASES = {
    "no request": f"\x00\x01{DIGITS}\r\n\r\n",
    "a method that is none": f"{DIGITS} /v1/calls HTTP/1.1\r\n\r\n",
    "a version that is none": f"GET /v1/calls?{DIGITS} HTTP/9.9\r\n\r\n",
    "another version": f"PRI {DIGITS} HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a header that is none": f"GET /healthz HTTP/1.1\r\nhost: x\r\nx {DIGITS}: y\r\n\r\n",
    "a header without an end": f"GET /healthz HTTP/1.1\r\nhost: x\r\nx: {DIGITS * 10_000}\r\n\r\n",
    "too many headers": "GET /healthz HTTP/1.1\r\n" + f"x: {DIGITS}\r\n" * 5000 + "\r\n",
    "a folded header": f"GET /healthz HTTP/1.1\r\nhost: x\r\nx: a\r\n {DIGITS}\r\n\r\n",
    "a path without an end": f"GET /{DIGITS * 10_000} HTTP/1.1\r\nhost: x\r\n\r\n",
    "a path that is none": f"GET http://[{DIGITS} HTTP/1.1\r\nhost: x\r\n\r\n",
    "two lengths": f"POST /v1/gate HTTP/1.1\r\nhost: x\r\ncontent-length: {DIGITS}\r\ncontent-length: 1\r\n\r\n{{}}",
    "a length that is none": f"POST /v1/gate HTTP/1.1\r\nhost: x\r\ncontent-length: +{DIGITS}\r\n\r\n{{}}",
    "two ways to tell the length": "POST /v1/gate HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n"
    f"transfer-encoding: chunked\r\n\r\n{DIGITS}\r\n",
    "no host": f"GET /v1/calls/{DIGITS} HTTP/1.1\r\n\r\n",
    "an encoding that nobody knows": "POST /v1/gate HTTP/1.1\r\nhost: x\r\ncontent-encoding: zstd\r\n"
    f"content-length: 11\r\n\r\n{DIGITS}",
    "an expectation": f"GET /v1/calls HTTP/1.1\r\nhost: x\r\nexpect: {DIGITS}\r\n\r\n",
    "an expectation that is long": f"GET /v1/calls HTTP/1.1\r\nhost: x\r\nexpect: {DIGITS * 100}\r\n\r\n",
    "an expectation where nothing is": f"GET /{DIGITS} HTTP/1.1\r\nhost: x\r\nexpect: {DIGITS}\r\n\r\n",
    "a body cut into no pieces": "POST /v1/gate HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
    f"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{DIGITS}ZZ\r\n{{}}",
}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the time-outs for incomplete requests and idle connections to what a test can wait for."""
    monkeypatch.setattr(connections, "FIRST_SECONDS", WHOLE_SECONDS)
    # from the connection to the first request
    monkeypatch.setattr(connections, "KEEPALIVE_SECONDS", WHOLE_SECONDS)
    monkeypatch.setattr(endpoint, "BODY_SECONDS", WHOLE_SECONDS)


async def said(api: Api, sent: bytes) -> bytes:
    """Everything that comes back until the connection is ended, as it must be."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    try:
        writer.write(sent)
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(ConnectionError):
                return await reader.read()
    finally:
        writer.transport.abort()
    return b""


async def all_said(api: Api, sent: Sequence[bytes]) -> list[bytes]:
    side_by_side = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(each: bytes) -> bytes:
        async with side_by_side:
            return await said(api, each)

    return await asyncio.gather(*map(one, sent))


async def test_what_is_no_http_is_quoted_or_answered_in_other_words(
    api: Api, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    token = await api.of(Role.DPO)
    answers = await all_said(api, [each.replace("{token}", token).encode() for each in CASES.values()])
    for name, answer in zip(CASES, answers, strict=True):
        head, _, body = answer.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        assert b"application/problem+json" in head, name
        assert json.loads(body)["status"] == status, name
        assert f"content-length: {len(body)}\r\n".encode() in head.lower() + b"\r\n", name
        assert status in {
            HTTPStatus.BAD_REQUEST, HTTPStatus.EXPECTATION_FAILED, HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        }, name  # fmt: skip
        assert b"server: ccari" in head.lower(), name
        assert DIGITS.encode() not in answer, name
    captured = capfd.readouterr()
    for text in (captured.out, captured.err, caplog.text):
        assert DIGITS not in text
        assert "Traceback" not in text
        assert token not in text


async def test_a_token_that_is_no_text_is_a_failure_of_ours_or_guessed_without_end(api: Api) -> None:
    asked = (
        b"GET /v1/calls HTTP/1.1\r\nhost: x\r\nauthorization: Bearer \xff\xc3\r\nconnection: close\r\n\r\n"
    )
    answers = [await said(api, asked) for _ in range(MOST_FAILURES + 1)]
    assert [int(each.split(b" ")[1]) for each in answers] == [
        *[HTTPStatus.UNAUTHORIZED] * MOST_FAILURES, HTTPStatus.TOO_MANY_REQUESTS,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "parser", [http_parser.HttpRequestParser, http_parser.HttpRequestParserPy], ids=["compiled", "plain"]
)
async def test_a_url_that_is_no_text_is_read(
    api: Api, monkeypatch: pytest.MonkeyPatch, parser: type[http_parser.HttpRequestParserPy]
) -> None:
    """By aiohttp's compiled parser, and by the one it uses without that."""
    monkeypatch.setattr("aiohttp.web_protocol.HttpRequestParser", parser)
    token = await api.of(Role.DPO)
    async with browser() as session:
        cookie = (await signed_in(api, Visitor(api.url, session), Role.DPO)).cookie
    head = (
        f"authorization: Bearer {token}\r\nconnection: close\r\nhost: x\r\ncontent-length: 0\r\n\r\n".encode()
    )
    signed = f"cookie: ccari_session={cookie}\r\n".encode()
    for asked in (
        b"GET /console/requests/\xff HTTP/1.1\r\n",
        b"GET /console/requests?x=\xff HTTP/1.1\r\n" + signed,
        b"POST /v1/suppressions/import?controller=acme&proof=\xff HTTP/1.1\r\ncontent-type: text/csv\r\n",
    ):
        assert (await said(api, asked + head)).split(b" ")[1] == b"400", asked


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "at once"])
@pytest.mark.parametrize(
    "path",
    ["/v1/gate", "/v1/suppressions/import?controller=acme", "/healthz", "/console/sign-in", "/nothing"],
)
async def test_a_trailer_speaks_for_whoever_asks_next(api: Api, path: str, *, at_once: bool) -> None:
    """Behind a proxy that sends several clients' requests over one connection, the next is somebody else."""
    token = await api.of(Role.DPO)
    first = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"
        f"transfer-encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\nauthorization: Bearer {token}\r\n\r\n"
    ).encode()
    of_another = b"GET /v1/holds HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    try:
        async with asyncio.timeout(SECONDS):
            writer.write(first + of_another if at_once else first)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert b"\r\nconnection: close\r\n" in answer.lower()
            if not at_once:
                writer.write(of_another)
            with contextlib.suppress(ConnectionError):
                answer += await reader.read()
    finally:
        writer.transport.abort()
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "path", ["/v1/gate", "/v1/suppressions/import?controller=acme", "/console/sign-in", "/"]
)
@pytest.mark.parametrize("packed", ["deflate", "GZIP", "gzip, identity"])
async def test_who_has_no_token_has_bodies_unpacked_while_all_calls_wait(
    api: Api, monkeypatch: pytest.MonkeyPatch, path: str, packed: str
) -> None:
    """A megabyte that was a gigabyte kept the loop for two and three seconds on end."""
    unpacked, unpack = [], http_parser.DeflateBuffer.feed_data

    def fed(buffer: http_parser.DeflateBuffer, chunk: bytes, size: int) -> bool:
        unpacked.append(len(chunk))
        return unpack(buffer, chunk, size)

    monkeypatch.setattr(http_parser.DeflateBuffer, "feed_data", fed)
    body = zlib.compress(
        bytes(1_000_000), wbits=zlib.MAX_WBITS if packed == "deflate" else zlib.MAX_WBITS + 16
    )
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-encoding: {packed}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    answer = await said(api, head.encode() + body)
    assert answer.startswith(b"HTTP/1.1 415 ")
    assert b"\r\naccept-encoding: identity\r\n" in answer.lower()
    assert unpacked == []


async def test_who_says_nothing_or_never_ends_holds_a_connection(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "FIRST_SECONDS", SOON_SECONDS)
    unfinished = [
        b"",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n",
        b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\nGET /hea",
    ]
    silent, begun, again = await all_said(api, unfinished)
    assert (silent, begun) == (b"", b"")
    assert again.startswith(b"HTTP/1.1 200 ")


async def test_who_waits_long_for_a_first_answer_is_cut_off_as_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "FIRST_SECONDS", SOON_SECONDS)
    is_done = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await is_done.wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", slow)
    async with server.serve_http("127.0.0.1:0", app) as port, asyncio.timeout(SECONDS):
        (waits, asks), (silent, other) = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        try:
            asks.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            # it came later than the other, whose time is over too
            assert await silent.read() == b""
            is_done.set()
            assert (await waits.read()).startswith(b"HTTP/1.1 200 ")
        finally:
            for writer in (asks, other):
                writer.transport.abort()


@pytest.mark.parametrize("asked", [b"", HEALTH], ids=["silent", "having asked once"])
async def test_connections_without_end_take_all_the_descriptors_or_keep_others_out(
    api: Api, monkeypatch: pytest.MonkeyPatch, asked: bytes
) -> None:
    """The connection that has been idle longest is closed to make room; the others are left alone."""
    monkeypatch.setattr(connections, "FIRST_SECONDS", SECONDS)
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 3)
    port = int(api.url.rpartition(":")[2])
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    try:
        async with asyncio.timeout(SECONDS):
            for reader, writer in opened if asked else []:
                writer.write(asked)
                await reader.readuntil(b"}")
            with capture_logs() as logged:
                assert await _answers(api)
            assert [each["times"] for each in logged if each["event"] == "http_turned_away"] == [1]
            assert await opened[0][0].read() == b""
            for reader, writer in opened[1:]:
                writer.write(HEALTH)
                assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    finally:
        for _, writer in opened:
            writer.transport.abort()


@pytest.mark.parametrize("passes", range(5))
async def test_a_request_is_carried_out_and_never_answered_because_another_connection_came(
    monkeypatch: pytest.MonkeyPatch, passes: int
) -> None:
    """A call might be placed, and its caller would place it again. ``passes``: of the loop, between the connection and the request."""
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 1)
    carried_out = []

    async def place(_: web.Request) -> web.Response:
        carried_out.append(1)
        return web.Response()

    app = web.Application()
    app.router.add_post("/", place)
    answers = b""
    async with server.serve_http("127.0.0.1:0", app) as port, asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(POST)
            answers += await reader.readuntil(b"\r\n\r\n")
            with socket.create_connection(("127.0.0.1", port)) as another:
                another.setblocking(False)
                for _ in range(passes):
                    await asyncio.sleep(0)
                writer.write(POST_AND_CLOSE)
                with contextlib.suppress(ConnectionError):
                    answers += await reader.read()
        finally:
            writer.transport.abort()
    assert len(carried_out) == answers.count(b"HTTP/1.1 200 ")


async def test_a_request_that_comes_as_the_time_for_it_ends_is_carried_out_and_never_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = connections.Connection.data_received

    def and_the_time_is_over(connection: connections.Connection, data: bytes) -> None:
        read(connection, data)
        connection._close_if_silent()

    monkeypatch.setattr(connections.Connection, "data_received", and_the_time_is_over)
    app = web.Application()
    app.router.add_post("/", _too_large)
    async with server.serve_http("127.0.0.1:0", app) as port, asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(POST_AND_CLOSE)
            assert (await reader.read()).startswith(b"HTTP/1.1 413 ")
        finally:
            writer.transport.abort()


async def test_who_still_sends_after_the_answer_is_closed_before_who_is_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 2)
    app = web.Application()
    app.router.add_post("/", _too_large)
    async with server.serve_http("127.0.0.1:0", app) as port, asyncio.timeout(SECONDS):
        reader, writer = await _owing(port)
        idle, idles = await asyncio.open_connection("127.0.0.1", port)
        try:
            idles.write(POST)
            assert (await idle.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
            _, others = await asyncio.open_connection("127.0.0.1", port)
            assert await idle.read() == b""
            others.transport.abort()
            writer.write(b"}" + POST_AND_CLOSE)
            assert (await reader.read()).startswith(b"HTTP/1.1 413 ")
        finally:
            for each in (writer, idles):
                each.transport.abort()


async def test_who_owes_the_rest_of_an_answered_request_keeps_others_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For ten seconds each time, and without a token."""
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 2)
    app = web.Application()
    app.router.add_post("/", _too_large)
    async with server.serve_http("127.0.0.1:0", app) as port, asyncio.timeout(SECONDS):
        owing = [await _owing(port) for _ in range(2)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(POST_AND_CLOSE)
            assert (await reader.read()).startswith(b"HTTP/1.1 413 ")
            assert await owing[0][0].read() == b""
            owing[1][1].write(b"}" + POST_AND_CLOSE)
            assert (await owing[1][0].read()).startswith(b"HTTP/1.1 413 ")
        finally:
            for each in (writer, *(writers for _, writers in owing)):
                each.transport.abort()


async def _owing(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection that has its answer, and has not sent the whole request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 413 ")
    return reader, writer


async def _too_large(_: web.Request) -> web.Response:
    return web.Response(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


async def test_a_connection_that_is_closing_makes_room_for_another_and_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While data remain to be sent, it keeps its descriptor. aiohttp does not wait for the last 64 KiB to be sent."""
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 1)
    wires = list[asyncio.Transport]()
    async with server.serve_http("127.0.0.1:0", _leaving_unsent(wires)) as port, asyncio.timeout(SECONDS):
        with _reading_little(port) as unread:
            unread.sendall(POST_AND_CLOSE)
            await until(lambda: bool(wires) and wires[0].is_closing(), within=SECONDS)
            assert wires[0].get_write_buffer_size()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(POST)
                assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
                assert await _bytes_until_it_is_cut(unread) < UNSENT_BYTES
            finally:
                writer.transport.abort()


async def test_those_who_do_not_read_the_end_of_an_answer_take_all_descriptors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They wait for a request, as far as aiohttp knows: closed as idle, each stayed until it had read."""
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 2)
    monkeypatch.setattr(connections, "UNREAD_SECONDS", 2 * SECONDS)
    wires = list[asyncio.Transport]()
    async with server.serve_http("127.0.0.1:0", _leaving_unsent(wires)) as port, asyncio.timeout(SECONDS):
        with contextlib.ExitStack() as opened:
            unread = list[socket.socket]()
            for _ in range(5):
                unread.append(opened.enter_context(_reading_little(port)))
                unread[-1].sendall(POST)
                await until(lambda: len(wires) == len(unread), within=SECONDS)
                await until(lambda: bool(wires[-1].get_write_buffer_size()), within=SECONDS)
            await until(lambda: sum(map(_is_open, wires)) <= connections.MOST_CONNECTIONS, within=SECONDS)


def _leaving_unsent(wires: list[asyncio.Transport]) -> web.Application:
    """Answers without waiting for what the other end does not read. ``wires``: gets those of the connections."""

    async def leave_unsent(request: web.Request) -> web.StreamResponse:
        assert isinstance(request.transport, asyncio.Transport)
        wires.append(request.transport)
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        answer = web.StreamResponse()
        answer.content_length = UNSENT_BYTES
        await answer.prepare(request)
        await answer.write(bytes(UNSENT_BYTES))
        return answer

    app = web.Application()
    app.router.add_post("/", leave_unsent)
    return app


def _reading_little(port: int) -> socket.socket:
    near = socket.socket()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    near.connect(("127.0.0.1", port))
    return near


def _is_open(wire: asyncio.Transport) -> bool:
    return int(wire.get_extra_info("socket").fileno()) >= 0


async def _bytes_until_it_is_cut(unread: socket.socket) -> int:
    """How many bytes there were to be read."""
    unread.setblocking(False)
    count = 0
    with contextlib.suppress(ConnectionError):
        while read := await asyncio.get_running_loop().sock_recv(unread, UNSENT_BYTES):
            count += len(read)
    return count


async def test_many_requests_of_one_hold_up_whoever_else_asks(api: Api) -> None:
    """Sent at once over one connection: until the last was answered, no other was read, and no call's event handled."""
    port = int(api.url.rpartition(":")[2])
    (_, one), (reader, other) = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    try:
        with capture_logs() as logged:
            one.write(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n" * MANY)
            other.write(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n")
            async with asyncio.timeout(SECONDS):
                await reader.readline()
    finally:
        for writer in (one, other):
            writer.transport.abort()
    assert [each["route"] for each in logged].index("/openapi.json") < SIDE_BY_SIDE


@pytest.mark.parametrize(
    "seconds", [SECONDS, WHOLE_SECONDS], ids=["while others come", "for as long as it likes"]
)
async def test_who_reads_nothing_holds_a_connection(
    api: Api, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(connections, "UNREAD_SECONDS", seconds)
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 2)
    port = int(api.url.rpartition(":")[2])
    with contextlib.ExitStack() as opened:
        for _ in range(2):
            unread = opened.enter_context(socket.socket())
            unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            unread.connect(("127.0.0.1", port))
            unread.sendall(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * UNREAD)
            await until(partial(_has_come, unread), within=SECONDS)
        if seconds == SECONDS:
            # whoever comes while answers are still being written is turned away, and comes again
            await until(lambda: _answers(api), within=SECONDS / 2)
        else:
            await until(lambda: _is_cut(unread), within=SECONDS)


def _is_cut(unread: socket.socket) -> bool:
    """Whether the other end has closed it. What has come before is not read."""
    unread.setblocking(False)
    try:
        unread.send(b"\r\n")
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return False


def _has_come(unread: socket.socket) -> bool:
    """Whether there is something to read."""
    return bool(select.select([unread], [], [], 0)[0])


async def _answers(api: Api) -> bool:
    return bool(await said(api, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))


_HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [b"host", b"authorization", b"content-length", b"transfer-encoding", b"content-type", b"expect", b"connection", b"upgrade",
             b"idempotency-key", b"content-encoding", b"x-forwarded-for", b"cookie", b"x"]
        ),
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                [b"Bearer TOKEN", b"Bearer \xff", b"0", b"2", b"-1", b"99999999999999999999", b"chunked", b"gzip, chunked", b"identity",
                 b"application/json", b"application/json; charset=nonsense", b"100-continue", b"close", b"websocket",
                 b"gzip", b"br", DIGITS.encode()]
            ),
        ),
    ),
    max_size=8,
)  # fmt: skip
_SENT = st.builds(
    lambda method, path, version, headers, body, end: (
        b"%b %b HTTP/%b\r\n%b\r\n%b" % (method, path, version, b"".join(b"%b: %b%b" % (*each, end) for each in headers), body)
    ),
    st.sampled_from([b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT", b"get", b"\xff"]),
    st.one_of(
        st.sampled_from([b"/v1/gate", b"/v1/calls", b"/v1/suppressions/check", b"/v1/requests", b"/v1/calls/%00", b"/healthz",
                         b"/openapi.json", b"*", b"//", b"/v1/../v1/calls", b"http://x/v1/calls", b"/v1/agents/%ff/events"]),
        st.binary(max_size=30),
    ),
    st.sampled_from([b"1.1", b"1.1", b"1.0", b"0.9", b"2.0"]),
    _HEADERS,
    st.one_of(st.binary(max_size=60), st.sampled_from([b"{}", b"2\r\n{}\r\n0\r\n\r\n", b"[" * 5000, b"NaN", b'{"number":1e999}'])),
    st.sampled_from([b"\r\n", b"\r\n", b"\n", b"\r"]),
)  # fmt: skip


async def test_bytes_make_it_fail_or_answer_otherwise_than_by_a_problem_document(
    api: Api, capfd: pytest.CaptureFixture[str]
) -> None:
    drawn: list[bytes] = []

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(_SENT)
    def draw(sent: bytes) -> None:
        drawn.append(sent)

    await asyncio.to_thread(draw)
    token = (await api.of(Role.DPO)).encode()
    answers = await all_said(api, [each.replace(b"TOKEN", token) for each in drawn])
    for sent, answer in zip(drawn, answers, strict=True):
        if not answer:
            continue
        head, _, body = answer.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        assert status < 500, (sent, answer)
        if status >= 400:
            assert b"application/problem+json" in head, (sent, answer)
            assert DIGITS.encode() not in body, (sent, answer)
    assert sum(map(bool, answers)) > EXAMPLES // 2
    told = capfd.readouterr()
    assert "Traceback" not in told.out + told.err
    # nobody else is affected
    assert (await api.ask("GET", "/healthz", role=None)).status == HTTPStatus.OK
