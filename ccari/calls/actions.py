"""Carrying out the commands of ``policy.call``: one method a command, each with the event it leads to."""

import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from ccari.calls.board import Place
from ccari.calls.client import TRANSFERS
from ccari.calls.desk import Desk, Order
from ccari.calls.events import Ids, Playback
from ccari.calls.recorder import Recorder
from ccari.calls.talks import NUMBER, Talk
from ccari.errors import AsteriskError, SoundError, StoreError
from ccari.gating.gatekeeper import Gatekeeper
from ccari.gating.journal import Journal, persistently
from ccari.gating.labels import label
from ccari.gating.registering import register
from ccari.gating.terms import Terms
from ccari.policy import notices
from ccari.policy.call import Call, Command, Direction, Event, Outcome, Party
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.state import RING_SECONDS
from ccari.policy.campaign import NoticePrompt
from ccari.policy.gate import Block
from ccari.ports.requests import Intake
from ccari.ports.sounds import Sound

#: Asterisk hangs a leg up after this long even if nobody is left to tell it to.
LONGEST_CALL_SECONDS = 4 * 60 * 60
#: The language in which an agent is told that a call cannot be made, when no campaign says which.
AGENT_LANGUAGE = "pl"
_PJSIP = "PJSIP"
#: The dialplan context that listens for a machine and comes back: see dialplan/extensions_ccari.conf.
MACHINE_CONTEXT = "ccari-amd"


