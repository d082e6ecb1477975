"""All calls of one service: which one an ARI event belongs to, and the tasks they run in."""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from typing import Any, Literal

import structlog

from ccari.calls.desk import Desk, Order
from ccari.calls.events import channel_of
from ccari.calls.runner import CallRunner
from ccari.errors import AsteriskError
from ccari.gating.labels import agent_name, label

_log = structlog.get_logger()

#: Far above what one Asterisk carries; the bound is against a dialplan that loops.
MOST_CALLS = 2000
#: For calls to end when the service stops; then they are cut.
DRAIN_SECONDS = 15.0


class Switchboard:
    """Owns the task of every call; :meth:`drain` ends the last of them."""

    def __init__(self) -> None:
        self._desk: Desk | None = None
        self._open = False
        self._calls: dict[CallRunner, asyncio.Task[None]] = {}
        self._by_channel: dict[str, CallRunner] = {}
        self._strays: set[asyncio.Task[None]] = set()

    def attach(self, desk: Desk) -> None:
        """From now on new calls are made over this connection."""
        self._desk = desk
        self._open = True

    def detach(self, why: Literal["shutdown", "asterisk_lost"]) -> None:
        """Take no new calls, and let go of those there are."""
        self._open = False
        for runner in list(self._calls):
            runner.withdraw(why)

    async def drain(self) -> None:
        """Wait for the calls, and what else is under way, to end; cut what does not."""
        under_way = {*self._calls.values(), *self._strays}
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def take(self, event: dict[str, Any]) -> None:
        """Hand an ARI event to its call; called from the reader, so it returns at once. What is nobody's is ignored."""
        channel = channel_of(event)
        runner = self._by_channel.get(channel) if channel is not None else None
        if runner is not None:
            runner.take(event)
        elif event.get("type") == "StasisStart":
            self._enter(event["channel"], event["args"])

    def _enter(self, channel: Mapping[str, Any], args: list[str]) -> None:
        desk = self._desk
        if desk is None:
            return
        if args in (["callee"], ["snoop"]):
            # the leg of a call that ended while Asterisk was making it
            self._aside(desk.ari.hang_up(channel["id"]))
            return
        if not self._open or len(self._calls) >= MOST_CALLS:
            # left alone, it would wait in the application for ever, in silence
            reason = "overload" if self._open else "shutdown"
            _log.error("call_turned_away", calls=len(self._calls), reason=reason)
            self._aside(desk.ari.turn_away(channel["id"], reason))
            return
        runner = CallRunner(_order(channel, args), desk)
        for each in (runner.ids.agent, runner.ids.callee, runner.ids.snoop):
            self._by_channel[each] = runner
        self._calls[runner] = asyncio.create_task(self._run(runner))

    def _aside(self, request: Coroutine[Any, Any, object]) -> None:
        stray = asyncio.create_task(_at_most_refused(request))
        self._strays.add(stray)
        stray.add_done_callback(self._strays.discard)

    async def _run(self, runner: CallRunner) -> None:
        try:
            await runner.run()
        finally:
            del self._calls[runner]
            for each in (runner.ids.agent, runner.ids.callee, runner.ids.snoop):
                self._by_channel.pop(each, None)


async def _at_most_refused(request: Coroutine[Any, Any, object]) -> None:
    with contextlib.suppress(AsteriskError):
        await request


def _order(channel: Mapping[str, Any], args: list[str]) -> Order:
    """``Stasis(ccari,outbound,NUMBER,CAMPAIGN[,AGENT])``; Asterisk has split the arguments at commas."""
    match args:
        case ["outbound", number, campaign] | ["outbound", number, campaign, _]:
            named = label(args[3]) if len(args) > 3 else agent_name(str(channel["name"]))  # noqa: PLR2004 - AGENT
            return Order(number, label(campaign), channel["id"], named)
        case _:
            return Order(None, "", channel["id"], agent_name(str(channel["name"])))
