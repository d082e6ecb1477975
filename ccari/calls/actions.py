"""Carry out the commands of ``policy.call`` that reach beyond the call: :meth:`Actions.carry_out` lists them all."""

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, assert_never

import structlog

from ccari.calls.board import Place
from ccari.calls.desk import Desk
from ccari.calls.dialplan import Dialplan
from ccari.calls.events import Ids
from ccari.calls.ledger import Ledger
from ccari.calls.legs import Legs
from ccari.calls.modules import declared_modules, why_unfit
from ccari.calls.opening import Openings
from ccari.calls.order import Order
from ccari.calls.player import Player
from ccari.calls.recorder import Recorder
from ccari.calls.talks import Talk
from ccari.errors import AsteriskError, StoreError
from ccari.gating.journal import Journal
from ccari.gating.labels import label
from ccari.gating.terms import Terms
from ccari.policy.call import Call, Direction, Event, Outcome, Party
from ccari.policy.call import commands as do
from ccari.policy.call import events as on
from ccari.policy.call.state import AGREEMENT_SECONDS, HOLD_SECONDS
from ccari.policy.gate import Block
from ccari.policy.recording import RecordingMode

_log = structlog.get_logger()


class Actions:
    """Carries out the commands of one call. Failures raise a CcariError, which the runner turns into an
    event. ``is_ending``: tells whether something has happened after which nobody may be connected.
    """

    def __init__(
        self, order: Order, ids: Ids, desk: Desk, journal: Journal, is_ending: Callable[[], bool] = lambda: False
    ) -> None:  # fmt: skip
        self._order = order
        self._ids = ids
        self._desk = desk
        self._journal = journal
        #: The terms of the call, once the gate has allowed it.
        self._allowed: Terms | None = None
        self._place: Place | None = None
        self._dialplan = Dialplan(desk.ari, ids)
        self._legs = Legs(desk.ari, ids, self._dialplan)
        self._ledger = Ledger(desk, journal)
        self._openings = Openings(desk.ari, desk.endpoints, is_ending)
        self.player = Player(ids, desk, order.campaign)
        self.recorder = Recorder(ids, desk, journal)

    def take_note(self, event: Mapping[str, Any], arrived: datetime | None = None) -> bool:
        """Take note of an ARI event; True if it means nothing to the call itself. ``arrived``: None means now."""
        self._legs.take_note(event)
        if self._legs.have_met:
            # before they meet, and between two agents, nobody hears the other's keys
            self.player.take_note(event)
        return self.recorder.take_note(event, arrived)

    async def pass_on_keys(self) -> None:
        """See :meth:`Player.pass_on_keys`."""
        await self.player.pass_on_keys()

    def resume(self, talk: Talk) -> None:
        """Take up a talk that an earlier run of the service left."""
        self._allowed = talk.terms
        self._legs.resume()
        self.player.resume()
        self.recorder.resume(talk.segments, talk.running)

    def show(self, call: Call) -> None:
        """Show the call's current state on the board of calls in progress, once the gate has allowed it."""
        if self._allowed is not None:
            if self._place is None:
                self._place = Place(self._desk.board, self._ids.call)
            self._place.show(call, self._allowed)

    def leave_board(self) -> None:
        """Take the call off the board: this service no longer runs it."""
        if self._place is not None:
            self._place.leave()

    async def keep_talk(self, kept: Mapping[str, Any] | None) -> None:
        """Store what is needed to take the talk up after a crash. ``kept`` comes from
        ``policy.call.resuming.to_keep``; this method adds what only it knows. Raises StoreError.
        """
        ids, whole = self._ids, None
        if kept is not None:
            whole = {**kept, "home": ids.home, "agents": ids.agents, "technology": self._order.technology,
                     "agent": self._order.agent, "segments": self.recorder.count}  # fmt: skip
        # the talk may be kept as refused, but not since when
        await self.recorder.store_owed_ends()
        await self._ledger.keep_talk(whole)

    @property
    def _terms(self) -> Terms:
        if self._allowed is None:
            raise AssertionError("the gate has not let this call through")
        return self._allowed

    async def carry_out(self, command: do.Action) -> Event | None:  # noqa: C901, PLR0912, PLR0915 - one arm a command
        """Carry out the command. Gives the event that follows at once, or None if Asterisk will report the result.

        A type checker proves that no command is left out.
        """
        ari, ids = self._desk.ari, self._ids
        match command:
            case do.CheckGate():
                return await self._check_gate()
            case do.CallAgent():
                await self._legs.create_agent(self._terms)
            case do.DialAgent():
                await ari.dial(ids.agent, seconds=self._agent_seconds())
            case do.CreateCallee():
                await self._create_callee()
            case do.SpendToken():
                return await self._spend_token()
            case do.Dial():
                await self._legs.dial_callee(self._terms)
            case do.DetectMachine():
                await self._dialplan.detect_machine()
            case do.Ring(party):
                await ari.ring(ids.channel(party))
            case do.StopRinging(party):
                await ari.stop_ringing(ids.channel(party))
            case do.AnswerAgent():
                await self._dialplan.answer(self._order.technology)
            case do.AnswerCallee():
                return await self._answer_callee()
            case do.RefuseTransfer():
                await ari.answer_transfer(ids.agent, made=False)
            case do.HandOver(to):
                await self._hand_over(to)
            case do.UseLanguage(language):
                self._allowed = replace(self._terms, language=language)
            case do.ShowCard():
                await self._show_card()
            case do.Play(party, prompt):
                await self._play(party, prompt)
            case do.StopPlaying():
                await self.player.stop()
            case do.CommitHeard(prompts):
                self._allowed = await self._ledger.heard(prompts, self._terms)
                return on.HeardCommitted()
            case do.TagRecording():
                await self.recorder.tag(self._terms)
                return on.RecordingTagged()
            case do.StartRecorder():
                await self.recorder.start()
            case do.StopRecorder(keep, binding, at):
                stopped = await self.recorder.stop(keep=keep, binding=binding, at=at)
                await self._store_refusal()
                if not stopped:
                    return on.RecorderStopped()
            case do.CutRecording(at):
                self.recorder.cut(at or datetime.now(UTC))
                await self._store_refusal()
            case do.Bridge():
                await self._legs.bridge()
                return on.Bridged()
            case do.Part():
                await self._legs.part(beside=not self.player.knows_all(Party.CALLEE))
            case do.RegisterRight():
                return await self._ledger.register(command, self._terms)
            case do.HangUp(party):
                if not await ari.hang_up(ids.channel(party)):
                    return on.Gone(party)
            case do.TellDialplan(outcome, reason):
                await self._tell_dialplan(outcome, reason)
            case do.GiveBack(outcome, reason):
                return await self._give_back(outcome, reason)
            case do.LeaveTalk():
                await self._ledger.leave_talk()
            case do.SettleRecording():
                await self._settle_recording()
            case do.CloseCall(outcome, reason):
                await self._ledger.close(outcome, reason)
            case _:
                assert_never(command)
        return None

    async def _check_gate(self) -> Event:
        order = self._order
        if order.direction is Direction.INBOUND and await self._dialplan.is_withheld():
            order = replace(order, number=None)
        verdict = await self._ledger.open(order)
        if isinstance(verdict, Block):
            return on.GateBlocked(verdict)
        if await self._lacks_modules(verdict):
            return on.GateBlocked(Block.STORE_UNAVAILABLE)
        self._allowed = verdict
        return on.GateAllowed(verdict.campaign, verdict.informed, known=verdict.number is not None)

    async def _lacks_modules(self, terms: Terms) -> bool:
        """Whether Asterisk lacks a module that only this campaign needs, and would end the call, or refuse
        its agent, half-way.
        """
        campaign = terms.campaign
        if not declared_modules(campaign):
            return False
        found = await self._desk.ari.lacking(campaign, inbound=self._order.direction is Direction.INBOUND)
        if found:
            _log.error(
                "gate_unfit", call_id=str(self._ids.call), campaign=campaign.id, reason=why_unfit(found)
            )
        return bool(found)

    async def _create_callee(self) -> None:
        await self._legs.create_callee(self._terms)
        await self._openings.look(self._ids.callee, self._made_as(Party.CALLEE))

    async def _answer_callee(self) -> Event:
        order = self._order
        await self._openings.look(self._ids.callee, order.made_as)
        await self._dialplan.answer(order.technology)
        return on.CalleeAnswered(order.answered and await self._dialplan.is_on_hold(order.technology))

    def _agent_seconds(self) -> int:
        """How long Asterisk may ring the agent; the call's own timer is shorter.

        In a callee-first call the agent's phone rings while the notice is played, while the callee has it on
        hold, and while the callee is asked to agree to the recording.
        """
        terms, seconds = self._terms, self._terms.campaign.connect_seconds + 5
        if self._ids.direction is not Direction.CALLEE_FIRST or self._ids.agents:
            return seconds
        asked = terms.campaign.recording.mode is RecordingMode.OPT_IN
        waits = 2 * (HOLD_SECONDS + AGREEMENT_SECONDS) if asked else HOLD_SECONDS
        return seconds + math.ceil(terms.notice_ms / 1000 + waits)

    def _made_as(self, party: Party) -> str:
        """What the party's channel was made as: the dialplan's own channel, or one from a dial string."""
        if self._ids.channel(party) == self._ids.home:
            return self._order.made_as
        return self._terms.agent_string if party is Party.AGENT else self._terms.campaign.dial

    async def _spend_token(self) -> Event:
        block = await self._ledger.spend_token(self._terms)
        return on.TokenSpent() if block is None else on.TokenRefused(block)

    async def _play(self, party: Party, prompt: str) -> None:
        """Play a prompt. Before the talk, wait until the channel carries sound; in the talk, until the last key has been passed on."""
        if self._legs.have_met:
            await self.player.await_keys()
        else:
            await self._openings.await_opening(self._ids.channel(party), self._made_as(party))
        await self.player.play(party, prompt, self._allowed)

    async def _hand_over(self, to: str) -> None:
        """Release the agent and call the colleague ``to``, who takes their place."""
        # change the names before the first await: the former agent's phone may report a hang-up, which is not
        # the colleague's
        ids, terms = self._ids, self._terms
        at_home = ids.home_party is Party.AGENT
        former, colleague = ids.hand_over(), label(to)
        self._order = replace(self._order, agent=colleague)
        handed_over = self._allowed = replace(
            terms,
            agent_string=terms.campaign.transfer_string(to) or "",
            opened=replace(terms.opened, agent=colleague),
        )
        self._journal.bind(agent=colleague)
        self._journal.note("colleague_called", {"agent": colleague})
        # hang up the snoop channels first: with none on the callee's channel, Asterisk forgets the sequence
        # numbers of the former agent's packets. Otherwise Debian's Asterisk takes the colleague's packets for
        # late ones, and leaves them out of the next recording
        await self.recorder.detach()
        beside = not self.player.knows_all(Party.CALLEE)
        await self._legs.replace_agent(former, handed_over, at_home=at_home, beside=beside)

    async def _show_card(self) -> None:
        """Show the agent's screen who is on the line. If no screen is open, the database is not asked."""
        terms, past = self._terms, None
        if not self._desk.cards.is_watched(terms.opened.agent):
            return
        # without the history, the card still says who is on the line, why, and what to answer
        with contextlib.suppress(StoreError):
            past = await self._desk.store.past_of(terms.opened)
        self._desk.cards.hand_out(terms.card(past))

    async def _tell_dialplan(self, outcome: Outcome, reason: str) -> None:
        home = self._ids.home_party
        beside = home is not None and not self.player.knows_all(home)
        await self._dialplan.tell(outcome, reason, beside=beside)

    async def _store_refusal(self) -> None:
        """Store until when the recording may be kept, if no request will say so: without a number, none is registered."""
        if self._terms.number is None:
            await self.recorder.store_end()

    async def _settle_recording(self) -> None:
        await self.recorder.detach()
        await self._legs.let_go(gated=self._allowed is not None)
        await self.recorder.settle()

    async def _give_back(self, outcome: Outcome, reason: str) -> Event | None:
        home, party = self._ids.home, self._ids.home_party
        if home is None or party is None:
            return None
        await self.player.fall_silent(party)
        try:
            beside = not self.player.knows_all(party)
            await self._dialplan.take_back(home, outcome, reason, beside=beside)
        except AsteriskError:
            return on.Gone(party)
        return None
