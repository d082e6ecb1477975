"""The decision to allow or block one outbound call."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

import holidays

from ccari.policy.declaration import Campaign
from ccari.policy.numbers import NumberFault
from ccari.policy.suppression import Reason, bars


class Block(StrEnum):
    """Why a call is not made: the closed list that dialplans, logs and reports rely on."""

    NUMBER_EMPTY = NumberFault.EMPTY.value
    NUMBER_CHARACTERS = NumberFault.CHARACTERS.value
    NUMBER_INVALID = NumberFault.INVALID.value
    NUMBER_PREMIUM = NumberFault.PREMIUM.value
    BAD_ARGUMENTS = "bad_arguments"
    UNKNOWN_CAMPAIGN = "unknown_campaign"
    NO_POLICY = "no_policy"
    SUPPRESSED_OBJECTION_MARKETING = "suppressed_objection_marketing"
    SUPPRESSED_OBJECTION = "suppressed_objection"
    SUPPRESSED_WITHDRAW_CONSENT = "suppressed_withdraw_consent"
    SUPPRESSED_ERASURE = "suppressed_erasure"
    SUPPRESSED_DO_NOT_CALL = "suppressed_do_not_call"
    OUTSIDE_HOURS = "outside_hours"
    HOLIDAY = "holiday"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    PROMPTS_MISSING = "prompts_missing"
    TOKEN_SPENT = "token_spent"  # noqa: S105 - a dial token, no secret
    STORE_UNAVAILABLE = "store_unavailable"

    @classmethod
    def suppressed(cls, reason: Reason) -> "Block":
        return cls(f"suppressed_{reason}")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store knows of one number for one campaign at the moment of the call.

    ``suppressions``: reasons under which the controller has barred the number, of any purpose. ``attempts``: calls of
    this campaign that rang the number since :func:`counts_since`.
    """

    suppressions: Collection[Reason] = ()
    attempts: int = 0


def barring(campaign: Campaign) -> tuple[Reason, ...]:
    """The suppression reasons that forbid a call of this campaign."""
    return tuple(
        reason for reason in Reason if bars(reason, basis=campaign.legal_basis, marketing=campaign.marketing)
    )


def counts_since(campaign: Campaign, now: datetime) -> datetime:
    """From when earlier attempts count against the campaign's limit."""
    return now - timedelta(days=campaign.attempts.per_days) if campaign.attempts else now


def verdict(campaign: Campaign, country: str, facts: Facts, now: datetime) -> Block | None:
    """Why the call may not be made now (aware ``now``), the gravest reason first; None if it may.

    ``country`` is the controller's: its public holidays close the campaign unless ``hours.holidays`` is set.
    """
    forbidden = barring(campaign)
    for reason in (Reason.ERASURE, *Reason):
        if reason in facts.suppressions and reason in forbidden:
            return Block.suppressed(reason)
    if campaign.hours is not None:
        local = now.astimezone(ZoneInfo(campaign.hours.timezone))
        if not campaign.hours.holidays and local.date() in holidays.country_holidays(
            country, years=local.year
        ):
            return Block.HOLIDAY
        open_now = campaign.hours.from_ <= local.time() < campaign.hours.to
        if local.weekday() not in campaign.hours.days or not open_now:
            return Block.OUTSIDE_HOURS
    if campaign.attempts is not None and facts.attempts >= campaign.attempts.max:
        return Block.ATTEMPTS_EXHAUSTED
    return None
