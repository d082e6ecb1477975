"""Asking the gate about a number without a call: nothing is dialled, counted or kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from ccari.errors import SoundError
from ccari.gating.subjects import whose_number
from ccari.policy import gate
from ccari.policy.blocks import WHY
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.gate import Block, Facts, Question
from ccari.policy.numbers import Number, NumberFault, parse
from ccari.ports.keying import Digests, Secrets
from ccari.ports.sounds import Prompts


class FactStore(Protocol):
    async def facts(
        self, question: Question, digests: Digests, listed_as: Sequence[tuple[str, bytes]]
    ) -> Facts:
        """What the gate would be told of a number. Raises StoreError if the database fails."""
        ...


@dataclass(frozen=True, slots=True)
class Inquiry:
    policy: Policy
    store: FactStore
    secrets: Secrets
    prompts: Prompts

    def subject(self, number: str, campaign: str) -> dict[str, str] | None:
        """Of whom :meth:`answer` tells, for the record of accesses; None where that is nobody."""
        declared = self.policy.campaign(campaign)
        if declared is None:
            return None
        controller = self.policy.controller_of(declared)
        parsed = parse(number, controller.country)
        if isinstance(parsed, NumberFault):
            return None
        whose = whose_number(controller.id, self.secrets.digests(controller.id, parsed))
        return {**whose, "campaign": campaign}

    async def answer(self, number: str, campaign: str) -> dict[str, Any]:
        """The verdict on a call now: ``allow`` or ``block`` with its ``reason`` and ``why`` in a sentence.

        Raises
        ------
        StoreError, ConfigError
            If that cannot be known: then nothing may be dialled.
        """
        declared = self.policy.campaign(campaign)
        if declared is None:
            return told(Block.UNKNOWN_CAMPAIGN, campaign=campaign)
        controller = self.policy.controller_of(declared)
        parsed = parse(number, controller.country)
        if isinstance(parsed, NumberFault):
            block: Block | None = Block(parsed.value)
        else:
            block = await self._barred(declared, parsed) or self._unplayable(declared)
        return told(
            block, number=None if isinstance(parsed, NumberFault) else parsed.masked, campaign=campaign,
            controller=controller.id, legal_basis=declared.legal_basis.value,
        )  # fmt: skip

    async def _barred(self, campaign: Campaign, number: Number) -> Block | None:
        now, registers = datetime.now(UTC), self.policy.registers_of(campaign)
        listed_as = self.secrets.listed_as((each.id for each in registers), number)
        digests = self.secrets.digests(campaign.controller, number)
        facts = await self.store.facts(gate.question(campaign, now), digests, listed_as)
        self.secrets.heed(facts.secrets, digests)
        country = self.policy.controller_of(campaign).country
        return gate.verdict(campaign, registers, country, number, facts, now)

    def _unplayable(self, campaign: Campaign) -> Block | None:
        try:
            self.prompts.scripts(self.policy.controller_of(campaign), campaign)
        except SoundError:
            return Block.PROMPTS_MISSING
        return None


def told(block: Block | None, **of_the_call: str | None) -> dict[str, Any]:
    verdict = "allow" if block is None else "block"
    return {"verdict": verdict, "reason": block or "", "why": WHY[block] if block else "", **of_the_call}
