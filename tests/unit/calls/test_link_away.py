"""What the link reports about what it cannot reach."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import aiohttp
import pytest
from structlog.testing import capture_logs

from ccari.calls.admission import Admission
from ccari.calls.ari import Ari
from ccari.calls.desk import Desk
from ccari.calls.ears import Ears
from ccari.calls.identity import Identity
from ccari.calls.link import Link, _Connection
from ccari.calls.recovery import Stock
from ccari.calls.switchboard import Switchboard
from ccari.calls.transport import Credentials, LinkLost
from ccari.errors import AsteriskError, StoreError
from ccari.gating import abandoned
from ccari.ports.calls import CallStore
from ccari.tasks import started
from tests.unit.calls.ari_server import AriServer

SECONDS = 30.0


class Away:
    """A fence whose database is away."""

    database = ""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    @contextlib.asynccontextmanager
    async def hold(self, run: str, filed_as: str) -> AsyncIterator[asyncio.Event]:
        self.asked.set()
        raise StoreError(f"the database is away from {run}")
        yield


def no_desk(ari: Ari, identity: Identity) -> Desk:
    raise AssertionError("no call can be made without the fence")


async def test_a_database_that_is_away_is_reported_as_an_asterisk(server: AriServer) -> None:
    fence = Away()
    credentials = Credentials(server.url, "ccari", "secret", "ccari")
    with capture_logs() as logged:
        link = asyncio.create_task(Link(credentials, fence, Switchboard(Admission(1000)), no_desk).run())
        await fence.asked.wait()
        fence.asked.clear()
        # it tries again, so the first fault was reported
        await fence.asked.wait()
        link.cancel()
        with pytest.raises(asyncio.CancelledError):
            await link
    assert {each["event"] for each in logged} == {"database_away"}


KEY = {"type": "ChannelDtmfReceived", "channel": {"id": "ccari-callee-1"}, "digit": "7"}
CALLER = {"type": "StasisStart", "channel": {"id": "caller-1"}, "args": ["inbound", "renewals"]}
LEG = {"type": "StasisStart", "channel": {"id": f"ccari-{uuid4()}-snoop1"}, "args": ["snoop"]}


class Serving:
    """A link that is connected, up to the point where it takes stock; ``reading`` ends the connection. ``turned_away``:
    which channels, and why. ``heard``: what calls are told.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, recover: Callable[..., Awaitable[Stock]]) -> None:
        self.board = Switchboard(Admission(1000))
        self.ears = Ears(self.board, lambda: None)
        self.reading, self.lock_lost = asyncio.Event(), asyncio.Event()
        self.transport = SimpleNamespace(shut_out=asyncio.Event())
        self.turned_away: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

        async def nothing(*_: Any) -> None: ...

        async def turn_away(channel: str, reason: str) -> None:
            self.turned_away.put_nowait((channel, reason))

        self.ari = ari = SimpleNamespace(
            check_modules=nothing,
            filter_events=nothing,
            say_who_drives=nothing,
            turn_away=turn_away,
            give_back=turn_away,
            ping=nothing,
        )
        desk = SimpleNamespace(book=SimpleNamespace(policy=None), asterisk="an-asterisk", store=None, ari=ari)

        @contextlib.asynccontextmanager
        async def asked(*_: Any) -> AsyncIterator[Any]:
            yield ari

        for name, of in (("open_ari", asked), ("recover", recover)):
            monkeypatch.setattr(f"ccari.calls.link.{name}", of)
        monkeypatch.setattr(self.board, "take", lambda event, *_: self.heard.put_nowait(event))
        credentials = Credentials("http://pbx", "ccari", "secret", "ccari")
        self.link = Link(credentials, Away(), self.board, lambda *_: cast("Desk", desk))

    async def serve(self) -> None:
        """Serve until the connection ends; raises its reason."""
        identity = Identity("22.10.1", "an-asterisk", "run")
        async with started(self.reading.wait()) as (reader,), asyncio.timeout(SECONDS):
            connection = _Connection(cast("Any", self.transport), self.ears, reader, self.lock_lost)
            await self.link._serve(connection, identity)


