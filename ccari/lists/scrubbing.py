"""Checking a list of numbers before use: the question to the database, and the rule that judges the answer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Self

from ccari.policy import gate
from ccari.policy.campaign import Campaign
from ccari.policy.consent import Channel
from ccari.policy.declaration import Policy
from ccari.policy.gate import Block, Facts, Question
from ccari.policy.numbers import Number
from ccari.policy.parties import Controller
from ccari.ports.keying import Secrets, Sought


@dataclass(frozen=True, slots=True)
class Scrubbing:
    """The facts to ask for, and the law to apply to them."""

    question: Question
    judge: Callable[[Facts], Block | None]
    registers: tuple[str, ...] = ()

    @classmethod
    def of_all(cls, controller: Controller, now: datetime) -> Self:
        """Whether a number may be a contact of the controller at all."""
        question = Question(controller.id, campaign="", purpose="", channel=Channel.PHONE, counts_since=now,
                            rules_count_since=now)  # fmt: skip
        return cls(question, partial(gate.unwelcome, now=now))

    @classmethod
    def of_bars(cls, policy: Policy, campaign: Campaign, now: datetime) -> Self:
        """Whether a bar or a register keeps the campaign from a number."""
        return cls._of(policy, campaign, now, gate.barred)

    @classmethod
    def of_calls(cls, policy: Policy, campaign: Campaign, now: datetime) -> Self:
        """Whether the campaign may call a number, ignoring the time of day and earlier calls."""
        return cls._of(policy, campaign, now, gate.refusal)

    @classmethod
    def _of(cls, policy: Policy, campaign: Campaign, now: datetime, law: Callable[..., Block | None]) -> Self:
        registers = policy.registers_of(campaign)

        def judge(facts: Facts) -> Block | None:
            return law(campaign, registers, facts, now)

        return cls(gate.question(campaign, now), judge, tuple(each.id for each in registers))

    def sought(self, secrets: Secrets, number: Number) -> Sought:
        """Raises ConfigError like the secrets."""
        return Sought(
            secrets.digests(self.question.controller, number), secrets.listed_as(self.registers, number)
        )
