"""Asking the gate for one call: the policy in force, the facts of the number, the verdict of ``policy.gate``."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import structlog

from ccari.errors import CcariError, ConfigError, SoundError
from ccari.gating.journal import Journal
from ccari.policy import deadlines, gate
from ccari.policy.calendars import TIME_ZONES
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.gate import Block, Facts, Question
from ccari.policy.numbers import Number, NumberFault, parse
from ccari.policy.parties import Controller, Register
from ccari.policy.rights import Right
from ccari.ports.calls import CallStore, OpenedCall, RefusedCall
from ccari.ports.keying import Secrets
from ccari.ports.policies import PolicyBook
from ccari.ports.requests import Exercise
from ccari.ports.sounds import Prompts, Script

_log = structlog.get_logger()


class Asked(Protocol):
    """A call as it was asked for, unchecked. ``number`` is None where the arguments were not even that many."""

    @property
    def number(self) -> str | None: ...

    @property
    def campaign(self) -> str: ...

    @property
    def agent(self) -> str: ...


class Means(Protocol):
    """What it takes to answer. ``asterisk`` names whose calls these are, so that what is left open can be closed."""

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


@dataclass(frozen=True, slots=True)
class Terms:
    """What a call is made under, from the gate to its end; a newer policy does not change it."""

    controller: Controller
    campaign: Campaign
    registers: tuple[Register, ...]
    number: Number
    opened: OpenedCall
    script: Script
    consent_campaigns: tuple[str, ...]
    informed: bool = False

    @property
    def notice_version(self) -> str:
        return self.script.notice_version(informed=self.informed)

    def judge(self, facts: Facts) -> Block | None:
        """Why the call may not be made at this moment; None if it may."""
        return gate.verdict(
            self.campaign, self.registers, self.controller.country, self.number, facts, datetime.now(UTC)
        )

    def question(self) -> Question:
        return gate.question(self.campaign, datetime.now(UTC))

    def exercise(self, right: Right, key: str) -> Exercise:
        """The right as it was exercised by key at this moment, by whoever we have called."""
        now, country = datetime.now(UTC), self.controller.country
        return Exercise(
            right=right, key=key, number=self.number.e164, received_at=now,
            due=deadlines.due(now, country), local_year=now.astimezone(ZoneInfo(TIME_ZONES[country])).year,
            notice_version=self.notice_version, language=self.campaign.language, purpose=self.campaign.purpose,
            consent_purpose=self.campaign.withdraws, consent_campaigns=self.consent_campaigns,
        )  # fmt: skip


class Gatekeeper:
    def __init__(self, asked: Asked, call: UUID, means: Means, journal: Journal) -> None:
        self._asked = asked
        self._call = call
        self._means = means
        self._journal = journal
        self._token = uuid4()

    async def ask(self) -> Terms | Block:
        """The terms of an allowed call, or why it is blocked. Either way the call has its row.

        Raises
        ------
        StoreError
            If the database cannot say: then nothing may be dialled.
        """
        try:
            return await self._ask()
        except (ConfigError, SoundError) as error:
            _log.error("gate_unfit", call_id=str(self._call), reason=str(error))
            block = Block.PROMPTS_MISSING if isinstance(error, SoundError) else Block.STORE_UNAVAILABLE
        except _Refusal as refusal:
            block = refusal.block
        asked = self._asked
        await self._means.store.open_refused(
            RefusedCall(self._call, self._token, self._means.asterisk, asked.agent, asked.campaign)
        )
        self._journal.opened()
        return block

    async def terms(self) -> Terms | Block:
        """What a call would be made under, without asking whether it may be; or why there are no such terms.

        Raises
        ------
        StoreError, ConfigError, SoundError
            If that cannot be known.
        """
        try:
            return self._terms(*await self._campaign())
        except _Refusal as refusal:
            return refusal.block

    async def spend_token(self, terms: Terms) -> Block | None:
        """Ask once more, and spend the call's token. None means: dial now; else why not.

        The number is keyed anew: under a secret that was made since the gate somebody may have barred it already.

        Raises
        ------
        StoreError, ConfigError
            If that cannot be known: then nothing may be dialled.
        """
        opened = replace(
            terms.opened, digests=self._means.secrets.digests(terms.controller.id, terms.number),
            listed_as=self._means.secrets.listed_as((each.id for each in terms.registers), terms.number),
        )  # fmt: skip
        store = self._means.store
        return await self._journal.durably(
            lambda entries: store.spend_token(opened, terms.question(), terms.judge, entries)
        )

    async def _ask(self) -> Terms | Block:
        book = self._means.book
        while True:
            policy, campaign = await self._campaign()
            terms = self._terms(policy, campaign)
            facts, newest = await self._means.store.open(terms.opened, terms.question())
            self._journal.opened()
            if newest == terms.opened.revision:
                break
            # a newer policy was applied a moment ago: it is the one that counts
            await book.reload()
        self._journal.bind(
            campaign=campaign.id, controller=campaign.controller, legal_basis=campaign.legal_basis.value,
            number=terms.number.masked,
        )  # fmt: skip
        return terms.judge(facts) or replace(terms, informed=terms.script.information in facts.informed)

    async def _campaign(self) -> tuple[Policy, Campaign]:
        """The campaign that was asked for; one that is not known may have been declared since the policy was read."""
        asked, book = self._asked, self._means.book
        if asked.number is None:
            raise _Refusal(Block.BAD_ARGUMENTS)
        for reload in (False, True):
            if reload:
                await book.reload()
            campaign = book.policy.campaign(asked.campaign) if book.policy else None
            if book.policy is not None and campaign is not None:
                return book.policy, campaign
        raise _Refusal(Block.UNKNOWN_CAMPAIGN if book.policy else Block.NO_POLICY)

    def _terms(self, policy: Policy, campaign: Campaign) -> Terms:
        means, revision = self._means, self._means.book.revision
        controller, registers = policy.controller_of(campaign), policy.registers_of(campaign)
        number = parse(self._asked.number or "", controller.country)
        if isinstance(number, NumberFault):
            raise _Refusal(Block(number.value))
        if revision is None:
            raise _Refusal(Block.NO_POLICY)
        opened = OpenedCall(
            id=self._call, token=self._token, asterisk=means.asterisk, agent=self._asked.agent,
            number_masked=number.masked, revision=revision, controller=controller.id, campaign=campaign.id,
            legal_basis=campaign.legal_basis.value, digests=means.secrets.digests(controller.id, number),
            listed_as=means.secrets.listed_as((each.id for each in registers), number),
        )  # fmt: skip
        return Terms(
            controller, campaign, registers, number, opened, means.prompts.script(controller, campaign),
            policy.asking(controller.id, campaign.asks_consent_to),
        )  # fmt: skip


class _Refusal(CcariError):  # noqa: N818 - a refusal, told as such
    def __init__(self, block: Block) -> None:
        super().__init__(block.value)
        self.block = block
