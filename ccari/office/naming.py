"""Finds the controller, campaign and number that somebody means, under the policy in force."""

from datetime import datetime
from zoneinfo import ZoneInfo

from ccari.errors import InputError
from ccari.gating.labels import label
from ccari.office import moments
from ccari.policy.calendars import TIME_ZONES
from ccari.policy.campaign import Campaign
from ccari.policy.declaration import Policy
from ccari.policy.numbers import Number, NumberFault, parse
from ccari.policy.parties import Controller


def the_controller(policy: Policy, wanted: str | None) -> Controller:
    """The controller with that id, or the only one if None. Each function here raises InputError with the wrong field."""
    known = ", ".join(each.id for each in policy.controllers) or "none"
    if wanted is None:
        if len(policy.controllers) != 1:
            raise InputError("controller", f"say which controller: one of {known}")
        return policy.controllers[0]
    found = policy.controller(wanted)
    if found is None:
        raise InputError("controller", f"there is no controller {label(wanted)!r}, only {known}")
    return found


def the_campaign(policy: Policy, wanted: str) -> Campaign:
    found = policy.campaign(wanted)
    if found is None:
        if not policy.campaigns:
            raise InputError("campaign", "the policy declares no campaigns")
        known = ", ".join(each.id for each in policy.campaigns)
        raise InputError("campaign", f"there is no campaign {label(wanted)!r}, only {known}")
    return found


def purposes_of(policy: Policy, controller: Controller) -> dict[str, str]:
    """By campaign of the controller: what it asks consent to."""
    return {each.id: each.asks_consent_to for each in policy.campaigns_of(controller.id)}


def campaign_of(policy: Policy, controller: Controller, wanted: str | None) -> Campaign | None:
    """The controller's campaign of that name; None if none is given."""
    theirs = {each.id: each for each in policy.campaigns_of(controller.id)}
    if wanted is not None and wanted not in theirs:
        if not theirs:
            raise InputError("campaign", f"{controller.id!r} has no campaigns")
        known = ", ".join(theirs)
        raise InputError("campaign", f"{controller.id!r} has no campaign {label(wanted)!r}, only {known}")
    return theirs[wanted] if wanted is not None else None


def the_number(text: str, controller: Controller) -> Number:
    number = parse(text, controller.country)
    if isinstance(number, NumberFault):
        raise InputError("number", f"this number cannot be called: {number.words}")
    return number


def zone_of(controller: Controller) -> ZoneInfo:
    """The clock by which the controller's days begin and end."""
    return ZoneInfo(TIME_ZONES[controller.country])


def end(text: str | None, controller: Controller, now: datetime) -> datetime | None:
    """When something ends: at the end of a day, or at a moment in the future; None: never."""
    if text is None:
        return None
    try:
        found = moments.until(text, zone_of(controller))
    except ValueError as error:
        raise InputError("until", str(error)) from None
    if found <= now:
        raise InputError("until", "it is in the past")
    return found
