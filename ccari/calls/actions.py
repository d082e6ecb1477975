"""Carrying out the commands of ``policy.call``: one method a command, each with the event it leads to."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import structlog

from ccari.calls.client import Ari
from ccari.calls.events import Ids, Playback
from ccari.calls.journal import Journal
from ccari.errors import AsteriskError, CcariError, ConfigError, RecordingError, SoundError, StoreError
from ccari.policy import deadlines, gate, retention
from ccari.policy.call import RING_SECONDS
from ccari.policy.chain import Entry
from ccari.policy.declaration import Campaign, Controller
from ccari.policy.gate import Block
from ccari.policy.messages import (
    AnswerAgent,
    Bridge,
    Bridged,
    CheckGate,
    CloseCall,
    Command,
    CommitHeard,
    CreateCallee,
    Dial,
    Event,
    GateAllowed,
    GateBlocked,
    Gone,
    HangUp,
    HeardCommitted,
    Outcome,
    Party,
    Play,
    RecordingTagged,
    RegisterRight,
    ReturnAgent,
    RightRegistered,
    RingAgent,
    SettleRecording,
    SpendToken,
    StartRecorder,
    StopPlaying,
    StopRecorder,
    TagRecording,
    TellDialplan,
    TokenRefused,
    TokenSpent,
)
from ccari.policy.numbers import Number, NumberFault, parse
from ccari.ports import (
    Archive,
    CallStore,
    Exercise,
    Kept,
    OpenedCall,
    PolicyBook,
    Prompts,
    RecordingTag,
    RefusedCall,
    Script,
    Secrets,
    Sound,
)

_log = structlog.get_logger()
_T = TypeVar("_T")

#: Asterisk hangs a leg up after this long even if nobody is left to tell it to.
LONGEST_CALL_SECONDS = 4 * 60 * 60
#: For a snoop channel to enter our application.
SNOOP_SECONDS = 3.0
#: The end of a call is worth waiting for a database that restarts.
CLOSE_TRIES = 6
CLOSE_RETRY_SECONDS = 2.0
#: The language in which an agent is told that a call cannot be made, when no campaign says which.
AGENT_LANGUAGE = "pl"


@dataclass(frozen=True, slots=True)
class Order:
    """What the dialplan asked for. ``number`` and ``campaign`` are as they came, unchecked; None: bad arguments."""

    number: str | None
    campaign: str
    channel: str
    agent: str


@dataclass(frozen=True, slots=True)
class Desk:
    """What every call shares."""

    ari: Ari
    asterisk: str
    store: CallStore
    secrets: Secrets
    book: PolicyBook
    prompts: Prompts
    archive: Archive


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a call is made under, from the gate on."""

    controller: Controller
    campaign: Campaign
    number: Number
    opened: OpenedCall
    script: Script


