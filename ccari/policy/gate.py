"""The decision to allow or block one outbound call."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache

from ccari.policy import consent, suppression
from ccari.policy.bases import LegalBasis
from ccari.policy.campaign import Campaign
from ccari.policy.consent import Consent, ConsentState
from ccari.policy.hours import Closed, closed
from ccari.policy.numbers import Number, NumberFault
from ccari.policy.parties import Register
from ccari.policy.rights import EFFECTS, Right
from ccari.policy.suppression import Listing, Reason, Suppression, bars


class Block(StrEnum):
    """Why a call is not made: the closed list that dialplans, logs and reports rely on.

    ``suppressed_…``: a bar on all of the controller's calls. ``suppressed_campaign_…``: a bar on the calls of one campaign.
    ``suppressed_register``: the number is in a register of objections that the campaign must heed.
    """

    NUMBER_EMPTY = NumberFault.EMPTY.value
    NUMBER_CHARACTERS = NumberFault.CHARACTERS.value
    NUMBER_INVALID = NumberFault.INVALID.value
    NUMBER_PREMIUM = NumberFault.PREMIUM.value
    BAD_ARGUMENTS = "bad_arguments"
    UNKNOWN_CAMPAIGN = "unknown_campaign"
    NO_DESTINATION = "no_destination"
    NO_POLICY = "no_policy"
    SUPPRESSED_OBJECTION_MARKETING = "suppressed_objection_marketing"
    SUPPRESSED_OBJECTION = "suppressed_objection"
    SUPPRESSED_WITHDRAW_CONSENT = "suppressed_withdraw_consent"
    SUPPRESSED_RESTRICTION = "suppressed_restriction"
    SUPPRESSED_ERASURE = "suppressed_erasure"
    SUPPRESSED_DO_NOT_CALL = "suppressed_do_not_call"
    SUPPRESSED_CAMPAIGN_OBJECTION_MARKETING = "suppressed_campaign_objection_marketing"
    SUPPRESSED_CAMPAIGN_OBJECTION = "suppressed_campaign_objection"
    SUPPRESSED_CAMPAIGN_WITHDRAW_CONSENT = "suppressed_campaign_withdraw_consent"
    SUPPRESSED_CAMPAIGN_RESTRICTION = "suppressed_campaign_restriction"
    SUPPRESSED_CAMPAIGN_ERASURE = "suppressed_campaign_erasure"
    SUPPRESSED_CAMPAIGN_DO_NOT_CALL = "suppressed_campaign_do_not_call"
    SUPPRESSED_REGISTER = "suppressed_register"
    REGISTER_STALE = "register_stale"
    NO_CONSENT = "no_consent"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    CONSENT_EXPIRED = "consent_expired"
    NO_SOURCE = "no_source"
    SOURCE_EXPIRED = "source_expired"
    OUTSIDE_HOURS = Closed.OUTSIDE_HOURS.value
    HOLIDAY = Closed.HOLIDAY.value
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    ATTEMPTS_CAPPED = "attempts_capped"
    ABANDONED_CAPPED = "abandoned_capped"
    PROMPTS_MISSING = "prompts_missing"
    TOKEN_SPENT = "token_spent"  # noqa: S105 - a dial token, no secret
    STORE_UNAVAILABLE = "store_unavailable"

    @classmethod
    def suppressed(cls, entry: Suppression) -> "Block":
        return cls(f"suppressed_{'campaign_' if entry.campaign else ''}{entry.reason}")


@dataclass(frozen=True, slots=True)
class Contact:
    """A number that the controller has from a source. ``valid_until``: until when the last of its sources may be used; None: no limit."""

    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AttemptsMade:
    """How many calls were dialled to the number. :func:`question` gives the dates from which they count.

    ``recent``: by the campaign, within the days of its own limit. ``total``: by the campaign, at any time. ``controller``: by the
    controller, within the days of the country's rules.
    """

    recent: int = 0
    total: int = 0
    controller: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What the database knows of one number for one campaign at the moment of the call.

    ``suppressions``: the controller's own entries, for any reason. ``listings``: the number's entries in registers. ``registers``: the
    date of each register's copy. ``consent``: the newest consent to the campaign's purpose. ``contact``: None if the number is not a
    contact of the controller. ``informed``: the versions of the information layer that the number has heard from the controller.
    ``secrets``: every secret under which any of this may be stored, so that a node knows whether it has looked under all of them; each is
    one string of kind, holder, version and check.
    """

    suppressions: Collection[Suppression] = ()
    listings: Collection[Listing] = ()
    registers: Mapping[str, datetime] = field(default_factory=dict)
    consent: Consent | None = None
    contact: Contact | None = None
    attempts: AttemptsMade = AttemptsMade()
    informed: Collection[str] = ()
    secrets: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """The facts that the gate needs about a number for one campaign. ``consent``: whether the campaign needs a consent."""

    controller: str
    campaign: str
    purpose: str
    channel: str
    counts_since: datetime
    rules_count_since: datetime
    consent: bool = False


_CONSENT_BLOCKS = {
    ConsentState.NONE: Block.NO_CONSENT,
    ConsentState.WITHDRAWN: Block.CONSENT_WITHDRAWN,
    ConsentState.EXPIRED: Block.CONSENT_EXPIRED,
}
#: The gravest first. If a number is barred for several reasons, the gravest is reported.
_GRAVITY = (Reason.ERASURE, *(reason for reason in Reason if reason is not Reason.ERASURE))
_BARS_EVERY_CALL = tuple(filter(suppression.bars_all, Reason))


