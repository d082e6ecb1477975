"""What an erasure deletes, what stays, and on which ground (Article 17).

The person's data are deleted, except for what 17(3) keeps. To keep more for a claim, place a hold first. The proof of compliance stays,
without the person: commitments, and the keyed digest, so that no list brings the number back.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import phonenumbers

from ccari.policy.bases import LegalBasis
from ccari.policy.numbers import BETWEEN, Number, other_forms
from ccari.policy.presets import PRESETS
from ccari.policy.retention import HOLDING, HoldKind
from ccari.policy.rights import Right


def _years(count: int) -> timedelta:
    """The length of so many years, with the most leap days that they can have."""
    return timedelta(days=count * 365 + -(-count // 4))


#: How long the proof of a consent is kept after the last call that rested on it. DE: §7a(2) UWG. PL: a person who answered knows of the
#: call and the caller from that day, and can claim in tort for three more years (KC Art 442¹ §1), so this is enough. For a person who
#: learns of it later (ten years at most), place a hold. The six years of KC Art 118 are for contract claims.
PROOF = _years(5)

#: The trunk prefix dialled before a number within its country, by country code, as a regular expression; zero in all other countries.
#: Lithuania and Ukraine have changed from 8 to 0; before some codes of Belarus it is 80, as it was in Ukraine.
_TRUNK_PREFIXES = {"7": "8", "36": "06", "370": "[08]", "375": "80?|0", "380": "8?0", "993": "8"}

#: Journal entries of a call that record a deletion. They contain nothing about the person, and stay.
TELLING = frozenset({"recording_deleted", "personal_data_erased"})


class What(StrEnum):
    """A kind of data kept about a person, in words."""

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

    @property
    def one_and_several(self) -> tuple[str, str]:
        """Its name after a one, and after other numbers."""
        return _ONE_AND_SEVERAL.get(self, (self.value, f"{self.value}s"))


_ONE_AND_SEVERAL = {
    What.NOTES: ("note on a request", "notes on requests"),
    What.NUMBER: ("number of a request", "numbers of requests"),
    What.QUEUED: ("number in the forwarding queue", "numbers in the forwarding queue"),
    What.WORDS: ("number in somebody's words", "numbers in somebody's words"),
}


#: The data that a call centre has about a person, apart from the requests themselves.
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
    Ground.CLAIMS: "17(3)(e)", Ground.REQUEST: "15, 18, 20, 21, 22", Ground.LEGAL_OBLIGATION: "17(3)(b)",
    Ground.PROOF: "7(1), 17(3)(e)", Ground.GRANT: "7(1), 17(3)(b)", Ground.UNTOLD: "28(3)(e)", Ground.ANSWER: "12(3)", Ground.UNDER_WAY: "17(1)",
}  # fmt: skip
_WORDS = {
    Ground.CLAIMS: "a legal hold keeps it for claims",
    Ground.REQUEST: "another request of the person needs it",
    Ground.LEGAL_OBLIGATION: "a legal obligation keeps it",
    Ground.PROOF: "a call was made on this consent, and its proof may be needed for claims",
    Ground.GRANT: "the law has the proof of a consent kept for years after it was given",
    Ground.UNTOLD: "the controller has yet to be told of it: see ccari requests forwards",
    Ground.ANSWER: "the request is open, and the person must be answered",
    Ground.UNDER_WAY: "it is still going on: repeat the erasure when it is over",
}

#: What deliberately stays of an erased person, with the articles: one of 17(3), and the obligation that 17(3)(b) refers to. An objection
#: must be heeded for good (21(3), 24: CJEU C-129/21), an access shown (5(2), 32), an answer proved (5(2), 12).
REMAINS: Mapping[str, str] = {
    "keyed digest among the suppressions, so that no list brings the number back": "17(3)(b), 21(3), 24",
    "place in a copy of a register of objections, which is the register's": "17(3)(b), 21(3), 24",
    "record of the requests, with the keyed digest": "17(3)(b), 5(2), 12; 17(3)(e)",
    "record of who looked at the person's data, with the keyed digest": "17(3)(b), 5(2), 32",
    "legal holds, released ones too, with the keyed digest of those on the number": "17(3)(e)",
    "calls without the person, and commitments that prove their journals whole": "17(3)(b), 5(2)",
}


@dataclass(frozen=True, slots=True)
class Thing:
    """A piece of data kept about a person.

    ``over``: whether it is finished, so that nobody works on it any more. ``holds``: what holds it, by kind and in words. ``limit``: until
    when a legal obligation keeps it; None: unknown, so it stays. ``with_``: the ids of the things that it must stay together with, because
    one would be useless without the other. ``given_at``: when a consent was given. ``used_at``: when a call was last made on it.
    ``needed``: another legal ground to keep it.
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
    """A thing that stays. ``held_by``: the holds, in words, if they are the ground."""

    thing: Thing
    ground: Ground
    held_by: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure deletes, and what it keeps."""

    goes: Sequence[Thing] = ()
    stays: Sequence[Kept] = ()

    @property
    def is_refused(self) -> bool:
        """True if there is something of substance, and 17(3) or a hold keeps all of it."""
        return any(each.thing.what in SUBSTANCE for each in self.stays) and not any(
            each.what in SUBSTANCE for each in self.goes
        )


@dataclass(frozen=True, slots=True)
class ErasureTerms:
    """The terms of an erasure. ``keep_proof``: whether to keep the proof of a consent: for :data:`PROOF` after the last call made on it,
    and for as long after it was given as the law of any of the ``countries`` requires: those of the controller and of the number.
    """

    now: datetime
    keep_proof: bool = True
    countries: Collection[str | None] = ()

    def ground(self, thing: Thing, kept: Mapping[str, Ground]) -> Ground | None:
        """Why the thing stays; None if it is deleted. ``kept``: the grounds of the things already found to stay, by their ids."""
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
            and self.now < thing.given_at + proof_kept(self.countries)
        ):
            return Ground.GRANT
        return thing.needed


def proof_kept(countries: Iterable[str | None]) -> timedelta:
    """How long after it was given, and after each use, the proof of a consent must be kept under the law of any of the ``countries``.

    Telephone advertising is under the law of the country where people are called (Regulation (EC) 864/2007, Art 6(1)), whatever the
    controller's own: a caller in Poland, too, needs what §7a UWG requires to call people in Germany.
    """
    rules = (PRESETS.get(each or "") for each in countries)
    return max((_years(each.proof_years) for each in rules if each and each.proof_years), default=timedelta())


def plan(things: Iterable[Thing], terms: ErasureTerms) -> Plan:
    """What is deleted and what stays. A thing must come after those that it stays together with (``with_``)."""
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
    """Whether an open request for the right needs data that are processed on ``basis``. None: data without a legal basis of their own, which
    are needed only by a right that holds data on every basis.
    """
    bases = HOLDING.get(right, frozenset())
    return basis in bases if basis is not None else bases >= frozenset(LegalBasis)


def pattern(number: Number) -> str:
    """A regular expression, for both Python and PostgreSQL, that matches the number as people write it in a text, also by another country's
    number for the same line.
    """
    forms = (number.e164, *other_forms(number))
    return rf"(?<!\d)({'|'.join(map(_as_written, forms))})(?!\d)"


def _as_written(e164: str) -> str:
    code = str(phonenumbers.parse(e164).country_code)
    trunk = _TRUNK_PREFIXES.get(code, "0")
    national = BETWEEN.join(e164[1 + len(code) :])
    # people also write the trunk prefix after the country code, in brackets or bare, though it does not belong there
    needless = rf"(\(({trunk}|0)\)|{trunk}|0)?"
    abroad = rf"(\+|00)?{BETWEEN}{BETWEEN.join(code)}{BETWEEN}{needless}{BETWEEN}"
    return rf"({abroad}|{trunk})?{national}"


def count_deleted(left: Plan) -> list[dict[str, Any]]:
    """For the report: what is deleted, counted by kind."""
    counts: dict[What, int] = {}
    for thing in left.goes:
        counts[thing.what] = counts.get(thing.what, 0) + thing.count
    return [{"what": what.value, "count": count} for what, count in counts.items()]


def count_kept(left: Plan) -> list[dict[str, Any]]:
    """For the report: what stays, counted by kind and ground."""
    counts: dict[tuple[What, Ground, tuple[str, ...]], int] = {}
    for stays in left.stays:
        key = (stays.thing.what, stays.ground, tuple(stays.held_by))
        counts[key] = counts.get(key, 0) + stays.thing.count
    return [
        {"what": what.value, "count": count, "ground": ground.value, "article": ground.article,
         "why": "; ".join(by) or ground.words}
        for (what, ground, by), count in counts.items()
    ]  # fmt: skip