class Actions:
    """The hands of one call. What fails raises a CcariError; the call's loop makes it an event."""

    def __init__(self, order: Order, ids: Ids, desk: Desk, journal: Journal) -> None:
        self._order = order
        self._ids = ids
        self._desk = desk
        self._journal = journal
        self._token = uuid4()
        self._settled: _Terms | None = None
        self._tag: RecordingTag | None = None
        self._keep = True
        self._bridge_made = False
        self.playback: Playback | None = None
        self.recorder_started_at: datetime | None = None
        self.snoop_entered = asyncio.Event()

    @property
    def _terms(self) -> _Terms:
        if self._settled is None:
            raise AssertionError("the gate has not let this call through")
        return self._settled

    async def carry_out(self, command: Command) -> Event | None:  # noqa: C901, PLR0912 - one arm a command
        """Do it; give the event that follows at once, or None if Asterisk will report what came of it."""
        ari, ids = self._desk.ari, self._ids
        match command:
            case CheckGate():
                return await self._check_gate()
            case CreateCallee():
                await self._create_callee()
            case SpendToken():
                return await self._spend_token()
            case Dial():
                await ari.dial(ids.callee, seconds=int(RING_SECONDS) + 5)
            case RingAgent():
                await ari.ring(ids.agent)
            case AnswerAgent():
                await ari.answer(ids.agent)
            case Play(party, prompt):
                await self._play(party, prompt)
            case StopPlaying():
                await self._stop_playing()
            case CommitHeard():
                version = self._terms.script.notice_version
                self._journal.note(
                    "notice_heard", {"notice_version": version, "prompts": ",".join(command.prompts)}
                )
                await self._durably(lambda entries: self._desk.store.commit_heard(ids.call, version, entries))
                return HeardCommitted()
            case TagRecording():
                return await self._tag_recording()
            case StartRecorder():
                await self._start_recorder()
            case StopRecorder(keep):
                self._keep = keep
                await ari.stop_recording(str(ids.recording), keep=keep)
            case Bridge():
                await self._bridge()
                return Bridged()
            case RegisterRight():
                return await self._register(command)
            case HangUp():
                if not await ari.hang_up(ids.callee):
                    return Gone(Party.CALLEE)
            case TellDialplan(outcome, reason):
                await self._tell_dialplan(outcome, reason)
            case ReturnAgent(outcome, reason):
                return await self._return_agent(outcome, reason)
            case SettleRecording():
                await self.let_go()
                await self._settle_recording()
            case CloseCall():
                await self._close(command)
            case _:
                raise AssertionError(command)
        return None

    async def _check_gate(self) -> Event:
        order, desk = self._order, self._desk
        try:
            return await self._ask_gate()
        except (ConfigError, SoundError) as error:
            _log.error("gate_unfit", reason=str(error))
            block = Block.PROMPTS_MISSING if isinstance(error, SoundError) else Block.STORE_UNAVAILABLE
        except _Refusal as refusal:
            block = refusal.block
        await desk.store.open_refused(
            RefusedCall(self._ids.call, self._token, desk.asterisk, order.agent, order.campaign[:40])
        )
        self._journal.opened()
        return GateBlocked(block)

    async def _ask_gate(self) -> Event:
        order, book = self._order, self._desk.book
        if order.number is None:
            raise _Refusal(Block.BAD_ARGUMENTS)
        if book.policy is None:
            await book.reload()
        while True:
            policy, revision = book.policy, book.revision
            if policy is None or revision is None:
                raise _Refusal(Block.NO_POLICY)
            campaign = policy.campaign(order.campaign)
            if campaign is None:
                # perhaps it was declared a moment ago
                await book.reload()
                campaign = book.policy.campaign(order.campaign) if book.policy else None
                if campaign is None:
                    raise _Refusal(Block.UNKNOWN_CAMPAIGN)
                continue
            controller = policy.controller_of(campaign)
            number = parse(order.number, controller.country)
            if isinstance(number, NumberFault):
                raise _Refusal(Block(number.value))
            terms = self._terms_for(controller, campaign, number, revision)
            now = datetime.now(UTC)
            facts, newest = await self._desk.store.open(terms.opened, gate.counts_since(campaign, now))
            if newest == revision:
                break
            await book.reload()
        self._journal.opened()
        self._journal.bind(
            campaign=campaign.id, controller=controller.id, legal_basis=campaign.legal_basis.value,
            number=number.masked,
        )  # fmt: skip
        block = gate.verdict(campaign, controller.country, facts, now)
        if block is not None:
            return GateBlocked(block)
        self._settled = terms
        return GateAllowed(campaign)

    def _terms_for(self, controller: Controller, campaign: Campaign, number: Number, revision: int) -> _Terms:
        desk = self._desk
        opened = OpenedCall(
            id=self._ids.call, token=self._token, asterisk=desk.asterisk, agent=self._order.agent,
            number_masked=number.masked, revision=revision, controller=controller.id, campaign=campaign.id,
            legal_basis=campaign.legal_basis.value, digests=desk.secrets.digests(controller.id, number),
        )  # fmt: skip
        return _Terms(controller, campaign, number, opened, desk.prompts.script(controller, campaign))

    async def _create_callee(self) -> None:
        terms = self._terms
        variables = {"TIMEOUT(absolute)": str(LONGEST_CALL_SECONDS), "CCARI_CALL": str(self._ids.call)}
        if terms.campaign.caller_id is not None:
            # what an outgoing PJSIP channel puts into its From header
            variables["CONNECTEDLINE(num,i)"] = terms.campaign.caller_id
        await self._desk.ari.create_channel(
            self._ids.callee, terms.campaign.dial_string(terms.number), args="callee", originator=self._ids.agent,
            variables=variables,
        )  # fmt: skip

    async def _spend_token(self) -> Event:
        terms = self._terms
        barring = gate.barring(terms.campaign)
        block = await self._durably(
            lambda entries: self._desk.store.spend_token(terms.opened, barring, entries)
        )
        return TokenSpent() if block is None else TokenRefused(block)

    async def _play(self, party: Party, prompt: str) -> None:
        sound = self._sound(prompt)
        channel = self._ids.agent if party is Party.AGENT else self._ids.callee
        # known before the request, for its events may come before the reply
        self.playback = Playback(str(uuid4()), prompt, sound.duration_ms)
        await self._desk.ari.play(channel, self.playback.id, sound.media)

    def _sound(self, prompt: str) -> Sound:
        if self._settled is not None and prompt in self._settled.script.sounds:
            return self._settled.script.sounds[prompt]
        language = self._settled.campaign.language if self._settled else AGENT_LANGUAGE
        return self._desk.prompts.common(prompt, language)

    async def _stop_playing(self) -> None:
        if self.playback is not None:
            self.playback.stopped_by_us = True
            await self._desk.ari.stop_playback(self.playback.id)

    async def _tag_recording(self) -> Event:
        terms, now = self._terms, datetime.now(UTC)
        rules = terms.campaign.recording
        tag = self._tag = RecordingTag(
            recording_id=self._ids.recording, call_id=self._ids.call, controller=terms.controller.id,
            campaign=terms.campaign.id, revision=terms.opened.revision, purpose=terms.campaign.purpose,
            legal_basis=rules.legal_basis.value, mode=rules.mode.value, notice_version=terms.script.notice_version,
            started_at=now, delete_at=retention.delete_at(now, rules.retention_days),
        )  # fmt: skip
        self._journal.note(
            "recording_tagged",
            {"recording": str(self._ids.recording),
 "recording_basis": rules.legal_basis.value, "mode": rules.mode.value,
             "delete_at": tag.delete_at.isoformat(timespec="seconds")},
        )  # fmt: skip
        await self._durably(lambda entries: self._desk.store.tag_recording(tag, entries))
        return RecordingTagged()

    async def _start_recorder(self) -> None:
        ari, ids = self._desk.ari, self._ids
        try:
            await ari.snoop(ids.callee, ids.snoop)
            async with asyncio.timeout(SNOOP_SECONDS):
                await self.snoop_entered.wait()
            await ari.record(ids.snoop, str(ids.recording))
        except (AsteriskError, TimeoutError) as error:
            # a lost reply does not mean that nothing records; the recorder goes with its channel
            self._keep = False
            with contextlib.suppress(AsteriskError):
                await ari.hang_up(ids.snoop)
            if isinstance(error, TimeoutError):
                raise AsteriskError("the recorder's channel did not come") from None
            raise

    async def _bridge(self) -> None:
        ari, ids = self._desk.ari, self._ids
        await ari.create_bridge(ids.bridge)
        self._bridge_made = True
        await ari.add_to_bridge(ids.bridge, ids.agent, ids.callee)

    async def _register(self, command: RegisterRight) -> Event:
        terms, now = self._terms, datetime.now(UTC)
        country = terms.controller.country
        exercise = Exercise(
            right=command.right, key=command.key, number=terms.number.e164, received_at=now,
            due=deadlines.due(now, country), local_year=now.astimezone(ZoneInfo(deadlines.TIME_ZONES[country])).year,
            notice_version=terms.script.notice_version,
        )  # fmt: skip
        reference = await self._durably(
            lambda entries: self._desk.store.register_right(terms.opened, exercise, entries)
        )
        return RightRegistered(command.right, reference)

    async def _tell_dialplan(self, outcome: Outcome, reason: str) -> None:
        told = {"CCARI_CALL": str(self._ids.call), "CCARI_OUTCOME": outcome.value, "CCARI_REASON": reason}
        for name, value in told.items():
            await self._desk.ari.set_variable(self._ids.agent, name, value)

    async def _return_agent(self, outcome: Outcome, reason: str) -> Event | None:
        try:
            await self._tell_dialplan(outcome, reason)
            await self._desk.ari.continue_in_dialplan(self._ids.agent)
        except AsteriskError:
            return Gone(Party.AGENT)
        return None

    async def _settle_recording(self) -> None:
        tag = self._tag
        if tag is not None:
            await _persistently(self._ids.call, lambda: self._close_recording(tag))

    async def _close(self, command: CloseCall) -> None:
        if not self._journal.is_open:
            return
        store, call_id = self._desk.store, self._ids.call
        await _persistently(
            call_id,
            lambda: self._durably(
                lambda entries: store.close(call_id, command.outcome, command.reason, entries)
            ),
        )

    async def let_go(self) -> None:
        """Leave nothing of the call in Asterisk, whatever state it is in."""
        ari, ids = self._desk.ari, self._ids
        releases: list[Callable[[], Awaitable[object]]] = []
        if self._tag is not None:
            releases.append(lambda: ari.hang_up(ids.snoop))
        if self._settled is not None:
            releases.append(lambda: ari.hang_up(ids.callee))
        if self._bridge_made:
            releases.append(lambda: ari.destroy_bridge(ids.bridge))
        for release in releases:
            with contextlib.suppress(AsteriskError):
                await release()

    async def _close_recording(self, tag: RecordingTag) -> None:
        """Bring what was recorded to its place, or make sure that nothing is left."""
        store = self._desk.store
        if self.recorder_started_at is None or not self._keep:
            state = "discarded"
            try:
                await self._desk.archive.discard(tag.recording_id)
            except RecordingError as error:
                _log.error("recording_not_discarded", call_id=str(self._ids.call), reason=str(error))
                state = "failed"
            await self._durably(lambda entries: store.recording_ended(tag, state, entries))
            return
        try:
            await self._desk.ari.recorded(str(tag.recording_id))
        except AsteriskError as error:
            # it may go on for all we know: its file is taken when the link is back
            _log.warning("recording_left", call_id=str(self._ids.call), reason=str(error))
            return
        try:
            kept: Kept = await self._desk.archive.keep(tag)
        except RecordingError as error:
            self._journal.note("recording_lost", {"reason": str(error)})
            await self._durably(lambda entries: store.recording_ended(tag, "failed", entries))
            return
        self._journal.note("recording_stored", {"file": kept.file, "duration_ms": str(kept.duration_ms)})
        await self._durably(lambda entries: store.recording_stored(tag, kept, entries))

    async def recorder_started(self, at: datetime) -> None:
        self.recorder_started_at = at
        await self._desk.store.recording_started(self._ids.recording, at)

    async def _durably(self, write: Callable[[Sequence[Entry]], Awaitable[_T]]) -> _T:
        """Write to the call's rows together with the journal so far."""
        entries = self._journal.take()
        result = await write(entries)
        self._journal.written(entries)
        return result


async def _persistently(call_id: UUID, write: Callable[[], Awaitable[None]]) -> None:
    for attempt in range(1, CLOSE_TRIES + 1):
        try:
            return await write()
        except StoreError as error:
            if attempt == CLOSE_TRIES:
                _log.error("call_not_closed", call_id=str(call_id), reason=str(error))
                return None
            await asyncio.sleep(CLOSE_RETRY_SECONDS)
    return None


class _Refusal(CcariError):  # noqa: N818 - a refusal, told as such
    def __init__(self, block: Block) -> None:
        super().__init__(block.value)
        self.block = block
