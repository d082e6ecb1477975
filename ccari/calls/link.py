"""The connection to one Asterisk: connect, take the lock, take stock, serve; and reconnect when it is lost."""

import asyncio
import contextlib
import random
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from ccari.calls.ari import Ari, open_ari
from ccari.calls.desk import Desk
from ccari.calls.ears import Ears
from ccari.calls.identity import Identity, identify, refuse_strangers
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

#: Wait between attempts to connect. It doubles each time; random jitter of the same size keeps a fleet from
#: reconnecting at once. The longest is short: a key pressed before there is a connection again is lost.
FIRST_RETRY_SECONDS = 0.2
LONGEST_RETRY_SECONDS = 2.0
#: Wait between attempts to take stock, while the database is away or rights wait to be registered.
STOCK_AGAIN_SECONDS = 1.0
#: How often to ping Asterisk. Without calls, nothing else shows that it no longer accepts the password.
PING_SECONDS = 10.0
#: How long Asterisk may stay silent when the dialplan asks whether a call can be handed over. The dialplan waits for three seconds, and
#: the heartbeat of the connection takes up to fifteen to notice.
ANSWER_SECONDS = 1.0


class Replaced(RivalError):  # noqa: N818 - what happened
    """Another service took over the application; Asterisk sends events only to the newest."""

    def __init__(self) -> None:
        super().__init__("another service has taken over the Stasis application: this one stops")