def question(campaign: Campaign, now: datetime) -> Question:
    """What the gate must look up for a call of this campaign at ``now``."""
    rules, attempts = campaign.country_rules, campaign.attempts
    return Question(
        controller=campaign.controller, campaign=campaign.id,
        purpose=campaign.asks_consent_to, channel=campaign.consent_channel, consent=campaign.needs_consent,
        counts_since=now - timedelta(days=attempts.per_days) if attempts else now,
        rules_count_since=now - timedelta(days=rules.per_days) if rules and rules.per_days else now,
    )  # fmt: skip


def barring(campaign: Campaign) -> tuple[Reason, ...]:
    """The suppression reasons that forbid a call of this campaign."""
    return _barring(campaign.legal_basis, campaign.marketing)


def bars_the_like(campaign: Campaign, right: Right) -> bool:
    """True if a person who exercises the right is not called for this campaign again, because the right either bars it or withdraws the
    consent that it needs.
    """
    withdraws_consent = right is Right.WITHDRAW_CONSENT and campaign.needs_consent
    return withdraws_consent or EFFECTS[right].suppress in barring(campaign)


@cache
def _barring(basis: LegalBasis, marketing: bool) -> tuple[Reason, ...]:  # noqa: FBT001 - positional, for the cache
    return tuple(reason for reason in Reason if bars(reason, basis=basis, marketing=marketing))


def verdict(
    campaign: Campaign,
    registers: Collection[Register],
    country: str,
    number: Number,
    facts: Facts,
    now: datetime,
) -> Block | None:
    """Why the call may not be made now (aware ``now``), the gravest reason first; None if it may.

    ``registers`` are those that the campaign needs; ``country`` is the controller's.
    """
    return (
        refusal(campaign, registers, facts, now)
        or _outside_hours(campaign, country, number, now)
        or _too_often(campaign, facts)
    )


def refusal(campaign: Campaign, registers: Collection[Register], facts: Facts, now: datetime) -> Block | None:
    """Like :func:`verdict`, regardless of the time of day and earlier calls: whether a number may stay on a list."""
    return (
        barred(campaign, registers, facts, now)
        or _without_consent(campaign, facts, now)
        or _without_source(campaign, facts, now)
    )


def barred(campaign: Campaign, registers: Collection[Register], facts: Facts, now: datetime) -> Block | None:
    """Like :func:`refusal`, whatever is known of consent and source: a new contact may be about to get those."""
    return _suppressed(barring(campaign), campaign.id, facts, now) or _listed(registers, facts, now)


def unwelcome(facts: Facts, now: datetime) -> Block | None:
    """Why the number may not become a contact of the controller at all; None if it may.

    A number that was erased, or may only be stored, must not come back with the next list (CJEU C-129/21).
    """
    return _suppressed(_BARS_EVERY_CALL, None, facts, now)


def _suppressed(
    forbidden: Collection[Reason], campaign_id: str | None, facts: Facts, now: datetime
) -> Block | None:
    agreed_at = _agreed_at(facts, now)
    in_force = [
        entry
        for entry in facts.suppressions
        if entry.reason in forbidden
        and entry.campaign in {None, campaign_id}
        and suppression.in_force(entry.expires_at, now)
        and suppression.outlives(entry.reason, entry.entered_at, agreed_at)
    ]
    gravest = min(
        in_force, key=lambda entry: (entry.campaign is not None, _GRAVITY.index(entry.reason)), default=None
    )
    return None if gravest is None else Block.suppressed(gravest)


def _listed(registers: Collection[Register], facts: Facts, now: datetime) -> Block | None:
    agreed_at = _agreed_at(facts, now)
    for register in registers:
        for listing in facts.listings:
            overridden = (
                register.consent_overrides and agreed_at is not None and agreed_at > listing.listed_at
            )
            if listing.register == register.id and not overridden:
                return Block.SUPPRESSED_REGISTER
    if any(stale(register, facts.registers.get(register.id), now) for register in registers):
        return Block.REGISTER_STALE
    return None


def stale(register: Register, as_of: datetime | None, now: datetime) -> bool:
    """True if the register's copy dated ``as_of`` cannot be relied on: there is none, it is too old, or its date is in the future."""
    return as_of is None or not timedelta() <= now - as_of <= timedelta(days=register.max_age_days)


def _agreed_at(facts: Facts, now: datetime) -> datetime | None:
    """When the consent that is in force was given; None if there is none."""
    given = facts.consent if consent.state(facts.consent, now) is ConsentState.GIVEN else None
    return given.given_at if given else None


def _without_consent(campaign: Campaign, facts: Facts, now: datetime) -> Block | None:
    return _CONSENT_BLOCKS.get(consent.state(facts.consent, now)) if campaign.needs_consent else None


def _without_source(campaign: Campaign, facts: Facts, now: datetime) -> Block | None:
    if facts.contact is None:
        return Block.NO_SOURCE if campaign.data_source is None else None
    # an expired list may not be used, even if the campaign names a data source of its own
    until = facts.contact.valid_until
    return Block.SOURCE_EXPIRED if until is not None and until <= now else None


def _outside_hours(campaign: Campaign, country: str, number: Number, now: datetime) -> Block | None:
    rules = campaign.country_rules
    for hours in (campaign.hours, rules.hours if rules else ()):
        if why := closed(hours, number, country, now):
            return Block(why.value)
    return None


def _too_often(campaign: Campaign, facts: Facts) -> Block | None:
    limit, rules, dialled = campaign.attempts, campaign.country_rules, facts.attempts
    if limit is not None and limit.total is not None and dialled.total >= limit.total:
        return Block.ATTEMPTS_EXHAUSTED
    if limit is not None and dialled.recent >= limit.max:
        return Block.ATTEMPTS_CAPPED
    if rules is not None and rules.calls is not None and dialled.controller >= rules.calls:
        return Block.ATTEMPTS_CAPPED
    return None
