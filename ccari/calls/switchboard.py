"""All calls of one service: their tasks, and which call each ARI event belongs to."""

import asyncio
import contextlib
import functools
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import structlog

from ccari.calls.admission import BEHIND_SECONDS, Admission
from ccari.calls.desk import Desk
from ccari.calls.events import call_of, came_at, channel_of
from ccari.calls.order import Order, order_of
from ccari.calls.runner import CallRunner
from ccari.calls.strays import Strays
from ccari.calls.talks import Talk
from ccari.errors import AsteriskError
from ccari.gating.labels import label
from ccari.policy.call import Direction
from ccari.policy.rights import Right
from ccari.ports.metering import UNMETERED, Meter
from ccari.ports.placing import CallToPlace, Placed

_log = structlog.get_logger()

#: How long calls may take to end when the service stops or loses its connection; after that they are cancelled.
DRAIN_SECONDS = 15.0
#: How long cancelled calls may take. A call that is storing its recording still waits for the disk, which may
#: hang. A call with pressed rights registers them, each in up to 4.5 s while the database hangs; a right
#: whose turn has not come by then is lost if the service ends.
CUT_SECONDS = 5.0
#: How long a stopping service waits for a lost connection to return while talks go on; after that they go on without us.
RETURN_SECONDS = 15.0


