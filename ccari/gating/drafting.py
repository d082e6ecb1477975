"""Draws up the terms of one call: the request, read under the policy in force. Does not ask whether it may be made."""

from dataclasses import dataclass, replace
from uuid import uuid4

from ccari.errors import CcariError, ConfigError, SoundError
from ccari.gating.journal import Journal
from ccari.gating.labels import phone_name
from ccari.gating.means import Means, RequestedCall
from ccari.gating.terms import Terms
from ccari.policy.call import Direction
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.extensions import is_extension
from ccari.policy.gate import Block
from ccari.policy.numbers import Number, NumberFault, parse
from ccari.ports.calls import LeftTalk, OpenedCall


class NoTerms(CcariError):  # noqa: N818 - an answer, not a failure
    """The request has no terms; ``block`` says why."""

    def __init__(self, block: Block) -> None:
        super().__init__(block.value)
        self.block = block


@dataclass(frozen=True, slots=True)
class Declared:
    """The campaign that was asked for, and the revision of the policy that declares it."""

    campaign: Campaign
    revision: int
    policy_sha256: str

    def asserted(self, direction: Direction) -> dict[str, str]:
        """What the row of a call without terms says, for the call's journal. Only the journal is sealed: it proves what the row may be
        changed to hide.
        """
        campaign = self.campaign
        return {
            "controller": campaign.controller, "campaign": campaign.id, "legal_basis": campaign.legal_basis.value,
            "revision": str(self.revision), "direction": direction.value, "policy_sha256": self.policy_sha256,
        }  # fmt: skip


class Drafter:
    """Draws up the terms of one call. Once its campaign is known, ``journal`` logs it with every event."""

    #: What is on record of a call that gets no terms; None: no policy has its campaign.
    declared: Declared | None = None

    def __init__(self, asked: RequestedCall, means: Means, journal: Journal) -> None:
        self._asked = asked
        self._means = means
        self._journal = journal
        self._token = uuid4()

    async def draft(self, *, needs_number: bool) -> Terms:
        """The terms under the policy last read. ``needs_number``: if False, a caller whose number is withheld
        or invalid is let in.

        Before a call is refused, the policy is read again: a newer one may have been applied since, or the database restored, so
        that it lacks the one that was read.

        Raises
        ------
        NoTerms
            If there are none: the policy has no such campaign, say.
        StoreError, ConfigError, SoundError
            If that cannot be known.
        """
        book = self._means.book
        while True:
            under = book.revision
            try:
                return await self._draft(needs_number=needs_number)
            except (NoTerms, ConfigError, SoundError):
                await book.reload()
                if book.revision == under:
                    raise

    async def _draft(self, *, needs_number: bool) -> Terms:
        policy, declared = self._campaign()
        number = self._number(policy, declared.campaign)
        if isinstance(number, NumberFault) and needs_number:
            raise NoTerms(Block(number.value))
        return await self._terms(policy, declared.campaign, number, declared.revision, declared.policy_sha256)

    async def resumed(self, policy: Policy, of: LeftTalk) -> Terms:
        """The terms of a talk that is taken up, under the policy it began under.

        Raises
        ------
        ConfigError, SoundError
            If a secret or a sound is missing by now, or the campaign can no longer be read.
        """
        campaign = policy.campaign(of.campaign)
        if campaign is None:
            raise ConfigError(f"policy revision {of.revision} has no campaign {of.campaign}")
        self._bind(campaign)
        terms = await self._terms(policy, campaign, self._number(policy, campaign), of.revision, heard=True)
        # after a transfer, the talk is a colleague's
        opened = replace(terms.opened, agent=self._asked.agent)
        self._journal.opened()
        self._journal.bind(number=opened.number_masked, agent=opened.agent)
        return replace(
            terms, opened=opened, heard_version=of.notice_version, informed=bool(of.kept["informed"]),
            language=of.kept["language"] or campaign.language,
        )  # fmt: skip

    def _campaign(self) -> tuple[Policy, Declared]:
        """The campaign asked for. Raises NoTerms if there is none, or if it should call an agent and the
        request names none.
        """
        asked, book = self._asked, self._means.book
        self.declared = None
        if not asked.campaign or (asked.number is None and asked.direction is not Direction.INBOUND):
            raise NoTerms(Block.BAD_ARGUMENTS)
        policy, revision, sha256 = book.policy, book.revision, book.sha256
        if policy is None or revision is None or sha256 is None:
            raise NoTerms(Block.NO_POLICY)
        campaign = policy.campaign(asked.campaign)
        if campaign is None:
            raise NoTerms(Block.UNKNOWN_CAMPAIGN)
        self._bind(campaign)
        self.declared = Declared(campaign, revision, sha256)
        if self._agent_string(campaign) is None:
            raise NoTerms(Block.NO_DESTINATION)
        return policy, self.declared

    def _bind(self, campaign: Campaign) -> None:
        self._journal.meter.belongs_to(campaign.id)
        self._journal.bind(
            campaign=campaign.id, controller=campaign.controller, legal_basis=campaign.legal_basis.value
        )

    def _agent_string(self, campaign: Campaign) -> str | None:
        if not self._asked.rings_agent:
            return ""
        named = self._asked.destination
        if named is not None and not is_extension(named):
            raise NoTerms(Block.BAD_ARGUMENTS)
        return campaign.agent_string(named)

    def _agent_name(self, campaign: Campaign) -> str:
        """The agent's name, for the records and the card. If the campaign always rings the same phone, it is
        that phone's name.
        """
        rings = campaign.agent if self._asked.rings_agent else None
        return (phone_name(rings) if rings else None) or self._asked.agent

    def _number(self, policy: Policy, campaign: Campaign) -> Number | NumberFault:
        return parse(self._asked.number or "", policy.controller_of(campaign).country)

    async def _terms(
        self,
        policy: Policy,
        campaign: Campaign,
        parsed: Number | NumberFault,
        revision: int,
        sha256: str = "",
        *,
        heard: bool = False,
    ) -> Terms:
        means, number = self._means, None if isinstance(parsed, NumberFault) else parsed
        controller, registers = policy.controller_of(campaign), policy.registers_of(campaign)
        opened = OpenedCall(
            id=self._journal.call_id, token=self._token, asterisk=means.asterisk, agent=self._agent_name(campaign),
            number_masked=number.masked if number else "—", revision=revision, controller=controller.id,
            campaign=campaign.id, legal_basis=campaign.legal_basis.value,
            keyed=means.secrets.digests(controller.id, number) if number else None,
            listed_as=means.secrets.listed_as((each.id for each in registers), number) if number else (),
            direction=self._asked.direction.value,
        )  # fmt: skip
        scripts = await means.prompts.scripts(controller, campaign, heard=heard)
        await means.prompts.keep(campaign)
        return Terms(
            controller, campaign, registers, number, opened, scripts,
            campaign.language, policy.asking(controller.id, campaign.asks_consent_to), self._agent_string(campaign) or "",
            policy_sha256=sha256,
        )  # fmt: skip
