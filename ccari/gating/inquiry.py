"""Asks the gate about a number without a call: nothing is dialled, counted or kept."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from ccari.errors import SoundError
from ccari.policy import gate
from ccari.policy.blocks import WHY
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.gate import Block, Facts, Question
from ccari.policy.numbers import Number, NumberFault, parse
from ccari.policy.parties import Controller
from ccari.ports.accesses import whose_number
from ccari.ports.keying import Secrets, Sought
from ccari.ports.policies import PolicyBook
from ccari.ports.sounds import Prompts


class FactStore(Protocol):
    """Where the facts about a number are read."""

    async def facts(self, question: Question, sought: Sought) -> tuple[Facts, int | None]:
        """The facts the gate would get about a number, and the newest policy revision. Raises StoreError if
        the database fails.
        """
        ...


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Answers what the gate would say about a number, without a call.

    ``sees``: whether the asker may ask about a controller's campaigns. If not, the answer is as if there were no such campaign.
    """

    book: PolicyBook
    store: FactStore
    secrets: Secrets
    prompts: Prompts
    sees: Callable[[str], bool] = lambda _: True

    def subject(self, number: str, campaign: str) -> dict[str, str] | None:
        """Whose data :meth:`answer` discloses, for the record of accesses; None if nobody's."""
        policy = self.book.policy
        declared = None if policy is None else self._campaign(policy, campaign)
        if policy is None or declared is None:
            return None
        controller = policy.controller_of(declared)
        parsed = parse(number, controller.country)
        if isinstance(parsed, NumberFault):
            return None
        whose = whose_number(controller.id, self.secrets.digests(controller.id, parsed))
        return {**whose, "campaign": campaign}

    async def answer(self, number: str, campaign: str) -> dict[str, Any]:
        """The verdict on a call now: ``allow`` or ``block`` with its ``reason``, and ``why`` in a sentence.

        Raises
        ------
        StoreError, ConfigError
            If that cannot be known: then nothing may be dialled.
        """
        book = self.book
        while True:
            policy, revision = book.policy, book.revision
            found, newest = await self._answer(policy, number, campaign)
            if newest is None or newest != revision:
                # the policy is outdated, or may be: if it has no such campaign, the database was not asked
                await book.reload()
                newest = book.revision
            if newest == revision:
                return found

    async def _answer(
        self, policy: Policy | None, number: str, campaign: str
    ) -> tuple[dict[str, Any], int | None]:
        """The answer under a policy, and the newest revision; None if the database was not asked."""
        if policy is None:
            return answer_of(Block.NO_POLICY, campaign=campaign), None
        declared = self._campaign(policy, campaign)
        if declared is None:
            return answer_of(Block.UNKNOWN_CAMPAIGN, campaign=campaign), None
        controller = policy.controller_of(declared)
        whose = {"controller": controller.id, "legal_basis": declared.legal_basis.value}
        parsed = parse(number, controller.country)
        if isinstance(parsed, NumberFault):
            return answer_of(Block(parsed.value), number=None, campaign=campaign, **whose), None
        barred, newest = await self._barred(policy, declared, parsed)
        block = barred or await self._unplayable(controller, declared)
        return answer_of(block, number=parsed.masked, campaign=campaign, **whose), newest

    def _campaign(self, policy: Policy, campaign: str) -> Campaign | None:
        declared = policy.campaign(campaign)
        return declared if declared is not None and self.sees(declared.controller) else None

    async def _barred(
        self, policy: Policy, campaign: Campaign, number: Number
    ) -> tuple[Block | None, int | None]:
        now, registers = datetime.now(UTC), policy.registers_of(campaign)
        listed_as = self.secrets.listed_as((each.id for each in registers), number)
        digests = self.secrets.digests(campaign.controller, number)
        facts, newest = await self.store.facts(gate.question(campaign, now), Sought(digests, listed_as))
        self.secrets.heed(facts.secrets, digests)
        country = policy.controller_of(campaign).country
        return gate.verdict(campaign, registers, country, number, facts, now), newest

    async def _unplayable(self, controller: Controller, campaign: Campaign) -> Block | None:
        try:
            await self.prompts.scripts(controller, campaign, lately=True)
        except SoundError:
            return Block.PROMPTS_MISSING
        return None


def answer_of(block: Block | None, **of_the_call: str | None) -> dict[str, Any]:
    """The gate's verdict for programs, with what was asked."""
    verdict = "allow" if block is None else "block"
    return {"verdict": verdict, "reason": block or "", "why": WHY[block] if block else "", **of_the_call}
