"""What goes when an erasure is carried out, what stays, and by which ground (Article 17).

The person's data go, but for what 17(3) keeps; who needs more of it for a claim places a hold, before. What proves that
the law was kept stays without the person: commitments, and the keyed digest that no list is to bring back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import phonenumbers

from ccari.policy.bases import LegalBasis
from ccari.policy.numbers import BETWEEN, Number
from ccari.policy.presets import PRESETS
from ccari.policy.retention import HOLDING, HoldKind
from ccari.policy.rights import Right


def _years(count: int) -> timedelta:
    """With as many leap days as may be in them."""
    return timedelta(days=count * 365 + -(-count // 4))


#: So long after a call that rested on it, the proof of a consent is kept (DE: §7a(2) UWG; longer than the three years of
#: PL Art 118 KC for claims from a business).
PROOF = _years(5)

#: What is dialled before a number within its country, as an expression, where that is no zero. Lithuania
#: has gone over from the one to the other.
_TRUNK_PREFIXES = {"36": "06", "370": "[08]"}

#: Entries of a call's journal that tell of a deletion, and nothing of the person.
TELLING = frozenset({"recording_deleted", "personal_data_erased"})


class What(StrEnum):
    """A kind of thing that is kept of a person, in words."""

    RECORDING = "recording"
    CALL = "call"
    CONTACT = "contact"
    CONSENT = "consent"
    HEARD = "heard notice"
    NOTES = "notes on a request"
    NUMBER = "number of a request"
    QUEUED = "number in the forwarding queue"
    ANSWER = "kept HTTP answer"
    WORDS = "number in somebody's words"


#: What a call centre has of a person, apart from the requests themselves.
SUBSTANCE = frozenset({What.RECORDING, What.CALL, What.CONTACT, What.CONSENT, What.HEARD})


class Ground(StrEnum):
    """Why something stays."""

    CLAIMS = "legal_hold"
    REQUEST = "open_request"
    LEGAL_OBLIGATION = "legal_obligation"
    PROOF = "proof_of_consent"
    GRANT = "proof_of_grant"
    UNTOLD = "controller_not_told"
    ANSWER = "to_be_answered"
    UNDER_WAY = "under_way"

    @property
    def article(self) -> str:
        return _ARTICLES[self]

    @property
    def words(self) -> str:
        return _WORDS[self]


_ARTICLES = {
    Ground.CLAIMS: "17(3)(e)", Ground.REQUEST: "15, 18, 20, 22", Ground.LEGAL_OBLIGATION: "17(3)(b)",
    Ground.PROOF: "7(1), 17(3)(e)", Ground.GRANT: "7(1), 17(3)(b)", Ground.UNTOLD: "19, 28(3)(e)", Ground.ANSWER: "12(3)", Ground.UNDER_WAY: "17(1)",
}  # fmt: skip
_WORDS = {
    Ground.CLAIMS: "a legal hold keeps it for claims",
    Ground.REQUEST: "another request of the person needs it",
    Ground.LEGAL_OBLIGATION: "a legal obligation keeps it",
    Ground.PROOF: "a call was made on this consent, and its proof may be needed for claims",
    Ground.GRANT: "the law of the controller's country has the proof of a consent kept for years after it was given",
    Ground.UNTOLD: "the controller is still to be told of it: see ccari requests forwards",
    Ground.ANSWER: "the request is open, and the person is to be answered",
    Ground.UNDER_WAY: "it is not over yet: erase again when it is",
}

#: What of an erased person stays on purpose, with the articles.
REMAINS: Mapping[str, str] = {
    "keyed digest among the suppressions, so that no list brings the number back": "5(2), 17(3)(e), 21(3)",
    "place in a copy of a register of objections, which is the register's": "5(2), 21(3)",
    "record of the requests, with the keyed digest": "5(2), 12, 17(3)(e)",
    "calls without the person, and commitments that prove their journals whole": "5(2)",
}


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that is kept of a person.

    ``over``: nobody works on it any more. ``holds``: what holds it, each in words. ``limit``: until when a legal obligation
    keeps it; None: nobody knows, so it does. ``with_``: ids of things without which it would be of no use, or they without
    it. ``given_at``: when a consent was. ``used_at``: when a call was last made on it. ``needed``: another ground that the law has for it.
    """

    what: What
    id: str
    basis: LegalBasis | None = None
    limit: datetime | None = None
    over: bool = True
    holds: Sequence[tuple[HoldKind, str]] = ()
    with_: Sequence[str] = ()
    given_at: datetime | None = None
    used_at: datetime | None = None
    needed: Ground | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """A thing that stays. ``held_by``: the holds, in words, where those are the ground."""

    thing: Thing
    ground: Ground
    held_by: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    goes: Sequence[Thing] = ()
    stays: Sequence[Kept] = ()

    @property
    def is_refused(self) -> bool:
        """True if there is something of substance, and 17(3) or a hold keeps all of it."""
        return any(each.thing.what in SUBSTANCE for each in self.stays) and not any(
            each.what in SUBSTANCE for each in self.goes
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """What the law is asked with. ``keep_proof``: of a consent that calls were made on, for :data:`PROOF`, and of any that
    the law of the controller's ``country`` has kept from when it was given.
    """

    now: datetime
    keep_proof: bool = True
    country: str | None = None

    def ground(self, thing: Thing, kept: Mapping[str, Ground]) -> Ground | None:
        """Why the thing stays; None if it goes. ``kept``: grounds of other things that stay, by their ids."""
        kinds = {kind for kind, _ in thing.holds}
        if not thing.over:
            return Ground.UNDER_WAY
        if HoldKind.LEGAL in kinds:
            return Ground.CLAIMS
        if HoldKind.REQUEST in kinds:
            return Ground.REQUEST
        if thing.basis is LegalBasis.LEGAL_OBLIGATION and (thing.limit is None or self.now < thing.limit):
            return Ground.LEGAL_OBLIGATION
        for other in thing.with_:
            if other in kept:
                return kept[other]
        if self.keep_proof and thing.used_at is not None and self.now < thing.used_at + PROOF:
            return Ground.PROOF
        if (
            self.keep_proof
            and thing.given_at is not None
            and self.now < thing.given_at + self._kept_from_grant
        ):
            return Ground.GRANT
        return thing.needed

    @property
    def _kept_from_grant(self) -> timedelta:
        rules = PRESETS.get(self.country or "")
        return (
            _years(rules.proof_years) if rules is not None and rules.proof_years is not None else timedelta()
        )


def plan(things: Iterable[Thing], terms: Terms) -> Plan:
    """What becomes of each of the things; those that others depend on come before them."""
    goes: list[Thing] = []
    stays: list[Kept] = []
    kept: dict[str, Ground] = {}
    for thing in things:
        ground = terms.ground(thing, kept)
        if ground is None:
            goes.append(thing)
        else:
            kept[thing.id] = ground
            stays.append(Kept(thing, ground, tuple(words for _, words in thing.holds)))
    return Plan(goes, stays)


def is_held_by(right: Right, basis: LegalBasis | None) -> bool:
    """Whether an open request of the right needs what was processed on ``basis``; None: what rests on none of its own."""
    bases = HOLDING.get(right, frozenset())
    return basis in bases if basis is not None else bases >= frozenset(LegalBasis)


def pattern(number: Number) -> str:
    """A regular expression, for Python and PostgreSQL alike, of the ways in which people write the number in a text."""
    code = str(phonenumbers.parse(number.e164).country_code)
    trunk = _TRUNK_PREFIXES.get(code, "0")
    national = BETWEEN.join(number.digits[len(code) :])
    # behind the country's code as well, in brackets or bare, where it does not belong
    needless = rf"(\(({trunk}|0)\)|{trunk}|0)?"
    abroad = rf"(\+|00)?{BETWEEN}{BETWEEN.join(code)}{BETWEEN}{needless}{BETWEEN}"
    return rf"(?<!\d)({abroad}|{trunk})?{national}(?!\d)"


def gone(left: Plan) -> list[dict[str, Any]]:
    """What goes, by its kind."""
    found: dict[What, int] = {}
    for each in left.goes:
        found[each.what] = found.get(each.what, 0) + each.count
    return [{"what": what.value, "count": count} for what, count in found.items()]


def kept(left: Plan) -> list[dict[str, Any]]:
    """What stays, by its kind and its ground."""
    found: dict[tuple[What, Ground, tuple[str, ...]], int] = {}
    for each in left.stays:
        key = (each.thing.what, each.ground, tuple(each.held_by))
        found[key] = found.get(key, 0) + each.thing.count
    return [
        {"what": what.value, "count": count, "ground": ground.value, "article": ground.article,
         "why": "; ".join(by) or ground.words}
        for (what, ground, by), count in found.items()
    ]  # fmt: skip
