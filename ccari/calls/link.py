"""The service's hold on one Asterisk: connect, fence, take stock, listen; and again when the connection is lost."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import structlog

from ccari.calls.client import Ari, Identity, identify, operations
from ccari.calls.desk import Desk
from ccari.calls.recovery import recover
from ccari.calls.switchboard import Switchboard
from ccari.calls.transport import Credentials, Transport, connect
from ccari.errors import AsteriskError, StoreError, UnsuitableError
from ccari.ports.fencing import Fence

_log = structlog.get_logger()

#: Between tries to connect, doubled each time, with as much again at random so that a fleet does not knock in step.
FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 5.0
#: From one look for calls that nobody runs to the next.
SWEEP_SECONDS = 60.0
#: Events between the connection and the first call that can be made over it.
_MOST_EARLY_EVENTS = 1000


class Replaced(UnsuitableError):  # noqa: N818 - what happened
    """Another service took the application over: Asterisk talks to the newest."""

    def __init__(self) -> None:
        super().__init__("another service has taken over the Stasis application: this one stops")


class Link:
    """``make_desk`` gives what calls share over one connection."""

    def __init__(
        self,
        credentials: Credentials,
        fence: Fence,
        switchboard: Switchboard,
        make_desk: Callable[[Ari, Identity], Desk],
    ) -> None:
        self._credentials = credentials
        self._fence = fence
        self._switchboard = switchboard
        self._make_desk = make_desk
        self.connected = asyncio.Event()

    async def run(self) -> None:
        """Stay connected until cancelled.

        Raises
        ------
        UnsuitableError
            If trying again would not help: a wrong password, an old Asterisk, a missing module, a second service.
        """
        wait = FIRST_RETRY_SECONDS
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, force_close=True)
        ) as session:
            while True:
                try:
                    await self._hold(session)
                except UnsuitableError:
                    raise
                except AsteriskError as error:
                    _log.warning("asterisk_away", reason=str(error))
                except StoreError as error:
                    # without it nothing that is left in Asterisk can be taken stock of
                    _log.warning("database_away", reason=str(error))
                if self.connected.is_set():
                    self.connected.clear()
                    wait = FIRST_RETRY_SECONDS
                await asyncio.sleep(wait + random.uniform(0, wait))  # noqa: S311 - jitter
                wait = min(2 * wait, LONGEST_RETRY_SECONDS)

    async def _hold(self, session: aiohttp.ClientSession) -> None:
        """One connection, from its beginning to its end."""
        identity = await identify(session, self._credentials)
        # of the Asterisk, whatever the application: taking stock of it ends what others have made there
        async with self._fence.hold(identity.run) as lock_lost:
            ears = _Ears(self._switchboard)
            transport = await connect(session, self._credentials, ears.take)
            ears.on_replaced = transport.fence
            reader = asyncio.create_task(transport.read())
            try:
                await self._serve(transport, identity, ears, reader, lock_lost)
            finally:
                transport.fence()
                await transport.close()
                reader.cancel()
                await asyncio.wait([reader])

    async def _serve(
        self,
        transport: Transport,
        identity: Identity,
        ears: "_Ears",
        reader: "asyncio.Task[None]",
        lock_lost: asyncio.Event,
    ) -> None:
        async with operations(transport, self._credentials) as ari:
            desk = self._make_desk(ari, identity)
            await ari.check_modules(desk.book.policy)
            await ari.filter_events()
            # what a lost connection left is taken stock of only when its calls have let go of it
            await self._switchboard.drain()
            found = await recover(desk, ears.early_channels)
            self._switchboard.attach(desk)
            self._switchboard.resume(found.talks, desk)
            ears.open()
            self.connected.set()
            _log.info("asterisk_connected", version=identity.version, **found.told)
            sweeping = asyncio.create_task(self._sweep(desk))
            try:
                await _first(reader, ears.replaced, lock_lost)
            finally:
                sweeping.cancel()
                await asyncio.wait([sweeping])
                self._switchboard.detach("asterisk_lost")
            if ears.replaced.is_set():
                raise Replaced
            raise AsteriskError(
                "another service holds the lock" if lock_lost.is_set() else "the connection was closed"
            )

    async def _sweep(self, desk: Desk) -> None:
        """Now and then close what a database that was away for long has left open, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            with contextlib.suppress(StoreError):
                await desk.store.close_abandoned(
                    desk.asterisk, datetime.now(UTC), self._switchboard.under_way, older_than=SWEEP_SECONDS
                )


class _Ears:
    """Hears the reader's events: keeps them until calls can be made, watches for a take-over."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self._early: list[dict[str, Any]] | None = []
        self._full = False
        self.replaced = asyncio.Event()
        self.on_replaced: Callable[[], None] = lambda: None

    def take(self, event: dict[str, Any]) -> None:
        if event.get("type") == "ApplicationReplaced":
            # Asterisk talks to the newest connection only, and still obeys the older one: it falls silent here
            self.on_replaced()
            self.replaced.set()
        elif self._early is None:
            self._switchboard.take(event)
        elif len(self._early) < _MOST_EARLY_EVENTS:
            self._early.append(event)
        elif not self._full:
            # a channel whose beginning is lost is given back when stock is taken
            self._full = True
            _log.warning("early_events_dropped", kept=_MOST_EARLY_EVENTS)

    def early_channels(self) -> set[str]:
        return {event["channel"]["id"] for event in self._early or () if event.get("type") == "StasisStart"}

    def open(self) -> None:
        early, self._early = self._early or [], None
        for event in early:
            self._switchboard.take(event)


async def _first(reader: "asyncio.Task[None]", *events: asyncio.Event) -> None:
    """Wait until the connection ends or one of the events happens."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait([reader, *waits], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