class Link:
    """Keeps the connection to Asterisk. ``make_desk`` gives what the calls of one connection share. ``name``: the name to
    file this Asterisk's calls under, if the settings give one. ``connections``: how many there have been.
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
        self._transport: Transport | None = None
        #: Keys that came over a connection that ended before stock was taken.
        self._keys: Sequence[tuple[dict[str, Any], datetime]] = ()
        self._said = ""
        #: The kinds and places of unforeseen errors that were logged.
        self._surprises: set[tuple[str, str]] = set()

    async def answers(self) -> bool:
        """Whether Asterisk is heard now, so that calls reach us: it would hold them on a connection of which it does not know yet that it
        is lost.
        """
        return self._transport is not None and await self._transport.answers(ANSWER_SECONDS)

    async def run(self) -> None:
        """Stay connected until cancelled.

        Raises
        ------
        RivalError
            If another service drives this Asterisk.
        UnsuitableError
            If, before the first connection, a person must change something: a wrong password, an old Asterisk, a missing module that every
            call needs. Once it has connected, it logs this and retries: somebody may be changing the password or updating Asterisk, and
            meanwhile FastAGI and HTTP gate calls, and rights are registered. So it does after an error that nobody has foreseen.
        """
        wait = FIRST_RETRY_SECONDS
        # one connection for the WebSocket; others for requests about strays, and for those that calls make beside it
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
                    # without the database, stock cannot be taken
                    _log.warning("database_away", reason=str(error))
                except Exception as error:  # noqa: BLE001 - logged; the next connection takes stock, as after a lost one
                    self._tell_surprise(error)
                    # it may come again as soon as there is a connection: do not begin with short waits again
                    self.connected.clear()
                if self.connected.is_set():
                    self.connected.clear()
                    wait = FIRST_RETRY_SECONDS
                await asyncio.sleep(wait + random.uniform(0, wait))  # noqa: S311 - jitter
                wait = min(2 * wait, LONGEST_RETRY_SECONDS)

    def _tell_surprise(self, error: Exception) -> None:
        """Log an error that nobody has foreseen; with its traceback when it comes from there for the first time."""
        last = traceback.extract_tb(error.__traceback__)[-1]
        surprise = type(error).__name__, f"{Path(last.filename).name}:{last.lineno}"
        if surprise in self._surprises:
            _log.error("asterisk_link_failed", error=surprise[0], place=surprise[1])
        else:
            self._surprises.add(surprise)
            _log.exception("asterisk_link_failed", error=surprise[0], place=surprise[1])

    async def _hold(self, session: aiohttp.ClientSession) -> None:
        """Run one connection from beginning to end."""
        self._credentials = credentials = await self._credentials.anew()
        identity = await identify(session, credentials)
        if self._name is not None:
            identity = replace(identity, name=self._name)
        # lock the whole Asterisk, not the application: taking stock ends whatever another service has made there
        async with self._fence.hold(identity.run, identity.name) as lock_lost:
            # the name changes if a restored database has taken the place of ours
            await refuse_strangers(session, credentials, {self._fence.database, self._said})
            transport = await connect(session, credentials)
            ears = Ears(self._switchboard, transport.fence, self._keys)
            async with started(transport.read(ears.take)) as (reader,):
                self._transport = transport
                try:
                    await self._serve(_Connection(transport, ears, reader, lock_lost), identity)
                finally:
                    self._transport = None
                    transport.fence()
                    self._keys = ears.keys
                    await transport.close()

    async def _serve(self, connection: "_Connection", identity: Identity) -> None:
        async with open_ari(connection.transport, self._credentials) as ari:
            desk = self._make_desk(ari, identity)
            await ari.check_modules()
            await _tell_of_unfit(desk)
            await ari.filter_events()
            await self._say_who_drives(ari)
            # take stock only when the calls of the lost connection have let go
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
                async with beside(sweeping), beside(partial(self._ping, ari)):
                    await connection.is_over()
            finally:
                self._switchboard.detach("asterisk_lost")
            raise connection.why_over()

    async def _ping(self, ari: Ari) -> None:
        """Ping Asterisk at intervals. The connection itself notices the result."""
        while True:
            await asyncio.sleep(PING_SECONDS)
            with contextlib.suppress(AsteriskError):
                await ari.ping()
                # a reload of the dialplan may clear global variables
                await self._say_who_drives(ari)

    async def _say_who_drives(self, ari: Ari) -> None:
        self._said = self._fence.database
        await ari.say_who_drives(self._said)

    async def _take_stock(self, desk: Desk, connection: "_Connection") -> Stock | None:
        """Take stock, retrying until it works; None if the connection ends first.

        While the database is away, the connection is kept: Asterisk does not repeat an event, such as a key,
        on a new one. Calls that come in meanwhile are given back to the dialplan.
        """
        logged = ""
        while True:
            try:
                return await recover(desk, connection.ears.early_channels)
            except StoreError as error:
                if str(error) != logged:
                    logged = str(error)
                    _log.warning("database_away", reason=logged)
                self._switchboard.turn_away(connection.ears.hand_back(), desk, Block.STORE_UNAVAILABLE.value)
            if await connection.is_over(within=STOCK_AGAIN_SECONDS):
                return None


async def _tell_of_unfit(desk: Desk) -> None:
    """Log, before its first call, each campaign that will be refused because a module that only it needs is missing."""
    policy = desk.book.policy
    for campaign in policy.campaigns if policy else ():
        if found := await desk.ari.lacking(campaign):
            _log.error("gate_unfit", campaign=campaign.id, reason=why_unfit(found))


@dataclass(frozen=True, slots=True)
class _Connection:
    """One connection, the task that reads it, and whether its lock was lost."""

    transport: Transport
    ears: Ears
    reader: asyncio.Task[None]
    lock_lost: asyncio.Event

    async def is_over(self, within: float | None = None) -> bool:
        """Wait until the connection ends or must be given up; False if neither happens ``within`` so many seconds."""
        ends = self.ears.replaced, self.ears.overrun, self.lock_lost, self.transport.shut_out
        async with started(*(each.wait() for each in ends)) as waits:
            first = asyncio.FIRST_COMPLETED
            done, _ = await asyncio.wait([self.reader, *waits], timeout=within, return_when=first)
        return bool(done)

    def why_over(self) -> Exception:
        """The error that says why the connection is given up."""
        if self.ears.replaced.is_set():
            return Replaced()
        if (
            self.reader.done()
            and not self.reader.cancelled()
            and isinstance(error := self.reader.exception(), Exception)
        ):
            return error
        if self.transport.shut_out.is_set():
            return AsteriskError(
                "Asterisk refuses the ARI user, whom it had let in: was its password changed, or read_only set, in ari.conf?"
            )
        if self.ears.overrun.is_set():
            return AsteriskError("more happened before stock was taken than can be kept")
        return AsteriskError(
            "another service holds the lock" if self.lock_lost.is_set() else "the connection was closed"
        )
