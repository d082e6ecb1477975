"""The service's hold on one Asterisk: connect, fence, take stock, listen; and again when the connection is lost."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import structlog

from ccari.calls.client import Ari, Identity, identify, operations
from ccari.calls.desk import Desk
from ccari.calls.events import channel_of
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
#: Between the connection and the first call that can be made over it: calls that begin, and events of all those there are.
_MOST_EARLY_CALLS = 1000
_MOST_EARLY_EVENTS = 20_000


class Replaced(UnsuitableError):  # noqa: N818 - what happened
    """Another service took the application over: Asterisk talks to the newest."""

    def __init__(self) -> None:
        super().__init__("another service has taken over the Stasis application: this one stops")


class Link:
    """``make_desk`` gives what calls share over one connection. ``connections``: how many there have been. ``name``: what this
    Asterisk's calls are filed under, where the settings say so.
    """

    def __init__(
        self,
        credentials: Credentials,
        fence: Fence,
        switchboard: Switchboard,
        make_desk: Callable[[Ari, Identity], Desk],
        name: str | None = None,
    ) -> None:
        self._credentials = credentials
        self._fence = fence
        self._switchboard = switchboard
        self._make_desk = make_desk
        self._name = name
        self.connected = asyncio.Event()
        self.connections = 0

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
        if self._name is not None:
            identity = replace(identity, name=self._name)
        # of the Asterisk, whatever the application: taking stock of it ends what others have made there
        async with self._fence.hold(identity.run, identity.name) as lock_lost:
            ears = _Ears(self._switchboard)
            transport = await connect(session, self._credentials, ears.take)
            ears.silence = transport.fence
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
            self.connections += 1
            _log.info("asterisk_connected", version=identity.version, **found.told)
            sweeping = asyncio.create_task(self._sweep(desk))
            try:
                await _first(reader, ears.replaced, ears.overrun, lock_lost)
            finally:
                sweeping.cancel()
                await asyncio.wait([sweeping])
                self._switchboard.detach("asterisk_lost")
            if ears.replaced.is_set():
                raise Replaced
            if ears.overrun.is_set():
                raise AsteriskError("more happened before stock was taken than can be kept")
            raise AsteriskError(
                "another service holds the lock" if lock_lost.is_set() else "the connection was closed"
            )

    async def _sweep(self, desk: Desk) -> None:
        """Now and then close what a database that was away for long has left open, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            try:
                await desk.store.close_abandoned(
                    desk.asterisk, datetime.now(UTC), self._switchboard.under_way, older_than=SWEEP_SECONDS
                )
            except StoreError:
                continue
            except Exception:  # noqa: BLE001 - logged; it is tried again
                _log.exception("abandoned_calls_left")


class _Ears:
    """Hears the reader's events: keeps them until calls can be made, watches for a take-over.

    ``silence``: to hear, and send, nothing more over the connection.
    """

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self._early: list[dict[str, Any]] | None = []
        self._begun: set[str] = set()
        #: Calls whose beginning was not kept. They are given back when stock is taken.
        self._unkept: set[str] = set()
        self.replaced = asyncio.Event()
        #: Something was lost: over this connection nothing can be served any more.
        self.overrun = asyncio.Event()
        self.silence: Callable[[], None] = lambda: None

    def take(self, event: dict[str, Any]) -> None:
        if event.get("type") == "ApplicationReplaced":
            # Asterisk talks to the newest connection only, and still obeys the older one: it falls silent here
            self.silence()
            self.replaced.set()
        elif self._early is None:
            self._switchboard.take(event)
        elif event.get("type") == "StasisStart":
            self._begin(event, self._early)
        elif channel_of(event) not in self._unkept:
            # of talks that are to be taken up: a key, or a hang-up, that is heard once
            self._keep(event, self._early)

    def early_channels(self) -> set[str]:
        return set(self._begun)

    def open(self) -> None:
        early, self._early = self._early or [], None
        for event in early:
            try:
                self._switchboard.take(event)
            except Exception:  # noqa: BLE001 - logged
                # as the reader does: one odd event must not end the calls of all the others
                _log.exception("ari_event_failed")

    def _begin(self, event: dict[str, Any], early: list[dict[str, Any]]) -> None:
        channel = event["channel"]["id"]
        if len(self._begun) < _MOST_EARLY_CALLS:
            self._begun.add(channel)
            self._keep(event, early)
            return
        if not self._unkept:
            _log.warning("early_calls_dropped", kept=_MOST_EARLY_CALLS)
        self._unkept.add(channel)

    def _keep(self, event: dict[str, Any], early: list[dict[str, Any]]) -> None:
        if len(early) < _MOST_EARLY_EVENTS:
            early.append(event)
            return
        if not self.overrun.is_set():
            # what is lost may be a right: the connection is given up, and stock is taken over the next
            _log.error("early_events_lost", kept=_MOST_EARLY_EVENTS)
            self.silence()
            self.overrun.set()


async def _first(reader: "asyncio.Task[None]", *events: asyncio.Event) -> None:
    """Wait until the connection ends or one of the events happens."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait([reader, *waits], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
