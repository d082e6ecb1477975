"""Asking the gate for one call: the policy in force, the facts of the number, the verdict of ``policy.gate``."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID, uuid4

import structlog

from ccari.errors import CcariError, ConfigError, SoundError
from ccari.gating.findings import findings
from ccari.gating.journal import Journal
from ccari.gating.labels import phone_name
from ccari.gating.naming import campaign_name
from ccari.gating.terms import Terms
from ccari.policy import pacing
from ccari.policy.call import Direction
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.extensions import is_extension
from ccari.policy.gate import Block, Facts
from ccari.policy.numbers import Number, NumberFault, parse
from ccari.policy.pacing import Lately
from ccari.ports.calls import CallStore, LeftTalk, OpenedCall, RefusedCall
from ccari.ports.keying import Secrets
from ccari.ports.metering import Step
from ccari.ports.policies import PolicyBook
from ccari.ports.sounds import Prompts

_log = structlog.get_logger()


class Asked(Protocol):
    """A call as it was asked for, unchecked. ``number`` is None if the arguments did not even include one."""

    @property
    def number(self) -> str | None: ...

    @property
    def campaign(self) -> str: ...

    @property
    def agent(self) -> str: ...


class Means(Protocol):
    """What the gate needs for an answer. ``asterisk``: the name that calls are filed under, so that open ones can be found again."""

    @property
    def asterisk(self) -> str: ...

    @property
    def store(self) -> CallStore: ...

    @property
    def secrets(self) -> Secrets: ...

    @property
    def book(self) -> PolicyBook: ...

    @property
    def prompts(self) -> Prompts: ...


class Gatekeeper:
    """Asks the gate for one call. ``direction``: who begins; ``destination``: the agent, or the queue, that the call is for;
    ``connects``: False if a caller gets a menu of keys, and no agent.
    """

    def __init__(
        self, asked: Asked, call: UUID, means: Means, journal: Journal,
        direction: Direction = Direction.OUTBOUND, destination: str | None = None, *, connects: bool = True,
    ) -> None:  # fmt: skip
        self._asked = asked
        self._call = call
        self._means = means
        self._journal = journal
        self._direction = direction
        self._destination = destination
        self._calls_agent = connects and direction is not Direction.OUTBOUND
        self._token = uuid4()

    async def ask(self) -> Terms | Block:
        """The terms of an allowed call, or why it is blocked. Either way the call's row is written.

        Raises
        ------
        StoreError
            If the database cannot say: then nothing may be dialled.
        """
        with self._journal.meter.gate(Step.ASK):
            return await self._on_record(self._ask)

    async def admit(self) -> Terms | Block:
        """The terms of a call from outside: a caller is let in even if their number may not be called, or is withheld.

        Raises StoreError as :meth:`ask` does.
        """
        with self._journal.meter.gate(Step.ADMIT):
            return await self._on_record(self._admit)

    async def _on_record(self, answer: Callable[[], Awaitable[Terms | Block]]) -> Terms | Block:
        """The answer; if it could not be given as far as the call's row, a row of its refusal is written."""
        try:
            return await answer()
        except (ConfigError, SoundError) as error:
            _log.error("gate_unfit", call_id=str(self._call), reason=str(error))
            block = Block.PROMPTS_MISSING if isinstance(error, SoundError) else Block.STORE_UNAVAILABLE
        except _Refusal as refusal:
            block = refusal.block
        await self.put_on_record()
        return block

    async def put_on_record(self) -> None:
        """Write a row without a controller for the call, unless it has a row. Raises StoreError."""
        asked = self._asked
        await self._means.store.open_refused(
            RefusedCall(
                self._call,
                self._token,
                self._means.asterisk,
                asked.agent,
                campaign_name(self._means.book.policy, asked.campaign),
                self._direction.value,
            )
        )
        self._journal.opened()

    async def terms(self) -> Terms | Block:
        """The terms that a call would be made under, without asking whether it may be made; or why there are none.

        Raises
        ------
        StoreError, ConfigError, SoundError
            If that cannot be known.
        """
        try:
            return await self._terms(*await self._campaign(), self._number, self._means.book.revision)
        except _Refusal as refusal:
            return refusal.block

    async def resumed(self, policy: Policy, of: LeftTalk) -> Terms:
        """The terms of a talk that is taken up; the gate is not asked again.

        Raises
        ------
        ConfigError, SoundError
            If a secret or a sound is missing by now, or the campaign cannot be read any more.
        """
        campaign = policy.campaign(of.campaign)
        if campaign is None:
            raise ConfigError(f"policy revision {of.revision} has no campaign {of.campaign}")
        self._bind(campaign)
        terms = await self._terms(policy, campaign, self._number_shown, of.revision)
        self._journal.opened()
        # after a transfer the talk is a colleague's
        opened = replace(terms.opened, agent=self._asked.agent)
        self._bind_call(opened)
        return replace(
            terms, opened=opened, heard_version=of.notice_version, inbound=self._direction is Direction.INBOUND,
            informed=bool(of.kept["informed"]), language=of.kept["language"] or campaign.language,
        )  # fmt: skip

    async def spend_token(self, terms: Terms) -> Block | None:
        """Ask once more, and spend the call's token. None: dial now; else why not.

        The number's digests are made anew: a secret may have been added since the gate, and the number barred under that.

        Raises
        ------
        StoreError, ConfigError
            If that cannot be known: then nothing may be dialled.
        """
        opened = replace(
            terms.opened, keyed=self._means.secrets.digests(terms.controller.id, terms.known_number),
            listed_as=self._means.secrets.listed_as((each.id for each in terms.registers), terms.known_number),
        )  # fmt: skip
        store = self._means.store
        # the last if there are several: the store may read the facts again
        judged: Facts | None = None

        def judge(facts: Facts) -> Block | None:
            nonlocal judged
            judged = facts
            self._means.secrets.heed(facts.secrets, opened.digests)
            return terms.judge(facts)

        with self._journal.meter.gate(Step.DIAL):
            try:
                return await self._journal.durably(
                    lambda entries: store.spend_token(opened, terms.question(), judge, entries)
                )
            finally:
                if judged is not None:
                    self._journal.know(findings(judged))

    async def _ask(self) -> Terms | Block:
        terms, facts = await self._open(self._number)
        block = terms.judge(facts) or await self._pace(terms)
        return block or replace(terms, informed=terms.has_informed(facts))

    async def _pace(self, terms: Terms) -> Block | None:
        """Of a call that rings the callee first: block it if too many of the campaign's were abandoned lately."""
        cap = terms.campaign.abandoned
        if self._direction is not Direction.CALLEE_FIRST or cap is None:
            return None
        store, call = self._means.store, terms.opened

        def may(lately: Lately) -> bool:
            return pacing.may_dial(cap, lately, datetime.now(UTC))

        lately = await store.lately(call, cap.of_calls)
        allowed = may(lately)
        if allowed and pacing.is_over(cap, lately):
            allowed = await store.let_through(call, cap.of_calls, may)
        return None if allowed else Block.ABANDONED_CAPPED

    async def _admit(self) -> Terms | Block:
        terms, facts = await self._open(self._number_shown)
        terms = replace(terms, inbound=True)
        return replace(terms, informed=terms.has_informed(facts))

    async def _open(self, number_of: Callable[[str], Number | None]) -> tuple[Terms, Facts]:
        """Write the call's row under the newest policy; its terms, and the facts of the number."""
        book = self._means.book
        while True:
            policy, campaign = await self._campaign()
            terms = await self._terms(policy, campaign, number_of, book.revision)
            facts, newest = await self._means.store.open(terms.opened, terms.question())
            self._journal.know(findings(facts) | terms.asserted)
            self._journal.opened()
            if terms.opened.keyed is not None:
                self._means.secrets.heed(facts.secrets, terms.opened.keyed)
            if newest == terms.opened.revision:
                break
            # a newer policy was applied a moment ago: it is the one that counts
            await book.reload()
        self._bind_call(terms.opened)
        return terms, facts

    def _bind(self, campaign: Campaign) -> None:
        self._journal.meter.of(campaign.id)
        self._journal.bind(
            campaign=campaign.id, controller=campaign.controller, legal_basis=campaign.legal_basis.value
        )

    def _bind_call(self, opened: OpenedCall) -> None:
        self._journal.bind(number=opened.number_masked, agent=opened.agent)

    async def _campaign(self) -> tuple[Policy, Campaign]:
        """The campaign that was asked for. Raises _Refusal without one, or if it should call an agent and names none.

        A campaign, or an agent of it, may have been declared since the policy was read: then it is read again.
        """
        asked, book = self._asked, self._means.book
        if not asked.campaign or (asked.number is None and self._direction is not Direction.INBOUND):
            raise _Refusal(Block.BAD_ARGUMENTS)
        for reload in (False, True):
            if reload:
                await book.reload()
            campaign = book.policy.campaign(asked.campaign) if book.policy else None
            if book.policy is not None and campaign is not None:
                self._bind(campaign)
                if self._agent_string(campaign) is not None:
                    return book.policy, campaign
        if campaign is not None:
            raise _Refusal(Block.NO_DESTINATION)
        raise _Refusal(Block.UNKNOWN_CAMPAIGN if book.policy else Block.NO_POLICY)

    def _agent_string(self, campaign: Campaign) -> str | None:
        if not self._calls_agent:
            return ""
        named = self._destination
        if named is not None and not is_extension(named):
            raise _Refusal(Block.BAD_ARGUMENTS)
        return campaign.agent_string(named)

    def _agent_name(self, campaign: Campaign) -> str:
        """The agent's name, for the records and the card. If the campaign always rings the same phone, that phone's name."""
        rings = campaign.agent if self._calls_agent else None
        return (phone_name(rings) if rings else None) or self._asked.agent

    def _number(self, country: str) -> Number:
        number = parse(self._asked.number or "", country)
        if isinstance(number, NumberFault):
            raise _Refusal(Block(number.value))
        return number

    def _number_shown(self, country: str) -> Number | None:
        """A caller's number; None if it is withheld, or is no number that could be called."""
        number = parse(self._asked.number or "", country)
        return None if isinstance(number, NumberFault) else number

    async def _terms(
        self,
        policy: Policy,
        campaign: Campaign,
        number_of: Callable[[str], Number | None],
        revision: int | None,
    ) -> Terms:
        means = self._means
        controller, registers = policy.controller_of(campaign), policy.registers_of(campaign)
        number = number_of(controller.country)
        if revision is None:
            raise _Refusal(Block.NO_POLICY)
        opened = OpenedCall(
            id=self._call, token=self._token, asterisk=means.asterisk, agent=self._agent_name(campaign),
            number_masked=number.masked if number else "—", revision=revision, controller=controller.id,
            campaign=campaign.id, legal_basis=campaign.legal_basis.value,
            keyed=means.secrets.digests(controller.id, number) if number else None,
            listed_as=means.secrets.listed_as((each.id for each in registers), number) if number else (),
            direction=self._direction.value,
        )  # fmt: skip
        scripts = means.prompts.scripts(controller, campaign)
        await means.prompts.keep(campaign)
        return Terms(
            controller, campaign, registers, number, opened, scripts,
            campaign.language, policy.asking(controller.id, campaign.asks_consent_to), self._agent_string(campaign) or "",
        )  # fmt: skip


class _Refusal(CcariError):  # noqa: N818 - a refusal, told as such
    def __init__(self, block: Block) -> None:
        super().__init__(block.value)
        self.block = block
