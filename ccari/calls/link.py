"""The service's hold on one Asterisk: connect, fence, take stock, listen; and again when the connection is lost."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiohttp
import structlog

from ccari.calls.client import Ari, Identity, identify, operations
from ccari.calls.desk import Desk
from ccari.calls.events import call_of, channel_of
from ccari.calls.modules import why_unfit
from ccari.calls.recovery import Stock, recover
from ccari.calls.strays import AT_ONCE
from ccari.calls.switchboard import Switchboard
from ccari.calls.transport import Credentials, Transport, connect
from ccari.errors import AsteriskError, RivalError, StoreError, UnsuitableError
from ccari.gating.abandoned import SWEEP_SECONDS, sweep
from ccari.peers import Connector
from ccari.policy.gate import Block
from ccari.ports.fencing import Fence
from ccari.tasks import beside, started

_log = structlog.get_logger()

#: Between tries to connect, doubled each time, with as much again at random so that a fleet does not knock in step.
FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 5.0
#: From one try to take stock to the next, while the database is away, or something waits to be registered.
STOCK_AGAIN_SECONDS = 1.0
#: How often Asterisk is asked for nothing. Where nobody calls, nothing else shows that it takes the password no more.
PING_SECONDS = 10.0
#: What is kept between the connection and the moment when stock is taken: calls that begin, and events of all calls.
_MOST_EARLY_CALLS = 1000
_MOST_EARLY_EVENTS = 20_000


class Replaced(RivalError):  # noqa: N818 - what happened
    """Another service took the application over: Asterisk talks to the newest."""

    def __init__(self) -> None:
        super().__init__("another service has taken over the Stasis application: this one stops")


class Link:
    """Keeps the connection to Asterisk. ``make_desk`` gives what calls share over one connection; ``name``: what this Asterisk's
    calls are filed under, if the settings say so; ``connections``: how many there have been.
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
        RivalError
            If another service drives this Asterisk.
        UnsuitableError
            If a person must change something there before it can be connected to for the first time: a wrong password, an old Asterisk,
            a module missing that every call needs. Later that is told and waited for: somebody is changing the password, or has
            updated Asterisk, and meanwhile FastAGI and HTTP gate calls, and rights are registered.
        """
        wait = FIRST_RETRY_SECONDS
        # the WebSocket; what is asked beside it about strays, and by calls
        connector = Connector(limit=1 + 2 * AT_ONCE, force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            while True:
                try:
                    await self._hold(session)
                except AsteriskError as error:
                    is_final = isinstance(error, RivalError) or not self.connections
                    if is_final and isinstance(error, UnsuitableError):
                        raise
                    _log.warning("asterisk_away", reason=str(error))
                except StoreError as error:
                    # without the database stock cannot be taken of what is left in Asterisk
                    _log.warning("database_away", reason=str(error))
                if self.connected.is_set():
                    self.connected.clear()
                    wait = FIRST_RETRY_SECONDS
                await asyncio.sleep(wait + random.uniform(0, wait))  # noqa: S311 - jitter
                wait = min(2 * wait, LONGEST_RETRY_SECONDS)

    async def _hold(self, session: aiohttp.ClientSession) -> None:
        """One connection, from its beginning to its end."""
        self._credentials = credentials = await self._credentials.anew()
        identity = await identify(session, credentials)
        if self._name is not None:
            identity = replace(identity, name=self._name)
        # a lock on the whole Asterisk, not on the application: taking stock ends what any other service has made there
        async with self._fence.hold(identity.run, identity.name) as lock_lost:
            ears = _Ears(self._switchboard)
            transport = await connect(session, credentials, ears.take)
            ears.silence = transport.fence
            async with started(transport.read()) as (reader,):
                try:
                    await self._serve(_Connection(transport, ears, reader, lock_lost), identity)
                finally:
                    transport.fence()
                    await transport.close()

    async def _serve(self, connection: "_Connection", identity: Identity) -> None:
        async with operations(connection.transport, self._credentials) as ari:
            desk = self._make_desk(ari, identity)
            await ari.check_modules()
            await _tell_of_unfit(desk)
            await ari.filter_events()
            # stock is taken once the calls of a connection that was lost have let go
            await self._switchboard.drain()
            found = await self._take_stock(desk, connection)
            if found is None:
                raise connection.why_over()
            self._switchboard.attach(desk)
            self._switchboard.resume(found.talks, desk)
            connection.ears.open()
            self._switchboard.give_back(found.handed_over, desk)
            self.connected.set()
            self.connections += 1
            _log.info("asterisk_connected", version=identity.version, **found.counts)
            sweeping = partial(
                sweep, desk.store, desk.asterisk, SWEEP_SECONDS, lambda: self._switchboard.under_way
            )
            try:
                async with beside(sweeping), beside(partial(_ping, ari)):
                    await connection.is_over()
            finally:
                self._switchboard.detach("asterisk_lost")
            raise connection.why_over()

    async def _take_stock(self, desk: Desk, connection: "_Connection") -> Stock | None:
        """Take stock, trying until it works; None if the connection is over first.

        While the database is away the connection is kept: Asterisk does not repeat what was heard over it, such as a key. Calls
        that come in meanwhile are given back to the dialplan.
        """
        logged = ""
        while True:
            try:
                return await recover(desk, connection.ears.early_channels)
            except StoreError as error:
                if str(error) != logged:
                    logged = str(error)
                    _log.warning("database_away", reason=logged)
                self._switchboard.turn_away(connection.ears.let_go(), desk, Block.STORE_UNAVAILABLE.value)
            if await connection.is_over(within=STOCK_AGAIN_SECONDS):
                return None


async def _ping(ari: Ari) -> None:
    """Ask again and again. What comes of it, the connection notices by itself."""
    while True:
        await asyncio.sleep(PING_SECONDS)
        with contextlib.suppress(AsteriskError):
            await ari.ping()


async def _tell_of_unfit(desk: Desk) -> None:
    """Of each campaign whose calls are refused for a module that only they need, before the first of them is."""
    policy = desk.book.policy
    for campaign in policy.campaigns if policy else ():
        if found := await desk.ari.lacking(campaign):
            _log.error("gate_unfit", campaign=campaign.id, reason=why_unfit(found))


class _Ears:
    """Takes the reader's events. Keeps them until stock is taken, then passes them on; notices if another service takes over.

    ``silence``: called when nothing more may be sent over the connection.
    """

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        #: Events that came before stock was taken, each with the moment when it came; None from then on.
        self._early: list[tuple[dict[str, Any], datetime]] | None = []
        #: Channels whose StasisStart is kept; for which there was no room, so that they are given back when stock is taken;
        #: which were given back already; and those of the last two that have left the application since.
        self._begun: set[str] = set()
        self._unkept: set[str] = set()
        self._let_go: set[str] = set()
        self._left: set[str] = set()
        #: Another service has taken over the application.
        self.replaced = asyncio.Event()
        #: An event was lost for want of room, so that this connection has to be given up.
        self.overrun = asyncio.Event()
        self.silence: Callable[[], None] = lambda: None

    def take(self, event: dict[str, Any]) -> None:
        if event.get("type") == "ApplicationReplaced":
            # Asterisk sends events to the newest connection only, but still obeys this one: so nothing more is sent
            self.silence()
            self.replaced.set()
        elif self._early is None:
            self._switchboard.take(event)
        elif event.get("type") == "StasisStart":
            self._begin(event, self._early)
        elif (channel := channel_of(event)) not in self._unkept:
            # it may be of a talk that is taken up: a key, or a hang-up, which Asterisk reports once
            self._keep(event, self._early)
        elif event.get("type") in {"StasisEnd", "ChannelDestroyed"}:
            self._left.add(channel)

    def early_channels(self) -> set[str]:
        """The channels that have entered over this connection, but for those there was no room for."""
        return self._begun | self._let_go

    def let_go(self) -> list[str]:
        """Forget the calls that have begun, and give their channels; those that ccari has made for a talk stay."""
        # not as they leave: a list of the application's channels that is on its way may still have them
        self._unkept -= self._left
        self._let_go -= self._left
        self._left.clear()
        called, early = {each for each in self._begun if call_of(each) is None}, self._early or []
        self._begun -= called
        self._unkept |= called
        self._let_go |= called
        early[:] = [each for each in early if channel_of(each[0]) not in called]
        return sorted(called)

    def open(self) -> None:
        """Stock is taken: pass the kept events on, and from now on every event as it comes."""
        early, self._early = self._early or [], None
        for event, arrived in early:
            try:
                self._switchboard.take(event, arrived)
            except Exception:  # noqa: BLE001 - logged
                # as the reader does: one odd event must not end the calls of all the others
                _log.exception("ari_event_failed")

    def _begin(self, event: dict[str, Any], early: list[tuple[dict[str, Any], datetime]]) -> None:
        channel = event["channel"]["id"]
        self._left.discard(channel)
        if len(self._begun) < _MOST_EARLY_CALLS:
            self._begun.add(channel)
            self._unkept.discard(channel)
            self._keep(event, early)
            return
        if not self._unkept:
            _log.warning("early_calls_dropped", kept=_MOST_EARLY_CALLS)
        self._unkept.add(channel)

    def _keep(self, event: dict[str, Any], early: list[tuple[dict[str, Any], datetime]]) -> None:
        if len(early) < _MOST_EARLY_EVENTS:
            early.append((event, datetime.now(UTC)))
            return
        if not self.overrun.is_set():
            # the lost event may be a right: give the connection up, and take stock over the next one
            _log.error("early_events_lost", kept=_MOST_EARLY_EVENTS)
            self.silence()
            self.overrun.set()


@dataclass(frozen=True, slots=True)
class _Connection:
    """One connection, the task that reads it, and whether the lock that it is held under was lost."""

    transport: Transport
    ears: _Ears
    reader: asyncio.Task[None]
    lock_lost: asyncio.Event

    async def is_over(self, within: float | None = None) -> bool:
        """Wait until it ends, or has to be given up; False if neither comes ``within`` so many seconds."""
        ends = self.ears.replaced, self.ears.overrun, self.lock_lost, self.transport.shut_out
        async with started(*(each.wait() for each in ends)) as waits:
            first = asyncio.FIRST_COMPLETED
            done, _ = await asyncio.wait([self.reader, *waits], timeout=within, return_when=first)
        return bool(done)

    def why_over(self) -> AsteriskError:
        """The error that says why it is given up."""
        if self.ears.replaced.is_set():
            return Replaced()
        if self.transport.shut_out.is_set():
            return AsteriskError(
                "Asterisk refuses the ARI user, whom it had let in: was its password changed, or read_only set, in ari.conf?"
            )
        if self.ears.overrun.is_set():
            return AsteriskError("more happened before stock was taken than can be kept")
        return AsteriskError(
            "another service holds the lock" if self.lock_lost.is_set() else "the connection was closed"
        )
