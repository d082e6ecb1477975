"""Runs one call: a loop that takes one event at a time, has ``policy.call`` decide, and carries out the commands."""

import asyncio
import contextlib
import functools
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Self
from uuid import uuid4

import structlog

from ccari.calls.actions import Actions
from ccari.calls.desk import Desk
from ccari.calls.events import EVER, Ids, Playback, translate
from ccari.calls.inbox import Inbox
from ccari.calls.keeping import TalkKeeper
from ccari.calls.ledger import SoundsReplaced
from ccari.calls.legs import TooLate
from ccari.calls.opening import NoMedia
from ccari.calls.order import Order
from ccari.calls.talks import Talk
from ccari.calls.transport import Refused
from ccari.errors import CcariError
from ccari.gating.journal import Journal
from ccari.policy.call import (
    Call,
    Direction,
    Event,
    Outcome,
    Party,
    RecorderState,
    Stage,
    Timer,
    decide,
)
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.keys import pressed
from ccari.policy.call.state import replace
from ccari.policy.gate import Block
from ccari.policy.rights import Right
from ccari.ports.metering import Way

_log = structlog.get_logger()

#: How much later than the end of a recording Asterisk may report the hang-up that ended it.
HANG_UP_SECONDS = 0.3
#: How much later a busy Asterisk may report a hang-up than its effect: that the party left the bridge, or
#: could not join it.
LEAVE_SECONDS = 1.0
#: How much longer than its file a playback may take to be reported as finished.
PLAYBACK_GRACE_SECONDS = 5.0