class Switchboard:
    """Owns the task of every call. :meth:`drain` waits for the last of them."""

    def __init__(self, admission: Admission, meter: Meter = UNMETERED) -> None:
        self._admission = admission
        self._meter = meter
        self._desk: Desk | None = None
        #: Whether new calls are taken.
        self._open = False
        #: The service is stopping: a connection that comes back does not reopen it.
        self._closing = False
        #: Set while no talk in Asterisk waits for the next connection to take it up.
        self._no_talk_left = asyncio.Event()
        self._no_talk_left.set()
        #: Until when such talks may still be taken up if the service is to stop, by the loop's clock.
        self._return_until = 0.0
        self._calls: dict[CallRunner, asyncio.Task[None]] = {}
        #: The tasks of calls that did not end when cancelled.
        self._hanging: set[asyncio.Task[None]] = set()
        #: The calls that wait for the gate.
        self._at_gate: set[CallRunner] = set()
        #: Calls by the channel that the dialplan handed over, and by the call's id.
        self._by_home: dict[str, CallRunner] = {}
        self._by_id: dict[str, CallRunner] = {}
        self._strays = Strays()
        #: Channels that an earlier run left. Giving one back may take as long as a prompt, so other strays
        #: must not queue behind them.
        self._leftovers = Strays()

    def attach(self, desk: Desk) -> None:
        """Make new calls over this connection, unless the service is stopping."""
        self._desk = desk
        self._open = not self._closing

    @property
    def takes_calls(self) -> bool:
        """False once the service is stopping. True does not mean that there is a connection."""
        return not self._closing

    @property
    def under_way(self) -> list[UUID]:
        """The calls being run, in any stage."""
        return [each.ids.call for each in self._calls]

    def resume(self, talks: Sequence[Talk], desk: Desk) -> None:
        """Take up the talks found in Asterisk."""
        for talk in talks:
            self._add(CallRunner.resuming(talk, desk))
        self._no_talk_left.set()

    def detach(self, why: Literal["shutdown", "asterisk_lost"]) -> None:
        """Take no new calls, and tell the calls under way to let go."""
        self._open = False
        if why == "asterisk_lost":
            self._desk = None
            self._leftovers.abandon()
        for runner in list(self._calls):
            if why == "asterisk_lost" and runner.is_talking:
                self._no_talk_left.clear()
                self._return_until = asyncio.get_running_loop().time() + RETURN_SECONDS
            runner.let_go(why)

    async def wind_down(self, seconds: float) -> None:
        """Take no new calls, end calls that have not talked yet, and let the others talk for up to so many seconds.

        If the connection is lost meanwhile, or was lost a moment ago, wait for it, so that talks are taken up again and end
        in order. Otherwise they would go on in Asterisk, with their recorders running and nobody to hear a key.
        """
        self._closing, self._open = True, False
        for runner in list(self._calls):
            if not runner.has_talked:
                runner.let_go("shutdown")
        if (self._calls or not self._no_talk_left.is_set()) and seconds > 0:
            _log.info("waiting_for_talks", calls=len(self._calls), seconds=seconds)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._talked_out()

    async def _talked_out(self) -> None:
        until = self._return_until
        while self._calls or not self._no_talk_left.is_set():
            if self._calls:
                await asyncio.wait(list(self._calls.values()))
                # a new connection takes talks up only after all calls of the lost one have let go
                until = asyncio.get_running_loop().time() + RETURN_SECONDS
            try:
                async with asyncio.timeout_at(until):
                    await self._no_talk_left.wait()
            except TimeoutError:
                _log.error("talks_left", seconds=RETURN_SECONDS)
                return

    async def drain(self) -> None:
        """Wait for all calls, and requests about strays, to end. After :data:`DRAIN_SECONDS` cancel the rest,
        and :data:`CUT_SECONDS` later abandon what still has not ended, so that no other call waits for it.
        """
        under_way = {*self._calls.values(), *self._strays.tasks, *self._leftovers.tasks}
        if not under_way:
            return
        _, late = await asyncio.wait(under_way, timeout=DRAIN_SECONDS)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CUT_SECONDS)
        for runner in [each for each, task in self._calls.items() if task in late and not task.done()]:
            _log.error("call_hangs", call_id=str(runner.ids.call))
            self._leave(runner)

    def take(self, event: dict[str, Any], arrived: datetime | None = None) -> None:
        """Hand an ARI event to its call; ignore it if it belongs to none. Called from the reader, so it returns at once.

        ``arrived``: when the event came, if before now.
        """
        channel = channel_of(event)
        runner = self._runner_of(channel) if channel is not None else None
        if "replace_channel" in event:
            self._turn_out(event["channel"]["id"], event["replace_channel"]["id"])
        elif runner is not None:
            runner.take(event, arrived or self._came_at(event))
            if event.get("type") == "StasisEnd":
                # the dialplan has the channel back; if it hands it over again, that is another call
                self._by_home.pop(str(channel), None)
        elif event.get("type") == "StasisStart":
            self._enter(event["channel"], event["args"])
        elif event.get("type") in {"StasisEnd", "ChannelDestroyed"}:
            self._strays.forget(str(channel))
            self._leftovers.forget(str(channel))

    def _came_at(self, event: Mapping[str, Any]) -> datetime | None:
        """When an event came that waited because the service stalled; None if it did not wait."""
        stood_still = self._admission.stood_still_seconds
        return came_at(event, datetime.now(UTC), stood_still) if stood_still > BEHIND_SECONDS else None

    def _turn_out(self, newcomer: str, former: str) -> None:
        """Hang up a channel that has replaced another, by call pickup or an INVITE with Replaces. Asterisk
        has hung up the other channel, or left it alone in our application, and reports nothing more of it.

        The call goes on as if that party had hung up: the newcomer has not heard the notice, or does not know
        what is recorded.
        """
        if self._desk is None:
            return
        out, runner = [newcomer], self._runner_of(former)
        if runner is not None:
            _log.warning("leg_replaced", call_id=str(runner.ids.call))
            runner.lose(former)
            out.append(former)
        for channel in out:
            self._strays.add(channel, functools.partial(self._desk.ari.hang_up, channel))

    def _enter(self, channel: Mapping[str, Any], args: list[str]) -> None:
        desk = self._desk
        if desk is None:
            return
        if call_of(channel["id"]) is not None:
            # a leg of a call that ended while Asterisk was making it
            self._strays.add(channel["id"], functools.partial(desk.ari.hang_up, channel["id"]))
            return
        reason = self._no_room()
        if reason is not None:
            if self._closing:
                _log.info("call_not_begun", reason=reason)
            else:
                _log.error("call_turned_away", calls=len(self._calls), reason=reason)
            self.turn_away([channel["id"]], desk, reason)
            return
        self._add(CallRunner.of(order_of(channel, args), desk))

    def turn_away(self, channels: Iterable[str], desk: Desk, reason: str) -> None:
        """Give channels just handed over back to the dialplan, because no call can begin."""
        for channel in channels:
            # otherwise the channel would wait in the application for ever, in silence
            self._strays.add(channel, functools.partial(desk.ari.turn_away, channel, reason))

    def give_back(self, channels: Iterable[str], desk: Desk) -> None:
        """Give back channels that the dialplan handed over to an earlier run of the service."""
        for channel in channels:
            self._leftovers.add(channel, functools.partial(desk.ari.give_back, channel, "service_away"))

    async def place(self, order: CallToPlace) -> Placed:
        """:class:`ccari.ports.placing.Placing`: begin a call that no dialplan requested."""
        desk = self._desk
        if desk is None:
            raise AsteriskError("no call can be placed now: Asterisk is away")
        reason = self._no_room()
        if reason is not None:
            raise AsteriskError(f"no call can be placed now: {reason}")
        first = Direction.CALLEE_FIRST if order.agent is None else Direction.AGENT_FIRST
        named = label(order.agent or order.campaign)
        wanted = Order(first, order.number, order.campaign, named, order.agent)
        runner = self._add(CallRunner.of(wanted, desk))
        return Placed(runner.ids.call, await asyncio.shield(runner.gated))

    def voice(self, call_id: UUID, right: Right) -> bool:
        """:class:`ccari.ports.voicing.Voicing`: pass on a right that an agent entered; False if no such talk runs here."""
        runner = self._by_id.get(str(call_id))
        if runner is None or not runner.is_talking:
            return False
        runner.voice(right)
        return True

    def _no_room(self) -> str | None:
        """Why no call can begin now; None if one can."""
        reason: str | None = "shutdown"
        if self._open:
            reason = self._admission.refusal(len(self._calls), len(self._at_gate))
        if reason is not None:
            self._meter.turned_away(reason)
        return reason

    def _runner_of(self, channel: str) -> CallRunner | None:
        ours = call_of(channel)
        return self._by_id.get(ours) if ours is not None else self._by_home.get(channel)

    def _add(self, runner: CallRunner) -> CallRunner:
        self._by_id[str(runner.ids.call)] = runner
        if runner.ids.home is not None and runner.ids.home_party is not None:
            self._by_home[runner.ids.home] = runner
        if not runner.gated.done():
            self._at_gate.add(runner)
            runner.gated.add_done_callback(lambda _: self._at_gate.discard(runner))
        task = self._calls[runner] = asyncio.create_task(runner.run())
        task.add_done_callback(lambda _: self._drop(runner))
        return runner

    def _leave(self, runner: CallRunner) -> None:
        """Abandon a call that does not end: stop waiting for it, and hand it no more events."""
        task = self._calls[runner]
        self._hanging.add(task)
        task.add_done_callback(self._hanging.discard)
        self._drop(runner)

    def _drop(self, runner: CallRunner) -> None:
        self._calls.pop(runner, None)
        # a call cancelled before it began never asked the gate
        self._at_gate.discard(runner)
        if self._by_id.get(str(runner.ids.call)) is runner:
            del self._by_id[str(runner.ids.call)]
        if runner.ids.home is not None and self._by_home.get(runner.ids.home) is runner:
            del self._by_home[runner.ids.home]