async def test_invariant_5_a_connection_is_served_though_a_key_was_lost_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is lost while the database takes its time, after Asterisk was asked for everything: nothing else would end the
    connection.
    """

    async def floods(*_: Any) -> Stock:
        for _each in range(2):
            link.ears.take(KEY)
        return Stock([], {})

    monkeypatch.setattr("ccari.calls.ears.MOST_EARLY_EVENTS", 1)
    link = Serving(monkeypatch, floods)
    with pytest.raises(AsteriskError, match="more happened"):
        await link.serve()


async def test_invariant_5_a_key_is_lost_because_rights_wait_to_be_registered_when_stock_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As they wait for a moment whenever PostgreSQL is back. Over the next connection Asterisk would not report the key
    again.
    """
    monkeypatch.setattr("ccari.calls.link.STOCK_AGAIN_SECONDS", 0.0)
    tries = iter([True, True, False])

    async def waits(*_: Any) -> Stock:
        if next(tries):
            link.ears.take(KEY)
            raise StoreError("rights that were pressed wait to be registered")
        return Stock([], {})

    link = Serving(monkeypatch, waits)
    with capture_logs() as logged:
        serving = asyncio.create_task(link.serve())
        await asyncio.wait(
            [serving, asyncio.ensure_future(link.link.connected.wait())], return_when="FIRST_COMPLETED"
        )
        link.reading.set()
        with pytest.raises(AsteriskError, match="connection was closed"):
            await serving
    assert [link.heard.get_nowait() for _ in range(link.heard.qsize())] == [KEY, KEY]
    # once, however often it is tried
    assert [each["event"] for each in logged] == ["database_away", "asterisk_connected"]


class Held:
    """A fence that nobody else wants."""

    database = ""

    @contextlib.asynccontextmanager
    async def hold(self, _run: str, _filed_as: str) -> AsyncIterator[asyncio.Event]:
        yield asyncio.Event()


