"""One call's life in the service: a bounded inbox, timers, and a loop that decides and acts, one event at a time."""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Self
from uuid import uuid4

import structlog

from ccari.calls.actions import Actions
from ccari.calls.desk import Desk, Order
from ccari.calls.events import Ids, Playback, translate
from ccari.calls.talks import Talk
from ccari.errors import CcariError, StoreError
from ccari.gating.journal import Journal
from ccari.policy.call import Call, Event, Outcome, Party, Stage, decide, resuming
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.gate import Block
from ccari.policy.rights import Right
from ccari.ports.metering import Way

_log = structlog.get_logger()

#: A call has a few dozen events; a callee who drums on the keys makes some hundreds.
INBOX_EVENTS = 256
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
        self._inbox: asyncio.Queue[Event] = asyncio.Queue(INBOX_EVENTS)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._call = Call()
        self._kept: Mapping[str, Any] | None = None
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
        made._began = talk.resumed
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

    def take(self, event: dict[str, Any]) -> None:
        """Hear an ARI event; called from the reader, so it only translates and queues."""
        actions = self._actions
        if actions.heard(event):
            return
        meaning = translate(event, self.ids, actions.player.playbacks, actions.recorder.name, self._since)
        if event["type"] == "PlaybackStarted" and self._call.stage is Stage.NOTICE:
            self._notice_began()
        if isinstance(meaning, on.RecorderStopped) and not actions.recorder.is_stopping:
            # a callee who hangs up ends it too, and that is told a moment later
            self._later("recorder ended", HANG_UP_SECONDS, functools.partial(self._put, meaning))
        elif meaning is not None:
            self._put(meaning)

    def _notice_began(self) -> None:
        if self._call.declared.answering_machine is None:
            self._journal.meter.notice_began()

    def voice(self, right: Right) -> None:
        """The agent has entered a right of the callee's at their screen."""
        self._put(on.RightVoiced(right, datetime.now(UTC)))

    def withdraw(self, why: Literal["shutdown", "asterisk_lost"]) -> None:
        """Let go of the call, once it has heard what happened before. That Asterisk is lost is the last word."""
        # one waits at most: two would each let the other go first
        earlier = self._forget(lambda waiting: isinstance(waiting, on.Withdrawn))
        lost = on.Withdrawn("asterisk_lost")
        self._put(lost if lost in earlier else on.Withdrawn(why))

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
            self._actions.leave_board()
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
        await self._step(self._began)
        while self._call.stage is not Stage.CLOSED:
            event = await self._inbox.get()
            if isinstance(event, on.Withdrawn) and not self._inbox.empty():
                # what has happened before is heard first: a right that is durable by now, say
                self._put(event)
            else:
                await self._step(event)

    async def _step(self, event: Event) -> None:
        await self._hear(event)
        self._call, commands = decide(self._call, event)
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
        # an event that means nothing to the call
        self._later("keep", KEEP_AGAIN_SECONDS, functools.partial(self._put, on.TimeRanOut("keep")))

    async def _carry_out(self, commands: Sequence[do.Command]) -> None:
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
                    if isinstance(result, on.RightSpooled):
                        # what it forbids is on the disk, and whoever pressed waits for the answer
                        self._asked = resuming.kept(self._call)
                        self._keep_later()
                    if result is not None:
                        self._put(result)

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
        self._actions.player.playbacks.pop(Party.AGENT, None)
        self._forget(_is_of_the_agent)

    def _forget(self, stale: Callable[[Event], bool]) -> list[Event]:
        """Take what is stale out of the inbox; give that."""
        forgotten = []
        for event in [self._inbox.get_nowait() for _ in range(self._inbox.qsize())]:
            if stale(event):
                forgotten.append(event)
            else:
                self._inbox.put_nowait(event)
        return forgotten

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
        playback = self._actions.player.playbacks[party]
        seconds = playback.duration_ms / 1000 + PLAYBACK_GRACE_SECONDS
        self._later(f"playback {party}", seconds, functools.partial(self._playback_overdue, playback))

    def _playback_overdue(self, playback: Playback) -> None:
        if self._actions.player.playbacks.get(playback.party) is playback:
            self._put(on.Played(playback.prompt, whole=False, party=playback.party))

    def _put(self, event: Event) -> None:
        try:
            self._inbox.put_nowait(event)
        except asyncio.QueueFull:
            # nobody presses 200 keys while one command is carried out: this call goes, the others stay
            waiting = [self._inbox.get_nowait() for _ in range(self._inbox.qsize())]
            # but no right that was pressed: each key once, when it was pressed first, then the end
            pressed: dict[str, Event] = {}
            for each in (*waiting, event):
                if isinstance(each, on.KeyPressed):
                    pressed.setdefault(each.key, each)
                elif isinstance(each, on.RightVoiced):
                    pressed.setdefault(each.right, each)
            for each in pressed.values():
                self._inbox.put_nowait(each)
            self._inbox.put_nowait(on.Withdrawn("overload"))


def _is_of_the_agent(event: Event) -> bool:
    match event:
        case (
            on.AgentCreated()
            | on.AgentAnswered()
            | on.AgentKeyPressed()
            | on.RightVoiced()
            | on.TransferAsked()
        ):
            return True
        case on.Gone(Party.AGENT) | on.Played(party=Party.AGENT):
            return True
        case _:
            return False
