"""Asking the gate for one call: the policy in force, the facts of the number, the verdict of ``policy.gate``."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

import structlog

from ccari.calls.desk import Desk, Order
from ccari.calls.events import Ids
from ccari.calls.journal import Journal
from ccari.errors import CcariError, ConfigError, SoundError
from ccari.policy import gate
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.gate import Block, Facts, Question
from ccari.policy.numbers import Number, NumberFault, parse
from ccari.policy.parties import Controller, Register
from ccari.ports import OpenedCall, RefusedCall, Script

_log = structlog.get_logger()


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


class Gatekeeper:
    def __init__(self, order: Order, ids: Ids, desk: Desk, journal: Journal) -> None:
        self._order = order
        self._ids = ids
        self._desk = desk
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
            _log.error("gate_unfit", call_id=str(self._ids.call), reason=str(error))
            block = Block.PROMPTS_MISSING if isinstance(error, SoundError) else Block.STORE_UNAVAILABLE
        except _Refusal as refusal:
            block = refusal.block
        order = self._order
        await self._desk.store.open_refused(
            RefusedCall(self._ids.call, self._token, self._desk.asterisk, order.agent, order.campaign)
        )
        self._journal.opened()
        return block

    async def spend_token(self, terms: Terms) -> Block | None:
        """Ask once more, and spend the call's token. None means: dial now; else why not.

        The number is keyed anew: under a secret that was made since the gate somebody may have barred it already.

        Raises
        ------
        StoreError, ConfigError
            If that cannot be known: then nothing may be dialled.
        """
        opened = replace(
            terms.opened, digests=self._desk.secrets.digests(terms.controller.id, terms.number),
            listed_as=self._desk.secrets.listed_as((each.id for each in terms.registers), terms.number),
        )  # fmt: skip
        store = self._desk.store
        return await self._journal.durably(
            lambda entries: store.spend_token(opened, terms.question(), terms.judge, entries)
        )

    async def _ask(self) -> Terms | Block:
        book = self._desk.book
        while True:
            policy, campaign = await self._campaign()
            terms = self._terms(policy, campaign)
            facts, newest = await self._desk.store.open(terms.opened, terms.question())
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
        order, book = self._order, self._desk.book
        if order.number is None:
            raise _Refusal(Block.BAD_ARGUMENTS)
        for reload in (False, True):
            if reload:
                await book.reload()
            campaign = book.policy.campaign(order.campaign) if book.policy else None
            if book.policy is not None and campaign is not None:
                return book.policy, campaign
        raise _Refusal(Block.UNKNOWN_CAMPAIGN if book.policy else Block.NO_POLICY)

    def _terms(self, policy: Policy, campaign: Campaign) -> Terms:
        desk, revision = self._desk, self._desk.book.revision
        controller, registers = policy.controller_of(campaign), policy.registers_of(campaign)
        number = parse(self._order.number or "", controller.country)
        if isinstance(number, NumberFault):
            raise _Refusal(Block(number.value))
        if revision is None:
            raise _Refusal(Block.NO_POLICY)
        opened = OpenedCall(
            id=self._ids.call, token=self._token, asterisk=desk.asterisk, agent=self._order.agent,
            number_masked=number.masked, revision=revision, controller=controller.id, campaign=campaign.id,
            legal_basis=campaign.legal_basis.value, digests=desk.secrets.digests(controller.id, number),
            listed_as=desk.secrets.listed_as((each.id for each in registers), number),
        )  # fmt: skip
        return Terms(
            controller, campaign, registers, number, opened, desk.prompts.script(controller, campaign),
            policy.asking(controller.id, campaign.asks_consent_to),
        )  # fmt: skip


class _Refusal(CcariError):  # noqa: N818 - a refusal, told as such
    def __init__(self, block: Block) -> None:
        super().__init__(block.value)
        self.block = block