class CallRunner:
    """One call. It belongs to the task that runs :meth:`run`. Other tasks call the other public methods, which note
    what was reported, queue what it means to the call, and never await.
    """

    def __init__(self, order: Order, desk: Desk, ids: Ids, journal: Journal) -> None:
        self.ids = ids
        #: The gate's answer: None if it allows the call, otherwise why not.
        self.gated: asyncio.Future[Block | None] = asyncio.get_running_loop().create_future()
        self._first_event: Event = on.CallRequested(order.direction)
        self._began_at = datetime.now(UTC)
        self._journal = journal
        self._actions = Actions(order, ids, desk, journal, self._is_ending)
        self._inbox = Inbox()
        self._keeper = TalkKeeper(ids.call, self._inbox)
        self._call = Call()
        #: Needed if the call fails: the event not yet decided upon, the commands not yet carried out, and
        #: whether the journal has the call's end.
        self._undecided: Event | None = None
        self._undone: list[do.Command] = []
        self._end_noted = False

    @classmethod
    def of(cls, order: Order, desk: Desk) -> Self:
        """A call that begins."""
        call_id = uuid4()
        journal = Journal(call_id, order.agent, desk.meter.call(Way.STASIS, order.direction))
        return cls(order, desk, Ids(call_id, order.direction, order.channel), journal)

    @classmethod
    def resuming(cls, talk: Talk, desk: Desk) -> Self:
        """A talk that went on in Asterisk without a service."""
        runner = cls(talk.order, desk, talk.ids, talk.journal)
        runner._first_event, runner._began_at = talk.resumed, EVER
        runner._actions.resume(talk)
        runner._answer_gate(None)
        return runner

    @property
    def has_talked(self) -> bool:
        """True if the two have been connected: a stopping service lets such a call run to its end."""
        return self.is_talking or self._call.has_talked or self._call.outcome is not None

    @property
    def is_talking(self) -> bool:
        """True while the two are connected, and would talk on without us."""
        # also true of a talk that is about to be taken up
        about_to = self._call.stage is Stage.GATE and isinstance(self._first_event, on.TalkResumed)
        return about_to or self._call.stage is Stage.TALK

    def take(self, event: dict[str, Any], arrived: datetime | None = None) -> None:
        """Translate an ARI event and queue it. Called from the reader, so it does no more. ``arrived``: None means now."""
        actions = self._actions
        if actions.take_note(event, arrived):
            return
        meaning = translate(
            event, self.ids, actions.player.playbacks, actions.recorder.name, self._began_at, arrived
        )
        if event["type"] == "PlaybackStarted" and self._call.stage is Stage.NOTICE:
            self._notice_began()
        if isinstance(meaning, on.RecorderStopped) and not actions.recorder.is_stopping:
            # the callee's hang-up ends it too, and is reported a moment later
            ended = functools.partial(self._recorder_ended, actions.recorder.name)
            self._inbox.later("recorder ended", HANG_UP_SECONDS, ended)
        elif isinstance(meaning, on.LedAway):
            if self.is_talking:
                # a hang-up takes the party out of the bridge too; if it is reported in time, this event means nothing
                led_away = functools.partial(self._led_away, event["channel"]["id"], meaning)
                self._inbox.later(f"led away {meaning.party}", LEAVE_SECONDS, led_away)
        elif meaning is not None:
            self._inbox.put(meaning)

    def _recorder_ended(self, name: str | None) -> None:
        """Queue that the recorder ended by itself, unless the call has started another one since."""
        if self._actions.recorder.name == name:
            self._inbox.put(on.RecorderStopped())

    def _led_away(self, channel: str, led_away: on.LedAway) -> None:
        """Queue that a party left the talk. Ignore an agent who has handed it over since: many phones hang up then."""
        if self.ids.channel(led_away.party) == channel:
            self._inbox.put(led_away)

    def _notice_began(self) -> None:
        if self._call.declared.answering_machine is None:
            self._journal.meter.notice_began()

    def lose(self, channel: str) -> None:
        """Another channel has replaced one of the call's channels: see ``Switchboard``."""
        for party in Party:
            if self.ids.channel(party) == channel:
                self._inbox.put(on.Gone(party))

    def voice(self, right: Right) -> None:
        """The agent has entered a right of the callee at their screen."""
        self._inbox.put(on.RightVoiced(right, datetime.now(UTC)))

    def let_go(self, why: Literal["shutdown", "asterisk_lost"]) -> None:
        """Tell the call to end, after the events that cannot be undone: see :meth:`Inbox.let_go`."""
        self._inbox.let_go(why)

    async def run(self) -> None:
        """Run the call to its end. It raises nothing unless cancelled, so one call's fault does not harm another.

        When cancelled, it first registers each pressed right that is not known to be durable. When cancelled
        again, it stops doing so.
        """
        try:
            await self._live()
        except asyncio.CancelledError:
            # the call took too long to end: the next service deals with everything else that is undone
            await self._register_rest()
            raise
        finally:
            self._inbox.close()
            self._actions.leave_board()
            self._answer_gate(Block.STORE_UNAVAILABLE)

    async def _live(self) -> None:
        """Run the call to its end, even if it fails."""
        try:
            await self._step(self._first_event)
            while self._call.stage is not Stage.CLOSED:
                await self._step(await self._inbox.next(self._call.stage))
        except Exception:  # noqa: BLE001 - logged
            _log.exception("call_failed", call_id=str(self.ids.call))
            await self._abandon()
        # pressed while the call was being closed: an Asterisk that gives no answer may not have hung up whoever pressed it
        if await self._register_rest():
            await self._carry_out_each(do.LeaveTalk())

    async def _abandon(self) -> None:
        """End a call that has failed: register each pressed right, then give back or hang up its channels."""
        await self._register_rest()
        call = self._call
        outcome = call.outcome or (Outcome.BRIDGED if call.has_talked else Outcome.FAILED)
        # a call that only had to be closed keeps its reason
        reason = call.reason if call.stage is Stage.CLOSED else "internal_error"
        ended = do.Note("call_ended", {"outcome": outcome.value, "reason": reason})
        await self._carry_out_each(do.GiveBack(outcome, reason), do.SettleRecording())
        await self._carry_out_each(*([] if self._end_noted else [ended]), do.CloseCall(outcome, reason))

    async def _register_rest(self) -> bool:
        """Register each pressed right that is not known to be durable, even of a call that is closed. If interrupted, the next call of
        this method continues there. True if one was waiting.
        """
        undecided = [] if self._undecided is None else pressed(self._call, self._undecided)
        self._undecided = None
        await self._carry_out_for_rights([*self._undone, *undecided])
        was_waiting = False
        while (event := self._inbox.next_right()) is not None:
            was_waiting = True
            await self._carry_out_for_rights(self._decide_on_right(event))
        return was_waiting

    def _decide_on_right(self, event: Event) -> list[do.Command]:
        is_closed = self._call.stage is Stage.CLOSED
        # a closed call decides nothing more
        call = replace(self._call, stage=Stage.CLOSE) if is_closed else self._call
        try:
            after, commands = decide(call, event)
        except Exception:  # noqa: BLE001 - logged
            _log.exception("call_failed", call_id=str(self.ids.call))
            return pressed(call, event)
        self._call = replace(after, stage=Stage.CLOSED) if is_closed else after
        return commands

    async def _carry_out_for_rights(self, commands: Sequence[do.Command]) -> None:
        """Carry out only the commands that a pressed right needs. The end of the call is not one: it is noted already, or by whoever ends it."""
        rest: list[do.Command] = [
            each
            for each in commands
            if isinstance(each, do.Note | do.StopRecorder | do.CutRecording | do.RegisterRight)
            and not _tells_the_end(each)
        ]
        while rest:
            self._undone = rest
            await self._carry_out_each(rest[0])
            rest = rest[1:]
        self._undone = []

    async def _carry_out_each(self, *commands: do.Command) -> None:
        """Carry out each command, even if others fail."""
        for command in commands:
            try:
                await self._carry_out([command])
            except Exception:  # noqa: BLE001 - logged
                _log.exception("call_not_closed", call_id=str(self.ids.call))

    async def _step(self, event: Event) -> None:
        self._undecided = event
        await self._hear(event)
        self._call, commands = decide(self._call, event)
        self._undecided, self._undone = None, list(commands)
        self._actions.show(self._call)
        await self._carry_out(commands)
        if isinstance(event, on.KeyPressed | on.AgentKeyPressed):
            await self._actions.pass_on_keys()
        await self._keeper.keep(self._call, self._actions.keep_talk)

    async def _carry_out(self, commands: Sequence[do.Command]) -> None:
        for command in commands:
            match command:
                case do.Note(name, fields):
                    self._journal.note(name, fields)
                    self._end_noted |= name == "call_ended"
                case do.SetTimer(timer, seconds):
                    self._inbox.arm(timer, seconds)
                case _:
                    await self._act(command)
            self._undone = self._undone[1:]

    async def _act(self, command: do.Action) -> None:
        """Carry out a command in Asterisk, in the database or on the agent's card, and queue the event that follows."""
        if isinstance(command, do.HandOver):
            self._forget_agent()
        try:
            result = await self._actions.carry_out(command)
        except CcariError as error:
            _log.warning(
                "command_failed",
                call_id=str(self.ids.call),
                command=type(command).__name__,
                reason=str(error),
            )
            result = on.Failed(
                command, refused=isinstance(error, Refused | NoMedia | TooLate | SoundsReplaced)
            )
            if isinstance(error, Refused) and isinstance(command, do.Bridge):
                # one of the two is hanging up, which is reported a moment later
                self._inbox.later("not bridged", LEAVE_SECONDS, functools.partial(self._inbox.put, result))
                return
            if isinstance(command, do.StartRecorder):
                # only the reply may have been lost: the recorder was taken down, but its start may be queued
                self._inbox.recorder_gone()
        if result == on.Failed(do.Dial()):
            # Asterisk hangs up a callee's channel whose time is not lengthened after the dial: the callee has not hung up
            self._inbox.put_before(result, _may_be_cut)
            return
        if isinstance(command, do.Play) and result is None:
            self._await_playback(command.party)
        if isinstance(result, on.CalleeAnswered) and self._inbox.awaits(on.HoldEnded()):
            # the callee came off hold while Asterisk was asked
            result = on.CalleeAnswered()
        if isinstance(result, on.RightSpooled):
            self._keeper.put_off(self._call)
        if result is not None:
            self._inbox.put(result)

    def _is_ending(self) -> bool:
        """Whether an event is waiting after which nobody may be connected. An agent's hang-up is one only if
        the agent was there before the callee; an agent rung during the notice does not end it.
        """
        began = self.ids.direction in {Direction.OUTBOUND, Direction.AGENT_FIRST}
        return self._inbox.awaits_any(
            lambda event: (
                isinstance(event, on.LetGo)
                or (isinstance(event, on.Gone) and (event.party is Party.CALLEE or began))
            )
        )

    async def _hear(self, event: Event) -> None:
        """Do what the service must do before the call decides upon the event."""
        match event:
            case on.RecorderStarted():
                with contextlib.suppress(CcariError):
                    await self._actions.recorder.started(datetime.now(UTC))
            case on.RecorderStopped():
                await self._actions.recorder.ended(datetime.now(UTC))
            case on.TimeRanOut(Timer.RECORDER) if self._call.recorder is RecorderState.STARTING:
                # the recorder may still start, and in stereo the agent's side is already recording
                await self._actions.recorder.detach()
            case on.GateAllowed():
                self._answer_gate(None)
            case on.GateBlocked(block):
                self._answer_gate(block)

    def _forget_agent(self) -> None:
        self._actions.player.playbacks.pop(Party.AGENT, None)
        self._inbox.agent_replaced()

    def _answer_gate(self, block: Block | None) -> None:
        """Set ``gated``, once: the caller of :meth:`Switchboard.place` waits for it."""
        if not self.gated.done():
            self.gated.set_result(block)

    def _await_playback(self, party: Party) -> None:
        """Limit the wait for a playback's end. If it is not reported in time, the prompt counts as not heard,
        and the call goes on.
        """
        playback = self._actions.player.playbacks[party]
        seconds = playback.duration_ms / 1000 + PLAYBACK_GRACE_SECONDS
        self._inbox.later(f"playback {party}", seconds, functools.partial(self._playback_overdue, playback))

    def _playback_overdue(self, playback: Playback) -> None:
        if self._actions.player.playbacks.get(playback.party) is playback:
            self._inbox.put(on.Played(playback.prompt, whole=False, party=playback.party))


def _tells_the_end(command: do.Command) -> bool:
    return isinstance(command, do.Note) and command.event == "call_ended"


def _may_be_cut(event: Event) -> bool:
    """True for the end of the callee's channel, if Asterisk may have hung it up itself. It then names no cause, or 16."""
    return isinstance(event, on.Gone) and event.party is Party.CALLEE and event.cause in {0, 16}
