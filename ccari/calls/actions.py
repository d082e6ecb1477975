"""Carrying out the commands of ``policy.call``: one method a command, each with the event it leads to."""

import contextlib
from collections.abc import Awaitable, Callable
from uuid import uuid4

from ccari.calls.desk import Desk, Order
from ccari.calls.events import Ids, Playback
from ccari.calls.recorder import Recorder
from ccari.errors import AsteriskError
from ccari.gating.gatekeeper import Gatekeeper, Terms
from ccari.gating.journal import Journal, persistently
from ccari.policy import notices
from ccari.policy.call import RING_SECONDS
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
    RecorderStopped,
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
from ccari.ports.sounds import Sound

#: Asterisk hangs a leg up after this long even if nobody is left to tell it to.
LONGEST_CALL_SECONDS = 4 * 60 * 60
#: The language in which an agent is told that a call cannot be made, when no campaign says which.
AGENT_LANGUAGE = "pl"


class Actions:
    """The hands of one call. What fails raises a CcariError; the call's loop makes it an event."""

    def __init__(self, order: Order, ids: Ids, desk: Desk, journal: Journal) -> None:
        self._ids = ids
        self._desk = desk
        self._journal = journal
        self._gatekeeper = Gatekeeper(order, ids.call, desk, journal)
        self._settled: Terms | None = None
        self._bridge_made = False
        self.recorder = Recorder(ids, desk, journal)
        self.playback: Playback | None = None

    @property
    def _terms(self) -> Terms:
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
                return await self._commit_heard(command)
            case TagRecording():
                await self.recorder.tag(self._terms)
                return RecordingTagged()
            case StartRecorder():
                await self.recorder.start()
            case StopRecorder(keep):
                if not await self.recorder.stop(keep=keep):
                    return RecorderStopped()
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
                await self._let_go()
                await self.recorder.settle()
            case CloseCall():
                await self._close(command)
            case _:
                raise AssertionError(command)
        return None

    async def _check_gate(self) -> Event:
        verdict = await self._gatekeeper.ask()
        if isinstance(verdict, Block):
            return GateBlocked(verdict)
        self._settled = verdict
        return GateAllowed(verdict.campaign, informed=verdict.informed)

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
        block = await self._gatekeeper.spend_token(self._terms)
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

    async def _commit_heard(self, command: CommitHeard) -> Event:
        terms = self._terms
        version = terms.notice_version
        tells = not terms.informed and notices.information(terms.campaign)
        information = terms.script.information if tells else None
        self._journal.note("notice_heard", {"notice_version": version, "prompts": ",".join(command.prompts)})
        await self._journal.durably(
            lambda entries: self._desk.store.commit_heard(self._ids.call, version, information, entries)
        )
        return HeardCommitted()

    async def _stop_playing(self) -> None:
        if self.playback is not None:
            self.playback.stopped_by_us = True
            await self._desk.ari.stop_playback(self.playback.id)

    async def _bridge(self) -> None:
        ari, ids = self._desk.ari, self._ids
        await ari.create_bridge(ids.bridge)
        self._bridge_made = True
        await ari.add_to_bridge(ids.bridge, ids.agent, ids.callee)

    async def _register(self, command: RegisterRight) -> Event:
        terms = self._terms
        exercise = terms.exercise(command.right, command.key)
        reference = await self._journal.durably(
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

    async def _close(self, command: CloseCall) -> None:
        if not self._journal.is_open:
            return
        store, call_id = self._desk.store, self._ids.call
        await persistently(
            call_id,
            lambda: self._journal.durably(
                lambda entries: store.close(call_id, command.outcome, command.reason, entries)
            ),
        )

    async def _let_go(self) -> None:
        """Leave nothing of the call in Asterisk, whatever state it is in."""
        ari, ids = self._desk.ari, self._ids
        await self.recorder.let_go()
        releases: list[Callable[[], Awaitable[object]]] = []
        if self._settled is not None:
            releases.append(lambda: ari.hang_up(ids.callee))
        if self._bridge_made:
            releases.append(lambda: ari.destroy_bridge(ids.bridge))
        for release in releases:
            with contextlib.suppress(AsteriskError):
                await release()
