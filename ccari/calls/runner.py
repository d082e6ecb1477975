"""One call's life in the service: a bounded inbox, timers, and a loop that decides and acts, one event at a time."""

import asyncio
import contextlib
import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

import structlog

from ccari.calls.actions import Actions
from ccari.calls.desk import Desk, Order
from ccari.calls.events import Ids, Playback, translate
from ccari.errors import CcariError
from ccari.gating.journal import Journal
from ccari.policy.call import Call, Event, Outcome, Party, Stage, decide
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.gate import Block

_log = structlog.get_logger()

#: A call has a few dozen events; a callee who drums on the keys makes some hundreds.
INBOX_EVENTS = 256
#: Between the end of a recording and the hang-up that has ended it, as Asterisk reports them.
HANG_UP_SECONDS = 0.3
#: How much longer than its file a playback may take to be reported finished.
PLAYBACK_GRACE_SECONDS = 5.0


class CallRunner:
    """Owned by one task, which :meth:`run` is; :meth:`take` and :meth:`withdraw` are called from others."""

    def __init__(self, order: Order, desk: Desk) -> None:
        call_id = uuid4()
        self.ids = Ids(call_id, order.direction, order.channel)
        #: Why it is no call; None once it is one.
        self.gated: asyncio.Future[Block | None] = asyncio.get_running_loop().create_future()
        self._direction = order.direction
        self._journal = Journal(call_id, order.agent)
        self._actions = Actions(order, self.ids, desk, self._journal)
        self._inbox: asyncio.Queue[Event] = asyncio.Queue(INBOX_EVENTS)
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def take(self, event: dict[str, Any]) -> None:
        """Hear an ARI event; called from the reader, so it only translates and queues."""
        actions = self._actions
        if actions.recorder.heard(event):
            return
        meaning = translate(event, self.ids, actions.playbacks, actions.recorder.name)
        if isinstance(meaning, on.RecorderStopped) and not actions.recorder.is_stopping:
            # a callee who hangs up ends it too, and that is told a moment later
            self._later("recorder ended", HANG_UP_SECONDS, functools.partial(self._put, meaning))
        elif meaning is not None:
            self._put(meaning)

    def withdraw(self, why: Literal["shutdown", "asterisk_lost"]) -> None:
        self._put(on.Withdrawn(why))

    async def run(self) -> None:
        """Live the call to its end. It never raises, whatever happens: one call's fault is no other's."""
        try:
            await self._live()
        except Exception:  # noqa: BLE001 - logged
            _log.exception("call_failed", call_id=str(self.ids.call))
            await self._abandon()
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._told(Block.STORE_UNAVAILABLE)

    async def _abandon(self) -> None:
        """Give up everything the call holds; the agent is not left in silence."""
        failed, reason = Outcome.FAILED, "internal_error"
        for command in (do.GiveBack(failed, reason), do.SettleRecording(), do.CloseCall(failed, reason)):
            try:
                await self._actions.carry_out(command)
            except Exception:  # noqa: BLE001 - logged
                _log.exception("call_not_closed", call_id=str(self.ids.call))

    async def _live(self) -> None:
        call = await self._step(Call(), on.CallRequested(self._direction))
        while call.stage is not Stage.CLOSED:
            call = await self._step(call, await self._inbox.get())

    async def _step(self, call: Call, event: Event) -> Call:
        await self._hear(event)
        call, commands = decide(call, event)
        for command in commands:
            match command:
                case do.Note(name, fields):
                    self._journal.note(name, fields)
                case do.SetTimer(stage, seconds):
                    self._later(stage, seconds, functools.partial(self._put, on.TimeRanOut(stage)))
                case _:
                    if isinstance(command, do.HandOver):
                        self._forget_agent()
                    try:
                        result = await self._actions.carry_out(command)
                    except CcariError as error:
                        _log.warning("command_failed", call_id=str(self.ids.call), command=type(command).__name__,
                                     reason=str(error))  # fmt: skip
                        result = on.Failed(command)
                        if isinstance(command, do.StartRecorder):
                            # its reply was lost, and the recorder was taken down again since it began
                            self._forget(lambda waiting: isinstance(waiting, on.RecorderStarted))
                    if isinstance(command, do.Play) and result is None:
                        self._await_playback(command.party)
                    if result is not None:
                        self._put(result)
        return call

    async def _hear(self, event: Event) -> None:
        match event:
            case on.RecorderStarted():
                with contextlib.suppress(CcariError):
                    await self._actions.recorder.started(datetime.now(UTC))
            case on.RecorderStopped():
                self._actions.recorder.ended(datetime.now(UTC))
            case on.GateAllowed():
                self._told(None)
            case on.GateBlocked(block):
                self._told(block)

    def _forget_agent(self) -> None:
        """What the channel of the agent who was has reported is not of the next one: phones hang up as they transfer."""
        self._actions.playbacks.pop(Party.AGENT, None)
        self._forget(_is_of_the_agent)

    def _forget(self, stale: Callable[[Event], bool]) -> None:
        waiting = [self._inbox.get_nowait() for _ in range(self._inbox.qsize())]
        for event in waiting:
            if not stale(event):
                self._inbox.put_nowait(event)

    def _told(self, block: Block | None) -> None:
        if not self.gated.done():
            self.gated.set_result(block)

    def _later(self, name: str, seconds: float, what: Callable[[], None]) -> None:
        """Do it then, in place of what an earlier timer of that name would have done."""
        earlier = self._timers.get(name)
        if earlier is not None:
            earlier.cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, what)

    def _await_playback(self, party: Party) -> None:
        """A missing final event must not hold the call for ever, nor count as heard."""
        playback = self._actions.playbacks[party]
        seconds = playback.duration_ms / 1000 + PLAYBACK_GRACE_SECONDS
        self._later(f"playback {party}", seconds, functools.partial(self._playback_overdue, playback))

    def _playback_overdue(self, playback: Playback) -> None:
        if self._actions.playbacks.get(playback.party) is playback:
            self._put(on.Played(playback.prompt, whole=False, party=playback.party))

    def _put(self, event: Event) -> None:
        try:
            self._inbox.put_nowait(event)
        except asyncio.QueueFull:
            # nobody presses 200 keys while one command is carried out: this call goes, the others stay
            waiting = [self._inbox.get_nowait() for _ in range(self._inbox.qsize())]
            # but no right that was pressed: each key once, then the end
            for key in dict.fromkeys(each for each in (*waiting, event) if isinstance(each, on.KeyPressed)):
                self._inbox.put_nowait(key)
            self._inbox.put_nowait(on.Withdrawn("overload"))


def _is_of_the_agent(event: Event) -> bool:
    match event:
        case on.AgentCreated() | on.AgentAnswered() | on.AgentKeyPressed() | on.TransferAsked():
            return True
        case on.Gone(Party.AGENT) | on.Played(party=Party.AGENT):
            return True
        case _:
            return False
