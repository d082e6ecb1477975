"""One call's life in the service: a loop that takes one event at a time, has ``policy.call`` decide, and acts on it."""

import asyncio
import contextlib
import functools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Self
from uuid import uuid4

import structlog

from ccari.calls.actions import Actions
from ccari.calls.desk import Desk, Order
from ccari.calls.events import EVER, Ids, Playback, translate
from ccari.calls.inbox import Inbox
from ccari.calls.opening import Closed
from ccari.calls.talks import Talk
from ccari.calls.transport import Refused
from ccari.errors import CcariError, StoreError
from ccari.gating.journal import Journal
from ccari.policy.call import Call, Direction, Event, Outcome, Party, Recorder, Stage, Timer, decide, resuming
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.keys import pressed
from ccari.policy.gate import Block
from ccari.policy.rights import Right
from ccari.ports.metering import Way

_log = structlog.get_logger()

#: Between the end of a recording and the hang-up that has ended it, as Asterisk reports them.
HANG_UP_SECONDS = 0.3
#: Between a party's leaving the talk, or Asterisk's refusal to begin it, and the hang-up that it comes of, as a busy Asterisk reports them.
LEAVE_SECONDS = 1.0
#: How much longer than its file a playback may take to be reported finished.
PLAYBACK_GRACE_SECONDS = 5.0
#: Until it is tried again to keep what a talk is taken up with, while the database is away: each try holds up the call.
KEEP_AGAIN_SECONDS = 5.0