class Actions:
    """The hands of one call. What fails raises a CcariError; the call's loop makes it an event."""

    def __init__(self, order: Order, ids: Ids, desk: Desk, journal: Journal) -> None:
        self._order = order
        self._ids = ids
        self._desk = desk
        self._journal = journal
        self._gatekeeper: Gatekeeper | None = None
        self._settled: Terms | None = None
        self._bridge_made = False
        self._place: Place | None = None
        self.recorder = Recorder(ids, desk, journal)
        self.playbacks: dict[Party, Playback] = {}

    def resume(self, talk: Talk) -> None:
        """Take up what somebody else has begun."""
        self._settled = talk.terms
        self._bridge_made = True
        self.recorder.resume(talk.segments, talk.running)

    def show(self, call: Call) -> None:
        """Tell whoever looks on where the call is, once the gate has let it through."""
        if self._settled is not None:
            if self._place is None:
                self._place = Place(self._desk.board, self._ids.call)
            self._place.show(call, self._settled)

    def leave_board(self) -> None:
        """Nobody runs the call here any more."""
        if self._place is not None:
            self._place.leave()

    async def remember(self, told: Mapping[str, Any] | None) -> None:
        """Keep what the talk is to be taken up with if we die; raise StoreError if that fails."""
        ids, whole = self._ids, None
        if told is not None:
            whole = {**told, "home": ids.home, "agents": ids.agents, "technology": self._order.technology,
                     "agent": self._order.agent, "segments": self.recorder.count}  # fmt: skip
        await self._journal.durably(
            lambda entries: self._desk.store.keep_talk(self._ids.call, whole, entries)
        )

    @property
    def _terms(self) -> Terms:
        if self._settled is None:
            raise AssertionError("the gate has not let this call through")
        return self._settled

    async def carry_out(self, command: Command) -> Event | None:  # noqa: C901, PLR0912, PLR0915 - one arm a command
        """Do it; give the event that follows at once, or None if Asterisk will report what came of it."""
        ari, ids = self._desk.ari, self._ids
        match command:
            case do.CheckGate():
                return await self._check_gate()
            case do.CallAgent():
                await self._create_agent()
            case do.DialAgent():
                await ari.dial(ids.agent, seconds=self._terms.campaign.connect_seconds + 5)
            case do.CreateCallee():
                await self._create_callee()
            case do.SpendToken():
                return await self._spend_token()
            case do.Dial():
                await ari.dial(ids.callee, seconds=int(RING_SECONDS) + 5)
            case do.DetectMachine():
                await ari.continue_in_dialplan(ids.callee, MACHINE_CONTEXT)
            case do.Ring(party):
                await ari.ring(ids.channel(party))
            case do.StopRinging(party):
                await ari.stop_ringing(ids.channel(party))
            case do.AnswerAgent():
                await self._answer_home()
            case do.AnswerCallee():
                await self._answer_home()
                return on.CalleeAnswered()
            case do.RefuseTransfer():
                await ari.answer_transfer(ids.agent, made=False)
            case do.HandOver(to):
                await self._hand_over(to)
            case do.UseLanguage(language):
                self._settled = replace(self._terms, language=language)
            case do.ShowCard():
                await self._show_card()
            case do.Play(party, prompt):
                await self._play(party, prompt)
            case do.StopPlaying():
                await self._stop_playing()
            case do.CommitHeard():
                return await self._commit_heard(command)
            case do.TagRecording():
                await self.recorder.tag(self._terms)
                return on.RecordingTagged()
            case do.StartRecorder():
                await self.recorder.start()
            case do.StopRecorder(keep, binding, at):
                if not await self.recorder.stop(keep=keep, binding=binding, at=at):
                    return on.RecorderStopped()
            case do.Bridge():
                await self._bridge()
                return on.Bridged()
            case do.RegisterRight():
                return await self._register(command)
            case do.HangUp(party):
                if not await ari.hang_up(ids.channel(party)):
                    return on.Gone(party)
            case do.TellDialplan(outcome, reason):
                await self._tell_dialplan(outcome, reason)
            case do.GiveBack(outcome, reason):
                return await self._give_back(outcome, reason)
            case do.LeaveTalk():
                await self._leave()
            case do.SettleRecording():
                await self._let_go()
                await self.recorder.settle()
            case do.CloseCall():
                await self._close(command)
            case _:
                raise AssertionError(command)
        return None

    async def _check_gate(self) -> Event:
        order, inbound = self._order, self._order.direction is Direction.INBOUND
        if inbound and await self._is_withheld():
            order = replace(order, number=None)
        gatekeeper = self._gatekeeper = Gatekeeper(
            order, self._ids.call, self._desk, self._journal, order.direction, order.destination
        )
        verdict = await (gatekeeper.admit() if inbound else gatekeeper.ask())
        if isinstance(verdict, Block):
            return on.GateBlocked(verdict)
        self._settled = verdict
        return on.GateAllowed(verdict.campaign, verdict.informed, known=verdict.number is not None)

    async def _is_withheld(self) -> bool:
        """True if whoever calls does not want their number shown, though the network may tell it."""
        shown = await self._desk.ari.variable(self._ids.callee, "CALLERID(num-pres)")
        return not shown.startswith("allowed")

    async def _answer_home(self) -> None:
        """Answer the channel that the dialplan has handed over, whose REFERs are ours from then on."""
        if self._ids.home is None:
            raise AssertionError("the dialplan has handed over no channel")
        if self._order.technology == _PJSIP:
            await self._desk.ari.take_transfers(self._ids.home)
        await self._desk.ari.answer(self._ids.home)

    async def _hand_over(self, to: str) -> None:
        """The agent who was has no part in the call any more; whoever is called now is the agent."""
        ids, terms = self._ids, self._terms
        at_home = ids.home_party is Party.AGENT
        former, colleague = ids.hand_over(), label(to)
        self._order = replace(self._order, agent=colleague)
        self._settled = replace(
            terms,
            agent_string=terms.campaign.transfer_string(to) or "",
            opened=replace(terms.opened, agent=colleague),
        )
        self._journal.note("colleague_called", {"agent": colleague})
        try:
            await self._desk.ari.take_from_bridge(ids.bridge, ids.callee)
        finally:
            await self._release(former, at_home=at_home)
        await self._create_agent()

    async def _release(self, former: str, *, at_home: bool) -> None:
        """Let the agent go who was. A phone that hangs up once it has asked is gone already."""
        ari = self._desk.ari
        with contextlib.suppress(AsteriskError):
            await ari.answer_transfer(former, made=True)
        with contextlib.suppress(AsteriskError):
            await (self._return(former, Outcome.BRIDGED, "transferred") if at_home else ari.hang_up(former))

    async def _create_agent(self) -> None:
        terms = self._terms
        variables = self._variables(terms.agent_string)
        if terms.number is not None:
            # whom the agent's phone shows
            variables["CONNECTEDLINE(num,i)"] = terms.number.e164
        first = self._order.direction is Direction.AGENT_FIRST and not self._ids.agents
        originator = None if first else self._ids.callee
        await self._desk.ari.create_channel(
            self._ids.agent, terms.agent_string, args="agent", originator=originator, variables=variables
        )

    async def _create_callee(self) -> None:
        terms = self._terms
        dialled = terms.campaign.dial_string(terms.known_number)
        variables = self._variables(dialled)
        # whoever takes the talk up knows by it whose rights are pressed; Asterisk knows the number anyhow
        variables[NUMBER] = terms.known_number.e164
        if terms.campaign.caller_id is not None:
            # what an outgoing PJSIP channel puts into its From header
            variables["CONNECTEDLINE(num,i)"] = terms.campaign.caller_id
        originator = None if self._order.direction is Direction.CALLEE_FIRST else self._ids.agent
        await self._desk.ari.create_channel(
            self._ids.callee, dialled, args="callee", originator=originator, variables=variables
        )

    def _variables(self, endpoint: str) -> dict[str, str]:
        """What every channel that we make is given."""
        variables = {"TIMEOUT(absolute)": str(LONGEST_CALL_SECONDS), "CCARI_CALL": str(self._ids.call)}
        if endpoint.startswith(f"{_PJSIP}/"):
            variables[TRANSFERS] = "ari-only"
        return variables

    async def _spend_token(self) -> Event:
        if self._gatekeeper is None:
            raise AssertionError("the gate was not asked")
        block = await self._gatekeeper.spend_token(self._terms)
        return on.TokenSpent() if block is None else on.TokenRefused(block)

    async def _show_card(self) -> None:
        """The agent is told who is on the line; whether anybody looks is not the call's concern."""
        terms, past = self._terms, None
        # without the past the card still says who is on the line, why, and what to answer
        with contextlib.suppress(StoreError):
            past = await self._desk.store.past_of(terms.opened)
        self._desk.cards.hand_out(terms.card(past))

    async def _play(self, party: Party, prompt: str) -> None:
        sound = await self._source() if prompt == notices.SOURCE_ASKED else self._sound(party, prompt)
        # known before the request, for its events may come before the reply
        playback = self.playbacks[party] = Playback(str(uuid4()), party, prompt, sound.duration_ms)
        await self._desk.ari.play(self._ids.channel(party), playback.id, sound.media)

    async def _source(self) -> Sound:
        """Where this number is from, as the contacts have it; else as the campaign says for all of its numbers."""
        terms = self._terms
        with contextlib.suppress(StoreError, SoundError):
            past = await self._desk.store.past_of(terms.opened)
            if past.source is not None:
                return self._desk.prompts.source(past.source, terms.language)
        return terms.script.sounds[NoticePrompt.SOURCE.value]

    def _sound(self, party: Party, prompt: str) -> Sound:
        if self._settled is None:
            return self._desk.prompts.common(prompt, AGENT_LANGUAGE)
        if party is Party.AGENT:
            # whichever language the callee has chosen
            return self._settled.scripts[self._settled.campaign.language].sounds[prompt]
        parts = notices.spelt_out(prompt)
        if parts == (prompt,):
            return self._settled.script.sounds[prompt]
        sounds = [self._desk.prompts.common(each, self._settled.language) for each in parts]
        # one playback of several files: nothing has to be proven of an answer
        return Sound(
            ",".join(each.media for each in sounds), sum(each.duration_ms for each in sounds),
            " ".join(each.text for each in sounds),
        )  # fmt: skip

    async def _commit_heard(self, command: do.CommitHeard) -> Event:
        terms = self._terms
        version = terms.script.versions[command.prompts]
        tells = (
            terms.number is not None
            and not terms.informed
            and notices.information(terms.campaign, inbound=terms.inbound)
        )
        information = terms.information_version if tells else None
        told = {"notice_version": version, "prompts": ",".join(command.prompts), "language": terms.language}
        # what names the very audio: the words' version stays when a prompt is spoken anew
        self._journal.know({"sounds": ",".join(terms.script.sounds[each].digest for each in command.prompts)})
        self._journal.note("notice_heard", told)
        await self._journal.durably(
            lambda entries: self._desk.store.commit_heard(self._ids.call, version, information, entries)
        )
        self._settled = replace(terms, heard_version=version)
        return on.HeardCommitted()

    async def _stop_playing(self) -> None:
        playback = self.playbacks.get(Party.CALLEE)
        if playback is not None:
            playback.stopped_by_us = True
            await self._desk.ari.stop_playback(playback.id)

    async def _bridge(self) -> None:
        ari, ids = self._desk.ari, self._ids
        if not self._bridge_made:
            # known before the request: a reply that is lost leaves a bridge all the same
            self._bridge_made = True
            await ari.create_bridge(ids.bridge)
        await ari.add_to_bridge(ids.bridge, ids.agent, ids.callee)

    async def _register(self, command: do.RegisterRight) -> Event:
        terms = self._terms
        exercise = terms.exercise(command.right, command.key, command.at)
        if command.by is Party.AGENT:
            exercise = replace(exercise, intake=Intake.AGENT, who=terms.opened.agent)
        reference = await register(self._desk.store, self._journal, terms.opened, exercise)
        if reference is None:
            return on.RightSpooled(command.right, exercise.due)
        return on.RightRegistered(command.right, reference, exercise.due)

    async def _tell_dialplan(self, outcome: Outcome, reason: str) -> None:
        if self._ids.home is not None and self._ids.home_party is not None:
            await self._tell(self._ids.home, outcome, reason)

    async def _tell(self, channel: str, outcome: Outcome, reason: str) -> None:
        told = {"CCARI_CALL": str(self._ids.call), "CCARI_OUTCOME": outcome.value, "CCARI_REASON": reason}
        for name, value in told.items():
            await self._desk.ari.set_variable(channel, name, value)

    async def _give_back(self, outcome: Outcome, reason: str) -> Event | None:
        home, whose = self._ids.home, self._ids.home_party
        if home is None or whose is None:
            return None
        playback = self.playbacks.get(whose)
        if playback is not None:
            # Asterisk sets no variable of a channel while it plays to it
            with contextlib.suppress(AsteriskError):
                await self._desk.ari.stop_playback(playback.id)
        try:
            await self._return(home, outcome, reason)
        except AsteriskError:
            return on.Gone(whose)
        return None

    async def _return(self, channel: str, outcome: Outcome, reason: str) -> None:
        """Give the dialplan its channel; untold of the outcome rather than not at all, in silence."""
        with contextlib.suppress(AsteriskError):
            await self._tell(channel, outcome, reason)
        await self._desk.ari.continue_in_dialplan(channel)

    async def _leave(self) -> None:
        """Nothing is told to Asterisk: the connection is gone. What is known already is in the call's row."""
        ids = self._ids
        await persistently(
            ids.call,
            lambda: self._journal.durably(lambda entries: self._desk.store.write(ids.call, entries)),
        )

    async def _close(self, command: do.CloseCall) -> None:
        gatekeeper, store, call_id = self._gatekeeper, self._desk.store, self._ids.call
        if gatekeeper is None and not self._journal.is_open:
            return

        async def close() -> None:
            if gatekeeper is not None and not self._journal.is_open:
                # the gate had no answer from the database, which may have written the row all the same, or is yet to
                await gatekeeper.put_on_record()
            await self._journal.durably(
                lambda entries: store.close(call_id, command.outcome, command.reason, entries)
            )

        await persistently(call_id, close)

    async def _let_go(self) -> None:
        """Leave nothing of the call in Asterisk, whatever state it is in."""
        ari, ids = self._desk.ari, self._ids
        await self.recorder.let_go()
        releases: list[Callable[[], Awaitable[object]]] = []
        if self._settled is not None:
            made = [party for party in Party if party is not ids.home_party]
            left = [*(ids.channel(party) for party in made), *ids.former_agents]
            releases += [functools.partial(ari.hang_up, channel) for channel in left]
        if self._bridge_made:
            releases.append(lambda: ari.destroy_bridge(ids.bridge))
        for release in releases:
            with contextlib.suppress(AsteriskError):
                await release()
