"""One call's life in the service: a loop that decides and acts, one event at a time."""

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
from ccari.calls.talks import Talk
from ccari.calls.transport import Refused
from ccari.errors import CcariError, StoreError
from ccari.gating.journal import Journal
from ccari.policy.call import Call, Event, Outcome, Party, Recorder, Stage, Timer, decide, resuming
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.keys import pressed
from ccari.policy.gate import Block
from ccari.policy.rights import Right
from ccari.ports.metering import Way

_log = structlog.get_logger()

#: Between the end of a recording and the hang-up that has ended it, as Asterisk reports them.
HANG_UP_SECONDS = 0.3
#: How much longer than its file a playback may take to be reported finished.
PLAYBACK_GRACE_SECONDS = 5.0
#: Until it is tried again to keep what a talk is taken up with, while the database is away: each try holds up the call.
KEEP_AGAIN_SECONDS = 5.0


class CallRunner:
    """Owned by one task, which :meth:`run` is; :meth:`take` and :meth:`withdraw` are called from others."""

    def __init__(self, order: Order, desk: Desk, ids: Ids, journal: Journal) -> None:
        self.ids = ids
        #: Why it is no call; None once it is one.
        self.gated: asyncio.Future[Block | None] = asyncio.get_running_loop().create_future()
        self._began: Event = on.CallRequested(order.direction)
        self._since = datetime.now(UTC)
        self._journal = journal
        self._actions = Actions(order, ids, desk, journal)
        self._inbox = Inbox()
        self._call = Call()
        self._kept: Mapping[str, Any] | None = None
        #: What is heard and not decided upon, decided and not done, and whether the end is on record: for a call that fails.
        self._hearing: Event | None = None
        self._to_do: list[do.Command] = []
        self._has_ended = False
        #: The last that was tried to keep, or need not be.
        self._asked: Mapping[str, Any] | None = None
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
        made = cls(talk.order, desk, talk.ids, talk.journal)
        made._began, made._since = talk.resumed, EVER
        made._actions.resume(talk)
        made._told(None)
        return made

    @property
    def has_talked(self) -> bool:
        """True if the two were brought together: whoever stops the service lets them come to an end."""
        return self._call.has_talked or self._call.outcome is not None

    @property
    def is_talking(self) -> bool:
        """True while the two are together: without us they talk on."""
        return self._call.stage is Stage.TALK

    def take(self, event: dict[str, Any], arrived: datetime | None = None) -> None:
        """Hear an ARI event that has just ``arrived``, or then; called from the reader, so it only translates and queues."""
        actions = self._actions
        if actions.heard(event):
            return
        since, recording = self._since, actions.recorder.name
        meaning = translate(event, self.ids, actions.player.playbacks, recording, since, arrived)
        if event["type"] == "PlaybackStarted" and self._call.stage is Stage.NOTICE:
            self._notice_began()
        if isinstance(meaning, on.RecorderStopped) and not actions.recorder.is_stopping:
            # a callee who hangs up ends it too, and that is told a moment later
            self._inbox.later("recorder ended", HANG_UP_SECONDS, functools.partial(self._inbox.put, meaning))
        elif meaning is not None:
            self._inbox.put(meaning)

    def _notice_began(self) -> None:
        if self._call.declared.answering_machine is None:
            self._journal.meter.notice_began()

    def voice(self, right: Right) -> None:
        """The agent has entered a right of the callee's at their screen."""
        self._inbox.put(on.RightVoiced(right, datetime.now(UTC)))

    def withdraw(self, why: Literal["shutdown", "asterisk_lost"]) -> None:
        """Let go of the call, once it has heard of what cannot be undone. That Asterisk is lost is the last word."""
        self._inbox.let_go(why)

    async def run(self) -> None:
        """Live the call to its end. It never raises, whatever happens: one call's fault is no other's."""
        try:
            await self._live()
        except Exception:  # noqa: BLE001 - logged
            _log.exception("call_failed", call_id=str(self.ids.call))
            await self._abandon()
        finally:
            self._inbox.close()
            self._actions.leave_board()
            self._told(Block.STORE_UNAVAILABLE)

    async def _abandon(self) -> None:
        """Give up everything the call holds, but no right that was pressed; the agent is not left in silence."""
        undecided = [] if self._hearing is None else pressed(self._call, self._hearing)
        await self._heed([*self._to_do, *undecided])
        while (event := self._inbox.next_right()) is not None:
            try:
                self._call, commands = decide(self._call, event)
            except Exception:  # noqa: BLE001 - logged
                _log.exception("call_failed", call_id=str(self.ids.call))
                commands = pressed(self._call, event)
            await self._heed(commands)
        call = self._call
        outcome = call.outcome or (Outcome.BRIDGED if call.has_talked else Outcome.FAILED)
        # one that was only to be closed ends as what it was
        reason = call.reason if call.stage is Stage.CLOSED else "internal_error"
        ended = do.Note("call_ended", {"outcome": outcome.value, "reason": reason})
        await self._try(do.GiveBack(outcome, reason), do.SettleRecording())
        await self._try(*([] if self._has_ended else [ended]), do.CloseCall(outcome, reason))

    async def _heed(self, commands: Sequence[do.Command]) -> None:
        """Of what would follow, what a right that was pressed needs."""
        await self._try(
            *(each for each in commands if isinstance(each, do.Note | do.StopRecorder | do.RegisterRight))
        )

    async def _try(self, *commands: do.Command) -> None:
        """Each, whatever becomes of the others."""
        for command in commands:
            try:
                await self._carry_out([command])
            except Exception:  # noqa: BLE001 - logged
                _log.exception("call_not_closed", call_id=str(self.ids.call))

    async def _live(self) -> None:
        await self._step(self._began)
        while self._call.stage is not Stage.CLOSED:
            await self._step(await self._inbox.next(self._call.stage))

    async def _step(self, event: Event) -> None:
        self._hearing = event
        await self._hear(event)
        self._call, commands = decide(self._call, event)
        self._hearing, self._to_do = None, list(commands)
        self._actions.show(self._call)
        await self._carry_out(commands)
        await self._remember()

    async def _remember(self) -> None:
        """Keep what the talk is to be taken up with, as it is now; of one that ends, its end is kept."""
        kept = resuming.kept(self._call)
        if kept == self._kept or self._call.stage in {Stage.CLOSE, Stage.CLOSED}:
            return
        waits = asyncio.get_running_loop().time() < self._keep_at
        if waits and not resuming.is_stricter(kept, self._asked):
            return
        self._asked = kept
        try:
            await self._actions.remember(kept)
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
                    self._has_ended |= name == "call_ended"
                case do.SetTimer(timer, seconds):
                    self._inbox.arm(timer, seconds)
                case _:
                    if isinstance(command, do.HandOver):
                        self._forget_agent()
                    try:
                        result = await self._actions.carry_out(command)
                    except CcariError as error:
                        _log.warning("command_failed", call_id=str(self.ids.call), command=type(command).__name__,
                                     reason=str(error))  # fmt: skip
                        result = on.Failed(command, refused=isinstance(error, Refused))
                        if isinstance(command, do.StartRecorder):
                            # its reply was lost, and the recorder was taken down again since it began
                            self._inbox.recorder_gone()
                    if isinstance(command, do.Play) and result is None:
                        self._await_playback(command.party)
                    if isinstance(result, on.RightSpooled):
                        # what it forbids is on the disk, and whoever pressed waits for the answer
                        self._asked = resuming.kept(self._call)
                        self._keep_later()
                    if result is not None:
                        self._inbox.put(result)
            self._to_do = self._to_do[1:]

    async def _hear(self, event: Event) -> None:
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
                self._told(None)
            case on.GateBlocked(block):
                self._told(block)

    def _forget_agent(self) -> None:
        self._actions.player.playbacks.pop(Party.AGENT, None)
        self._inbox.agent_replaced()

    def _told(self, block: Block | None) -> None:
        if not self.gated.done():
            self.gated.set_result(block)

    def _await_playback(self, party: Party) -> None:
        """A missing final event must not hold the call for ever, nor count as heard."""
        playback = self._actions.player.playbacks[party]
        seconds = playback.duration_ms / 1000 + PLAYBACK_GRACE_SECONDS
        self._inbox.later(f"playback {party}", seconds, functools.partial(self._playback_overdue, playback))

    def _playback_overdue(self, playback: Playback) -> None:
        if self._actions.player.playbacks.get(playback.party) is playback:
            self._inbox.put(on.Played(playback.prompt, whole=False, party=playback.party))
