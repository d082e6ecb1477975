"""The gate's facts about a number in words, which the call's journal keeps as proof of the verdict."""

from collections.abc import Iterable
from datetime import datetime

from ccari.policy.gate import Facts


def findings(facts: Facts) -> dict[str, str]:
    """The facts by which the gate decided, each with its date, and without the number.

    ``attempts``: three counts: the campaign's calls within the days of its own limit, all calls of the campaign, and the controller's within
    the days of its country's rules.
    """
    consent, contact, attempts = facts.consent, facts.contact, facts.attempts
    found = {
        "bars": _listed(
            f"{each.reason}{f' of {each.campaign}' if each.campaign else ''} since {_at(each.entered_at)}"
            f"{_until(each.expires_at)}"
            for each in facts.suppressions
        ),
        "listings": _listed(f"{each.register} since {_at(each.listed_at)}" for each in facts.listings),
        "registers": _listed(f"{name} as of {_at(as_of)}" for name, as_of in facts.registers.items()),
        "consent": "",
        "contact": "" if contact is None else f"known{_until(contact.valid_until)}",
        "attempts": f"{attempts.recent} {attempts.total} {attempts.controller}",
        "informed": _listed(facts.informed),
    }
    if consent is not None:
        withdrawn = f", withdrawn {_at(consent.withdrawn_at)}" if consent.withdrawn_at else ""
        found["consent"] = f"given {_at(consent.given_at)}{_until(consent.valid_until)}{withdrawn}"
    return {name: words for name, words in found.items() if words}


def _listed(words: Iterable[str]) -> str:
    return "; ".join(sorted(words))


def _until(moment: datetime | None) -> str:
    return "" if moment is None else f" until {_at(moment)}"


def _at(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
