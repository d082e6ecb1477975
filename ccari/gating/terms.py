"""The terms that one call is made under, from the gate to its end."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ccari.policy import deadlines, gate, notices
from ccari.policy.call import Direction
from ccari.policy.campaign import Campaign
from ccari.policy.gate import Block, Facts, Question
from ccari.policy.numbers import Number
from ccari.policy.parties import Controller, Register
from ccari.policy.recording import ended_by
from ccari.policy.rights import NumberFrom, Right
from ccari.ports.calls import OpenedCall
from ccari.ports.cards import AgentCard, Past
from ccari.ports.requests import Exercise
from ccari.ports.sounds import Script


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms that one call is made under; a newer policy does not change them.

    ``number``: None for a caller who withholds it. ``agent_string``: the dial string of the agent, if we ring one. ``language``: the
    current language of the call. ``informed``: whether the number has heard this controller's information before. ``heard_version``: the
    version of the notice heard in this call; None until then. ``policy_sha256``: the hash of the policy file in hex; empty in a talk that
    is taken up.
    """

    controller: Controller
    campaign: Campaign
    registers: tuple[Register, ...]
    number: Number | None
    opened: OpenedCall
    scripts: Mapping[str, Script]
    language: str
    consent_campaigns: tuple[str, ...]
    agent_string: str = ""
    informed: bool = False
    heard_version: str | None = None
    policy_sha256: str = ""

    @property
    def inbound(self) -> bool:
        return self.opened.direction == Direction.INBOUND

    @property
    def script(self) -> Script:
        """What is said in this call, in its current language."""
        return self.scripts[self.language]

    @property
    def known_number(self) -> Number:
        """The number of a call that has one."""
        if self.number is None:
            raise AssertionError("the number of this call is not known")
        return self.number

    @property
    def proven_version(self) -> str:
        """The version of the notice that was heard, in a call that has come this far."""
        if self.heard_version is None:
            raise AssertionError("the notice of this call was not heard")
        return self.heard_version

    @property
    def information_version(self) -> str:
        """The version of the information layer, in the current language of the call."""
        return self.script.versions[notices.information(self.campaign, inbound=self.inbound)]

    @property
    def notice_ms(self) -> int:
        """How long the notice of this call takes, in milliseconds."""
        return self.script.length_ms(
            notices.sequence(self.campaign, informed=self.informed, inbound=self.inbound)
        )

    @property
    def asserted(self) -> dict[str, str]:
        """What the call's row says of its terms and parties, with the policy's hash, for the call's journal: only the journal is sealed."""
        return {**self.opened.asserted, "policy_sha256": self.policy_sha256}

    def has_informed(self, facts: Facts) -> bool:
        """True if the number has heard the information layer, in any language.

        For an outbound call only earlier outbound calls count: a caller may show a number that is not theirs.
        """
        ways = (False, True) if self.inbound else (False,)
        layers = {notices.information(self.campaign, inbound=inbound) for inbound in ways}
        versions = {
            each.versions[ids] for each in self.scripts.values() for ids in layers if ids in each.versions
        }
        return not versions.isdisjoint(facts.informed)

    def judge(self, facts: Facts) -> Block | None:
        """Why the call may not be made now; None if it may."""
        return gate.verdict(
            self.campaign,
            self.registers,
            self.controller.country,
            self.known_number,
            facts,
            datetime.now(UTC),
        )

    def question(self) -> Question:
        """What the gate must look up for this call now."""
        return gate.question(self.campaign, datetime.now(UTC))

    def exercise(self, right: Right, key: str, at: datetime | None = None) -> Exercise:
        """The right that the person on the line exercised with a key, ``at`` that moment or now."""
        pressed, country = at or datetime.now(UTC), self.controller.country
        number_from = NumberFrom.CALLER_ID if self.inbound else NumberFrom.DIALLED
        return Exercise(
            right=right, key=key, number=self.known_number.e164, received_at=pressed,
            due=deadlines.due(pressed, country), local_year=deadlines.local_day(pressed, country).year,
            notice_version=self.heard_version, language=self.language, purpose=self.campaign.purpose,
            consent_purpose=self.campaign.withdraws, consent_campaigns=self.consent_campaigns,
            recording_basis=self.campaign.recording.legal_basis,
            number_from=number_from, level=number_from.level,
        )  # fmt: skip

    def card(self, past: Past | None) -> AgentCard:
        """The agent's card for this call. ``past`` is None if the records could not be read."""
        campaign, opened = self.campaign, self.opened
        source = (past.source if past else None) or campaign.data_source
        scripts = {
            "source": campaign.agent_scripts.source or source,
            "why": campaign.agent_scripts.why or campaign.purpose,
        }
        return AgentCard(
            call_id=opened.id, agent=opened.agent, direction=opened.direction, number_masked=opened.number_masked,
            controller=self.controller.id, controller_name=self.controller.name, campaign=campaign.id,
            purpose=campaign.purpose, legal_basis=campaign.legal_basis, source=source, language=self.language,
            recording_mode=campaign.recording.mode.value, heard_at=past.heard_at if past else None,
            asked=past.asked if past else None,
            scripts={question: words for question, words in scripts.items() if words},
            codes={code: action.value for code, action in campaign.agent_keys.items()},
            ends=dict.fromkeys(ended_by(campaign.recording), "call" if campaign.recording.must else "recording"),
        )  # fmt: skip