class CallRunner:
    """Belongs to the one task that runs :meth:`run`. The other public methods are called from outside that task: they take note of what was
    reported, queue what it means to the call, and await nothing.
    """

    def __init__(self, order: Order, desk: Desk, ids: Ids, journal: Journal) -> None:
        self.ids = ids
        #: The gate's answer: None if it lets the call through, else why not.
        self.gated: asyncio.Future[Block | None] = asyncio.get_running_loop().create_future()
        self._first_event: Event = on.CallRequested(order.direction)
        self._began_at = datetime.now(UTC)
        self._journal = journal
        self._actions = Actions(order, ids, desk, journal, self._is_ending)
        self._inbox = Inbox()
        self._call = Call()
        #: For a call that fails: the event that is not decided upon yet, the commands that are not carried out yet, and whether
        #: the journal has the call's end.
        self._undecided: Event | None = None
        self._undone: list[do.Command] = []
        self._end_noted = False
        #: What the talk is taken up with after a crash, as the database has it; as it was last tried to keep, or need not be kept;
        #: and, by the loop's clock, when to try again.
        self._kept: Mapping[str, Any] | None = None
        self._keep_tried: Mapping[str, Any] | None = None
        self._keep_at = 0.0

    @classmethod
    def of(cls, order: Order, desk: Desk) -> Self:
        """A call that begins."""
        call_id = uuid4()
        journal = Journal(call_id, order.agent, desk.meter.call(Way.STASIS, order.direction))
        return cls(order, desk, Ids(call_id, order.direction, order.channel), journal)

    @classmethod
    def resuming(cls, talk: Talk, desk: Desk) -> Self:
        """A talk that went on while nobody ran it."""
        runner = cls(talk.order, desk, talk.ids, talk.journal)
        runner._first_event, runner._began_at = talk.resumed, EVER
        runner._actions.resume(talk)
        runner._answer_gate(None)
        return runner

    @property
    def has_talked(self) -> bool:
        """True if the two were brought together: a service that stops lets such a call come to its end."""
        return self.is_talking or self._call.has_talked or self._call.outcome is not None

    @property
    def is_talking(self) -> bool:
        """True while the two are together: without us they talk on."""
        # so they do in a talk that is only about to be taken up
        about_to = self._call.stage is Stage.GATE and isinstance(self._first_event, on.TalkResumed)
        return about_to or self._call.stage is Stage.TALK

    def take(self, event: dict[str, Any], arrived: datetime | None = None) -> None:
        """Translate an ARI event and queue it. Called from the reader, so it does no more. ``arrived``: None is now."""
        actions = self._actions
        if actions.take_note(event, arrived):
            return
        meaning = translate(
            event, self.ids, actions.player.playbacks, actions.recorder.name, self._began_at, arrived
        )
        if event["type"] == "PlaybackStarted" and self._call.stage is Stage.NOTICE:
            self._notice_began()
        if isinstance(meaning, on.RecorderStopped) and not actions.recorder.is_stopping:
            # a callee who hangs up ends it too, and that is told a moment later
            ended = functools.partial(self._recorder_ended, actions.recorder.name)
            self._inbox.later("recorder ended", HANG_UP_SECONDS, ended)
        elif isinstance(meaning, on.LedAway):
            if self.is_talking:
                # whoever hangs up leaves the bridge too, and then nothing is left for this to mean
                led_away = functools.partial(self._led_away, event["channel"]["id"], meaning)
                self._inbox.later(f"led away {meaning.party}", LEAVE_SECONDS, led_away)
        elif meaning is not None:
            self._inbox.put(meaning)

    def _recorder_ended(self, name: str | None) -> None:
        """A recorder has ended by itself, a moment ago. If the call has begun another one since, that runs on."""
        if self._actions.recorder.name == name:
            self._inbox.put(on.RecorderStopped())

    def _led_away(self, channel: str, led_away: on.LedAway) -> None:
        """A party has left the talk, a moment ago. An agent who has handed it over since has only hung up, as many phones do then."""
        if self.ids.channel(led_away.party) == channel:
            self._inbox.put(led_away)

    def _notice_began(self) -> None:
        if self._call.declared.answering_machine is None:
            self._journal.meter.notice_began()

    def lose(self, channel: str) -> None:
        """Somebody else has taken the place of a channel of the call: see ``Switchboard``."""
        for party in Party:
            if self.ids.channel(party) == channel:
                self._inbox.put(on.Gone(party))

    def voice(self, right: Right) -> None:
        """The agent has entered a right of the callee's at their screen."""
        self._inbox.put(on.RightVoiced(right, datetime.now(UTC)))

    def withdraw(self, why: Literal["shutdown", "asterisk_lost"]) -> None:
        """Tell the call to end, once it has heard what cannot be undone: see :meth:`Inbox.let_go`."""
        self._inbox.let_go(why)

    async def run(self) -> None:
        """Run the call to its end. It never raises, so that one call's fault does no harm to another.

        One that is cancelled registers first each right that was pressed, and is not known to be durable; cancelled once more, it does not.
        """
        try:
            await self._live()
        except asyncio.CancelledError:
            # it has taken longer than a call may to end: the next service finds all else that is left undone
            if self._call.stage is not Stage.CLOSED:
                await self._register_rest()
            raise
        finally:
            self._inbox.close()
            self._actions.leave_board()
            self._answer_gate(Block.STORE_UNAVAILABLE)

    async def _live(self) -> None:
        """Run the call to its end, whether or not it fails."""
        try:
            await self._step(self._first_event)
            while self._call.stage is not Stage.CLOSED:
                await self._step(await self._inbox.next(self._call.stage))
        except Exception:  # noqa: BLE001 - logged
            _log.exception("call_failed", call_id=str(self.ids.call))
            await self._abandon()

    async def _abandon(self) -> None:
        """End a call that has failed: register each right that was pressed, then give back or hang up all that it holds."""
        await self._register_rest()
        call = self._call
        outcome = call.outcome or (Outcome.BRIDGED if call.has_talked else Outcome.FAILED)
        # a call that only had to be closed keeps its reason
        reason = call.reason if call.stage is Stage.CLOSED else "internal_error"
        ended = do.Note("call_ended", {"outcome": outcome.value, "reason": reason})
        await self._carry_out_each(do.GiveBack(outcome, reason), do.SettleRecording())
        await self._carry_out_each(*([] if self._end_noted else [ended]), do.CloseCall(outcome, reason))

    async def _register_rest(self) -> None:
        """Register each right that was pressed, and is not known to be durable. One that is cut goes on where it was when it is called again."""
        undecided = [] if self._undecided is None else pressed(self._call, self._undecided)
        self._undecided = None
        await self._carry_out_for_rights([*self._undone, *undecided])
        while (event := self._inbox.next_right()) is not None:
            try:
                self._call, commands = decide(self._call, event)
            except Exception:  # noqa: BLE001 - logged
                _log.exception("call_failed", call_id=str(self.ids.call))
                commands = pressed(self._call, event)
            await self._carry_out_for_rights(commands)

    async def _carry_out_for_rights(self, commands: Sequence[do.Command]) -> None:
        """Of the commands, only what a right that was pressed needs."""
        rest: list[do.Command] = [
            each for each in commands if isinstance(each, do.Note | do.StopRecorder | do.RegisterRight)
        ]
        while rest:
            self._undone = rest
            await self._carry_out_each(rest[0])
            rest = rest[1:]
        self._undone = []

    async def _carry_out_each(self, *commands: do.Command) -> None:
        """Carry out each command even if others fail."""
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
        await self._keep_talk()

    async def _keep_talk(self) -> None:
        """Keep what the talk is taken up with after a crash, where it has changed. A call that is ending needs none."""
        kept = resuming.to_keep(self._call)
        if kept == self._kept or self._call.stage in {Stage.CLOSE, Stage.CLOSED}:
            return
        waits = asyncio.get_running_loop().time() < self._keep_at
        if waits and not resuming.is_stricter(kept, self._keep_tried):
            return
        self._keep_tried = kept
        try:
            await self._actions.keep_talk(kept)
        except StoreError as error:
            _log.warning("talk_not_kept", call_id=str(self.ids.call), reason=str(error))
            self._keep_later()
        else:
            self._kept = kept

    def _keep_later(self) -> None:
        """The database is away, and somebody on the line is waiting: try again when it may be back."""
        self._keep_at = asyncio.get_running_loop().time() + KEEP_AGAIN_SECONDS
        self._inbox.arm(Timer.KEEP, KEEP_AGAIN_SECONDS)

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

    async def _act(self, command: do.Command) -> None:
        """Have Asterisk, the database or the agent's card carry out a command, and queue what comes of it."""
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
            result = on.Failed(command, refused=isinstance(error, Refused | Closed))
            if isinstance(error, Refused) and isinstance(command, do.Bridge):
                # one of the two is hanging up, and that is told a moment later
                self._inbox.later("not bridged", LEAVE_SECONDS, functools.partial(self._inbox.put, result))
                return
            if isinstance(command, do.StartRecorder):
                # its reply was lost, and the recorder was taken down again since it began
                self._inbox.recorder_gone()
        if isinstance(command, do.Play) and result is None:
            self._await_playback(command.party)
        if isinstance(result, on.CalleeAnswered) and self._inbox.awaits(on.HoldEnded()):
            # they came back while Asterisk was asked whether they were on hold
            result = on.CalleeAnswered()
        if isinstance(result, on.RightSpooled):
            # what the right forbids is on this node's disk by now, and whoever pressed waits for the answer
            self._keep_tried = resuming.to_keep(self._call)
            self._keep_later()
        if result is not None:
            self._inbox.put(result)

    def _is_ending(self) -> bool:
        """Whether something waits to be heard after which nobody is to be connected. An agent who is rung beside a notice does not end it."""
        began = self.ids.direction in {Direction.OUTBOUND, Direction.AGENT_FIRST}
        return self._inbox.awaits_any(
            lambda event: (
                isinstance(event, on.Withdrawn)
                or (isinstance(event, on.Gone) and (event.party is Party.CALLEE or began))
            )
        )

    async def _hear(self, event: Event) -> None:
        """What has to happen in the service before the call decides upon the event."""
        match event:
            case on.RecorderStarted():
                with contextlib.suppress(CcariError):
                    await self._actions.recorder.started(datetime.now(UTC))
            case on.RecorderStopped():
                await self._actions.recorder.ended(datetime.now(UTC))
            case on.TimeRanOut(Timer.RECORDER) if self._call.recorder is Recorder.STARTING:
                # it may come yet, and the agent's side of it runs already
                await self._actions.recorder.let_go()
            case on.GateAllowed():
                self._answer_gate(None)
            case on.GateBlocked(block):
                self._answer_gate(block)

    def _forget_agent(self) -> None:
        self._actions.player.playbacks.pop(Party.AGENT, None)
        self._inbox.agent_replaced()

    def _answer_gate(self, block: Block | None) -> None:
        """Set ``gated``, once: whoever has placed the call waits for it."""
        if not self.gated.done():
            self.gated.set_result(block)

    def _await_playback(self, party: Party) -> None:
        """Set a limit to a playback: if its final event does not come, it counts as not heard, and the call goes on."""
        playback = self._actions.player.playbacks[party]
        seconds = playback.duration_ms / 1000 + PLAYBACK_GRACE_SECONDS
        self._inbox.later(f"playback {party}", seconds, functools.partial(self._playback_overdue, playback))

    def _playback_overdue(self, playback: Playback) -> None:
        if self._actions.player.playbacks.get(playback.party) is playback:
            self._inbox.put(on.Played(playback.prompt, whole=False, party=playback.party))