async def test_invariant_5_a_key_is_lost_with_a_connection_that_ends_before_stock_is_taken(
    server: AriServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The talk that it was pressed in is taken up over the next one: the key is not registered, and what it stops is recorded on."""
    taken: list[tuple[Any, ...]] = []
    arrived: list[object] = []

    async def serve(connection: _Connection, *_: Any) -> None:
        if not arrived:
            await server.send(KEY)
            while not connection.ears.keys:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0)
            arrived.append(connection.ears.keys[0][1])
        elif not taken:
            connection.ears.open()
        raise AsteriskError("the connection was closed")

    board = Switchboard(Admission(1000))
    monkeypatch.setattr(board, "take", lambda *given: taken.append(given))
    link = Link(Credentials(server.url, "ccari", "secret", "ccari"), Held(), board, no_desk)
    cast("Any", link)._serve = serve
    async with aiohttp.ClientSession() as session, asyncio.timeout(SECONDS):
        for _each in range(3):
            with pytest.raises(AsteriskError):
                await link._hold(session)
    # once, as of when it came
    assert taken == [(KEY, arrived[0])]
    assert not link._keys


async def test_a_caller_waits_in_silence_for_a_database_that_stays_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away(*_: Any) -> Stock:
        raise StoreError("the database is away")

    monkeypatch.setattr("ccari.calls.link.STOCK_AGAIN_SECONDS", 0.0)
    link = Serving(monkeypatch, away)
    link.ears.take(CALLER)
    link.ears.take(KEY)
    link.ears.take(LEG)
    serving = asyncio.create_task(link.serve())
    async with asyncio.timeout(SECONDS):
        assert await link.turned_away.get() == ("caller-1", "store_unavailable")
        # the dialplan hands the channel over once more
        link.ears.take({**CALLER, "type": "StasisEnd"})
        link.ears.take(CALLER)
        assert await link.turned_away.get() == ("caller-1", "store_unavailable")
    link.reading.set()
    with pytest.raises(AsteriskError):
        await serving
    assert link.turned_away.empty()
    # they belong to no call that somebody left
    assert "caller-1" in link.ears.early_channels()
    # nothing about the caller is kept, because there is no call that it could be reported to; a talk's events are kept
    link.ears.open()
    assert [link.heard.get_nowait() for _ in range(link.heard.qsize())] == [KEY, LEG]


async def test_stock_is_taken_while_calls_of_the_lost_connection_have_not_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What those calls still write, such as that their talk is left, would come after stock was taken, and their
    recordings would be both theirs and the new connection's.
    """
    done: list[str] = []
    asked, lets_go = asyncio.Event(), asyncio.Event()

    async def found(*_: Any) -> Stock:
        done.append("stock")
        return Stock([], {})

    async def end() -> None:
        asked.set()
        await lets_go.wait()
        done.append("let go")

    link = Serving(monkeypatch, found)
    link.board._strays.add("phone-1", end)
    serving = asyncio.create_task(link.serve())
    await asked.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    lets_go.set()
    link.reading.set()
    with pytest.raises(AsteriskError):
        await serving
    assert done == ["let go", "stock"]


async def test_a_connection_is_used_while_it_is_closed_for_whoever_holds_the_lock_now(
    server: AriServer,
) -> None:
    """Calls that are told to let go would hang up channels of the other service."""
    sent: list[asyncio.Task[Any]] = []

    async def serve(connection: _Connection, *_: Any) -> None:
        transport = connection.transport
        # from then on somebody listens for whom the end of the connection waits
        await transport.request("GET", f"{server.url}/ari/asterisk/ping")
        sent.append(asyncio.create_task(transport.request("DELETE", f"{server.url}/ari/channels/phone-1")))
        raise AsteriskError("another service holds the lock")

    credentials = Credentials(server.url, "ccari", "secret", "ccari")
    link = Link(credentials, Held(), Switchboard(Admission(1000)), no_desk)
    cast("Any", link)._serve = serve
    async with aiohttp.ClientSession() as session:
        with pytest.raises(AsteriskError, match="holds the lock"):
            await link._hold(session)
    await asyncio.wait(sent)
    assert isinstance(sent[0].exception(), LinkLost)
    assert [each["method"] for each in server.requests] == ["GET"]


async def test_a_caller_of_an_earlier_run_is_left_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(*_: Any) -> Stock:
        return Stock([], {}, ["caller-1"])

    link = Serving(monkeypatch, found)
    serving = asyncio.create_task(link.serve())
    async with asyncio.timeout(SECONDS):
        assert await link.turned_away.get() == ("caller-1", "service_away")
    link.reading.set()
    with pytest.raises(AsteriskError):
        await serving


async def test_a_password_that_was_changed_at_night_is_noticed_by_the_first_who_calls_in_the_morning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ccari.calls.link.PING_SECONDS", 0.0)
    asked = 0

    async def found(*_: Any) -> Stock:
        return Stock([], {})

    async def ping() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            link.transport.shut_out.set()
        raise LinkLost("Asterisk gave no answer")

    link = Serving(monkeypatch, found)
    link.ari.ping = ping
    with pytest.raises(AsteriskError, match="was its password changed"):
        await link.serve()


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("reading", "the connection was closed"),
        ("lock_lost", "another service holds the lock"),
        ("replaced", "taken over"),
        ("overrun", "more happened"),
        ("shut_out", "was its password changed"),
    ],
)
async def test_a_connection_that_is_over_goes_unnoticed_while_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch, end: str, told: str
) -> None:
    tried = asyncio.Event()

    async def away(*_: Any) -> Stock:
        tried.set()
        raise StoreError("the database is away")

    monkeypatch.setattr("ccari.calls.link.STOCK_AGAIN_SECONDS", 3600.0)
    link = Serving(monkeypatch, away)
    serving = asyncio.create_task(link.serve())
    await tried.wait()
    of = {"reading": link, "lock_lost": link, "shut_out": link.transport}.get(end, link.ears)
    getattr(of, end).set()
    with pytest.raises(AsteriskError, match=told):
        await serving


class Stumbling:
    """Rows with which something unforeseen happens the first time; ``asked`` again afterwards."""

    def __init__(self) -> None:
        self.times = 0
        self.asked = asyncio.Event()

    async def close_abandoned(self, *_: Any, **__: Any) -> int:
        self.times += 1
        if self.times == 1:
            raise RuntimeError("unforeseen")
        self.asked.set()
        return 0


async def test_something_unforeseen_leaves_the_calls_of_a_long_outage_open_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(abandoned, "SWEEP_SECONDS", 0.01)
    store = Stumbling()
    with capture_logs() as logged:
        sweeping = asyncio.create_task(abandoned.sweep(cast("CallStore", store), "an-asterisk", 60.0))
        try:
            async with asyncio.timeout(SECONDS):
                await store.asked.wait()
        finally:
            sweeping.cancel()
            await asyncio.wait([sweeping])
    assert [line["event"] for line in logged] == ["abandoned_calls_left"]
