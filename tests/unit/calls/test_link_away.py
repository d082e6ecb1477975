"""What the link says of whom it cannot reach."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from ccari.calls.admission import Admission
from ccari.calls.client import Ari, Identity
from ccari.calls.desk import Desk
from ccari.calls.link import Link, _Ears
from ccari.calls.recovery import Stock
from ccari.calls.switchboard import Switchboard
from ccari.calls.transport import Credentials
from ccari.errors import AsteriskError, StoreError
from tests.unit.calls.ari_server import AriServer


class Away:
    """A fence whose database is away."""

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
        # it tries again, so the first fault has been told
        await fence.asked.wait()
        link.cancel()
        with pytest.raises(asyncio.CancelledError):
            await link
    assert {each["event"] for each in logged} == {"database_away"}


async def test_invariant_5_a_connection_is_served_though_a_key_was_lost_before(
    server: AriServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost while the database takes its time, when Asterisk has been asked all there is: nothing else would end it."""
    board = Switchboard(Admission(1000))
    ears, reading = _Ears(board), asyncio.Event()

    async def nothing(*_: Any) -> None: ...

    @contextlib.asynccontextmanager
    async def asked(*_: Any) -> AsyncIterator[Any]:
        yield SimpleNamespace(check_modules=nothing, filter_events=nothing)

    async def floods(*_: Any) -> Stock:
        for _each in range(2):
            ears.take({"type": "ChannelDtmfReceived", "channel": {"id": "ccari-callee-1"}, "digit": "7"})
        return Stock([], {})

    for name, of in (("operations", asked), ("recover", floods), ("_MOST_EARLY_EVENTS", 1)):
        monkeypatch.setattr(f"ccari.calls.link.{name}", of)
    desk = SimpleNamespace(book=SimpleNamespace(policy=None), asterisk="an-asterisk")
    link = Link(
        Credentials(server.url, "ccari", "secret", "ccari"), Away(), board, lambda *_: cast("Desk", desk)
    )

    async def read() -> None:
        await reading.wait()

    reader = asyncio.create_task(read())
    try:
        async with asyncio.timeout(5):
            with pytest.raises(AsteriskError, match="more happened"):
                await link._serve(
                    cast("Any", None),
                    Identity("22.10.1", "an-asterisk", "run"),
                    ears,
                    reader,
                    asyncio.Event(),
                )
    finally:
        reader.cancel()
        await asyncio.wait([reader])


class Stumbling:
    """Rows of which something unforeseen comes the first time; ``asked`` again afterwards."""

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
    server: AriServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ccari.calls.link.SWEEP_SECONDS", 0.01)
    store = Stumbling()
    link = Link(
        Credentials(server.url, "ccari", "secret", "ccari"), Away(), Switchboard(Admission(1000)), no_desk
    )
    with capture_logs() as logged:
        sweeping = asyncio.create_task(
            link._sweep(cast("Desk", SimpleNamespace(asterisk="an-asterisk", store=store)))
        )
        try:
            async with asyncio.timeout(5):
                await store.asked.wait()
        finally:
            sweeping.cancel()
            await asyncio.wait([sweeping])
    assert [line["event"] for line in logged] == ["abandoned_calls_left"]
